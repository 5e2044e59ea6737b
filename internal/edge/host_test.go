package edge_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/edge"
	"watertight/internal/edge/cache"
)

// All spellings of a host have one cache entry, and the origin gets the normalized name.
func TestSpellingsOfAHostAreOneEntry(t *testing.T) {
	site := usual()
	site.Config.DefaultCacheBehavior.OriginRequestPolicyId = "more"
	site.Config.DefaultCacheBehavior.TargetOriginId = "custom"
	site.OriginRequestPolicies["more"] = distribution.OriginRequestPolicyConfig{
		HeadersConfig: distribution.OriginRequestHeaders{HeaderBehavior: "allViewer"},
	}
	c, err := cache.Open(cache.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	e := edge.New(edge.Options{Cache: c, Origins: echo{}, Now: time.Now})
	snapshot := &distribution.Snapshot{Generation: 1, Sites: []distribution.Site{*site}}
	if err := e.Apply(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	for n, host := range []string{"D1.cloudfront.net:9080", "d1.cloudfront.NET", "d1.cloudfront.net."} {
		r := httptest.NewRequest("GET", "/a", nil)
		r.Host = host
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		hit := strings.HasPrefix(w.Header().Get("X-Cache"), "Hit")
		if !strings.Contains(w.Body.String(), `Host: ["d1.cloudfront.net"]`) || hit != (n > 0) {
			t.Errorf("%s: %s, %s", host, w.Header().Get("X-Cache"), w.Body)
		}
	}
}
