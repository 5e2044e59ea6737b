package edge_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/edge"
	"watertight/internal/edge/cache"
	"watertight/internal/edge/origin"
)

// echo answers with the request that it got. The path says whether the answer may be cached.
type echo struct{}

func (echo) RoundTrip(_ context.Context, r *origin.Request) (*http.Response, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s?%s\n", r.Path, r.Query)
	for _, name := range []string{"Authorization", "Cookie", "Host", "X-A", "X-B", "X-Forwarded-Host"} {
		fmt.Fprintf(&b, "%s: %q\n", name, r.Header[name])
	}
	control := "max-age=60"
	if strings.Contains(r.Path, "private") {
		control = "private"
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Cache-Control": {control}}, ContentLength: int64(b.Len()),
		Body: io.NopCloser(strings.NewReader(b.String())),
	}, nil
}

// Whatever is cached and collapsed, each viewer gets the same answer as if the origin had
// answered this viewer's request alone.
func TestViewersGetTheirOwnAnswers(t *testing.T) {
	site := usual()
	site.Config.DefaultCacheBehavior.OriginRequestPolicyId = "more"
	site.Config.DefaultCacheBehavior.TargetOriginId = "custom"
	p := site.CachePolicies["cache"]
	p.ParametersInCacheKeyAndForwardedToOrigin = distribution.CacheKeyParameters{
		HeadersConfig: distribution.CachePolicyHeaders{
			HeaderBehavior: "whitelist", Headers: &distribution.Headers{Items: []string{"X-A"}},
		},
		CookiesConfig: distribution.PolicyCookies{
			CookieBehavior: "whitelist", Cookies: &distribution.CookieNames{Items: []string{"a"}},
		},
	}
	site.CachePolicies["cache"] = p
	site.OriginRequestPolicies["more"] = distribution.OriginRequestPolicyConfig{
		HeadersConfig: distribution.OriginRequestHeaders{
			HeaderBehavior: "whitelist",
			Headers:        &distribution.Headers{Items: []string{"X-B", "Host", "Authorization"}},
		},
		QueryStringsConfig: distribution.PolicyQueryStrings{QueryStringBehavior: "all"},
	}
	start := func() *edge.Edge {
		c, err := cache.Open(cache.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		e := edge.New(edge.Options{Cache: c, Origins: echo{}, Now: time.Now})
		snapshot := &distribution.Snapshot{Generation: 1, Sites: []distribution.Site{*site}}
		if err := e.Apply(t.Context(), snapshot); err != nil {
			t.Fatal(err)
		}
		return e
	}
	shared := start()
	ask := func(e *edge.Edge, raw string) string {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			return "unreadable"
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r.WithContext(t.Context()))
		return w.Body.String()
	}
	pick := func(state *uint64, options ...string) string { // a linear congruential generator
		*state = *state*6364136223846793005 + 1442695040888963407
		return options[*state>>33%uint64(len(options))]
	}
	var viewers sync.WaitGroup
	for n := range uint64(8) {
		viewers.Go(func() {
			random := &n
			for range 300 {
				raw := "GET " + pick(random, "/a", "/private", "/%61", "/x/../a") + pick(random, "", "?q=1", "?q=2") +
					" HTTP/1.1\r\nHost: " + pick(random, "d1.cloudfront.net", "www.example.com") + "\r\n" +
					pick(random, "", "Authorization: one\r\n", "Authorization: two\r\n") +
					pick(random, "", "Cookie: a=1; b=2\r\n", "Cookie: a=2\r\n", "Cookie: b=1\r\n") +
					pick(random, "", "X-A: 1\r\n", "X-A: 2\r\n") + pick(random, "", "X-B: 1\r\n", "X-B: 2\r\n") +
					pick(random, "", "X-Forwarded-Host: evil.example\r\n") + "\r\n"
				if got, alone := ask(shared, raw), ask(start(), raw); got != alone {
					t.Errorf("%q\ngot  %q\nalone %q", raw, got, alone)
					return
				}
			}
		})
	}
	viewers.Wait()
}
