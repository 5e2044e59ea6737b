package remote_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"watertight/internal/edge/origin"
	"watertight/internal/edge/remote"
)

// TestRoundTrip: a request that a viewer signed reaches the store as the viewer signed it; others
// name the bucket in the path.
func TestRoundTrip(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	defer server.Close()
	store, err := remote.Open(remote.Options{
		Address: server.URL, Now: time.Now,
		Credential: remote.Credential{AccessKeyID: "AK", SecretAccessKey: "secret", Region: "us-east-1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	here := strings.TrimPrefix(server.URL, "http://")
	const there = "b.s3.example"
	for _, c := range []struct {
		name, target, authorization string
		signs                       bool
		host, uri                   string
	}{
		{"the edge", "/a%20b?x=1", "", true, here, "/b/a%20b?x=1"},
		{"nobody", "/a%20b?x=1", "", false, here, "/b/a%20b?x=1"},
		{"a viewer", "/a%20b?x=1", "AWS4-HMAC-SHA256 x", false, there, "/a%20b?x=1"},
		{"a viewer, in the query", "/a%20b?X-Amz-Signature=1", "", false, there, "/a%20b?X-Amz-Signature=1"},
		{"the edge, in spite of a query", "/a?X-Amz-Signature=1", "", true, here, "/b/a?X-Amz-Signature=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "https://"+there+c.target, nil)
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			res, err := store.RoundTrip(t.Context(), "b", r, origin.Sender{
				Signs: c.signs, SourceARN: "arn:aws:cloudfront::111122223333:distribution/E1",
			})
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if got.Host != c.host || got.RequestURI != c.uri {
				t.Errorf("%s%s", got.Host, got.RequestURI)
			}
			signed := strings.HasPrefix(got.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AK/")
			if signed != c.signs || signed && got.Header.Get("X-Amz-Security-Token") != "E1" {
				t.Errorf("%q", got.Header)
			}
		})
	}
}
