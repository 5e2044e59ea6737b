package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"watertight/internal/edge/remote"
)

// TestEdgeMetrics: an edge on another machine has the CDN's metrics and none of a store's, also
// while its store is away. Their listener ends with it, and is refused on every address at once.
func TestEdgeMetrics(t *testing.T) {
	config := EdgeConfig{
		Store: remote.Options{Address: "http://127.0.0.1:1", Credential: remote.Credential{
			AccessKeyID: "WTED", SecretAccessKey: "secret", Region: "us-east-1",
		}},
		CDN: CDNConfig{Listen: "127.0.0.1:0"}, MetricsListen: "127.0.0.1:0",
	}
	ready, ended := make(chan [2]string, 1), make(chan error, 1)
	config.Ready = func(plain, _, metrics string) { ready <- [2]string{plain, metrics} }
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- RunEdge(ctx, config) }()
	var at [2]string
	select {
	case at = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	if r, err := http.Get("http://" + at[0] + "/a"); err != nil || r.StatusCode != http.StatusForbidden {
		t.Errorf("%v, %v", r, err)
	} else {
		r.Body.Close()
	}
	r, err := http.Get("http://" + at[1] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`watertight_cdn_requests_total{result="Error"} 1`, "watertight_cdn_distributions 0",
		"process_cpu_seconds_total",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(string(text), "watertight_ransom") {
		t.Error("there are metrics of a store")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if r, err := http.Get("http://" + at[1] + "/metrics"); err == nil {
		r.Body.Close()
		t.Error("the listener is still there")
	}
	config.MetricsListen = ":0"
	if err := RunEdge(t.Context(), config); err == nil || !strings.Contains(err.Error(), "--metrics-listen") {
		t.Errorf("%v", err)
	}
}
