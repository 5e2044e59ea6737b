package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
)

// measured runs a server with all metrics, some requests on it, and returns what a scrape gives.
func measured(t *testing.T) string {
	t.Helper()
	s, _ := cdnServer(t, func(c *server.Config) { c.MetricsListen, c.ProfileListen = "127.0.0.1:0", "127.0.0.1:0" })
	newBucket(t, s, "measured")
	ctx := t.Context()
	for range 3 {
		_, err := s.S3.PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String("measured"), Key: aws.String("secretname"), Body: strings.NewReader("hello"),
		})
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.S3.GetObject(ctx, &s3.GetObjectInput{
			Bucket: aws.String("measured"), Key: aws.String("secretname"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, out.Body); errors.Join(err, out.Body.Close()) != nil {
			t.Fatal(err)
		}
	}
	if res, err := http.Get(s.Endpoint + "/measured/secretname"); err != nil || res.StatusCode != http.StatusForbidden {
		t.Fatal(res, err)
	}
	res, err := http.Get("http://" + s.MetricsAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestMetrics: what clients did is in the metrics, and nothing that they named; the dashboard, the alert
// rules and the page name metrics that exist, and the page names all of ours.
func TestMetrics(t *testing.T) {
	text := measured(t)
	if strings.Contains(text, "secretname") || strings.Contains(text, "\"measured\"") {
		t.Error("a metric has the name of a bucket or a key")
	}
	for _, want := range []string{
		`watertight_requests_total{operation="GetObject",service="s3",status="403"} 1`,
		`watertight_refusals_total{code="AccessDenied"} 1`,
		`watertight_sent_bytes_total{operation="GetObject",service="s3"} 15`,
		`watertight_request_duration_seconds_count{operation="GetObject",service="s3"} 4`,
		`watertight_healthy{what="writes"} 1`, `watertight_document_memory_bytes{who="strangers"} 0`,
		`watertight_audit_failing 0`, `watertight_disk_accepts_writes 1`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	for _, more := range []string{
		`watertight_requests_total{operation="PutObject",service="s3",status="200"}`,
		`watertight_received_bytes_total{operation="PutObject",service="s3"}`,
		`watertight_fsyncs_total{files="records"}`, `watertight_fsyncs_total{files="audit"}`,
		`watertight_commits_total`,
		`watertight_commit_groups_total`, `watertight_cache_hits_total{cache="records"}`,
		`watertight_cache_hits_total{cache="signing_keys"}`, `watertight_disk_free_bytes`,
	} {
		if m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(more) + ` (\S+)$`).FindStringSubmatch(text); m == nil ||
			m[1] == "0" {
			t.Errorf("%s is %q, want more than 0", more, m)
		}
	}
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(text, -1) {
		there[m[1]] = true
	}
	for _, file := range []string{
		"contrib/prometheus/watertight.rules.yml", "contrib/grafana/watertight.json", "docs/METRICS.md",
	} {
		t.Run(file, func(t *testing.T) { onlyExisting(t, file, there) })
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "METRICS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if strings.HasPrefix(name, "watertight_") && !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/METRICS.md does not explain %s", name)
		}
	}
}

// onlyExisting fails for each metric that a file names and no server has.
func onlyExisting(t *testing.T, file string, there map[string]bool) {
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, ".json") && !json.Valid(text) {
		t.Error("it is no JSON")
	}
	if bytes.Contains(text, []byte("\t")) && strings.HasSuffix(file, ".yml") {
		t.Error("YAML has no tabs")
	}
	names := regexp.MustCompile(`\b(?:watertight|process|go)_[a-z_]+[a-z]\b`).FindAllString(string(text), -1)
	for _, name := range names {
		base := name
		for _, end := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, end)
		}
		if !there[name] && !there[base] {
			t.Errorf("there is no metric %s", name)
		}
	}
	if len(names) < 10 {
		t.Errorf("only %d metrics are named", len(names))
	}
}

// TestProfiles: the listener for profiles serves them, and nothing else.
func TestProfiles(t *testing.T) {
	c := newCast(t, func(c *server.Config) { c.ProfileListen = "127.0.0.1:0" })
	for path, want := range map[string]int{
		"/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/profile?seconds=1": 200,
		"/debug/pprof/cmdline": 404, "/metrics": 404, "/": 404,
	} {
		t.Run(path, func(t *testing.T) {
			res, err := http.Get("http://" + c.ProfileAddr() + path)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != want {
				t.Errorf("%s, want %d, %v", res.Status, want, err)
			}
		})
	}
}
