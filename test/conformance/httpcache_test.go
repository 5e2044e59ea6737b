package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/edge"
	"watertight/internal/edge/cache"
	"watertight/internal/edge/origin"
	"watertight/internal/outbound"
	"watertight/internal/storage/seal"
	"watertight/test/harness"
)

// TestHTTPCache runs the public suite of tests for HTTP caches against the edge. The suite's
// server is a custom origin. A test that the edge does not pass is listed as an exception.
func TestHTTPCache(t *testing.T) {
	results := httpCache(t)
	exceptions := readExceptions(t, "http-cache")
	names := readNames(t, "http-cache")
	want := regexp.MustCompile(*only)
	for _, name := range names {
		e, excepted := exceptions[name]
		delete(exceptions, name)
		if !want.MatchString(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			failure, ran := results[name]
			switch {
			case !ran:
				t.Error("the suite has no such test")
			case excepted && failure == "":
				t.Errorf("passes, although it is listed as an exception: %s", e.reason)
			case !excepted && failure != "":
				t.Error(failure)
			}
		})
	}
	for name := range exceptions {
		t.Errorf("%s is listed as an exception, and no test of the suite has that name", name)
	}
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not listed: %s", name, results[name])
		}
	}
}

// httpCache returns what failed of each of the suite's tests, or "".
func httpCache(t *testing.T) map[string]string {
	t.Helper()
	if !harness.ToolsRequired() && *only == "" {
		t.Skip("takes half a minute; make conformance runs it")
	}
	harness.NeedTool(t, "node")
	suite, err := filepath.Abs("../../bin/tools/node/node_modules/http-cache-tests")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(suite); err != nil {
		t.Fatalf("the suite is not installed, run make tools: %v", err)
	}
	viewers := cacheEdge(t, suiteServer(t, suite))
	cmd := exec.CommandContext(t.Context(), "node", "--no-warnings", "cli.mjs")
	cmd.Dir, cmd.Stderr = suite, os.Stderr
	cmd.Env = append(os.Environ(), "npm_config_base="+viewers, "npm_config_id=", "npm_package_config_id=")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(out[strings.Index(string(out), "{"):], &raw); err != nil {
		t.Fatalf("%v in %.1000s", err, out)
	}
	results := map[string]string{}
	for name, r := range raw {
		var failure []string
		if string(r) != "true" && json.Unmarshal(r, &failure) == nil {
			results[name] = strings.Join(failure, ": ")
		} else {
			results[name] = ""
		}
	}
	return results
}

// suiteServer runs the suite's origin, and returns its host and port.
func suiteServer(t *testing.T, suite string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	cmd := exec.CommandContext(t.Context(), "node", "server/server.mjs")
	cmd.Dir = suite
	cmd.Env = append(os.Environ(), "npm_config_protocol=http", "npm_config_port="+port,
		"npm_config_pidfile="+filepath.Join(t.TempDir(), "pid"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	at := "127.0.0.1:" + port
	for range 200 {
		if c, err := net.Dial("tcp", at); err == nil {
			c.Close()
			return at
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the suite's server does not answer")
	return ""
}

// numbers tell the suite's server which of a test's requests reached it. They must not be in
// the cache key, and the edge sends nothing to an origin that isn't.
type numbers struct {
	origins origin.Origins
	newest  sync.Map // path → Req-Num of the newest request
}

func (n *numbers) front(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n.newest.Store(strings.TrimPrefix(r.URL.Path, "/_/E1"), r.Header["Req-Num"])
		next.ServeHTTP(w, r)
	}
}

func (n *numbers) RoundTrip(ctx context.Context, r *origin.Request) (*http.Response, error) {
	r.Header = r.Header.Clone()
	if v, ok := n.newest.Load(r.Path); ok && v.([]string) != nil {
		r.Header["Req-Num"] = v.([]string)
	}
	return n.origins.RoundTrip(ctx, r)
}

// cacheEdge runs an edge in front of an origin, with a cache on the disk. Query strings and
// the headers that the suite's tests of Vary send are in the cache key.
func cacheEdge(t *testing.T, at string) string {
	t.Helper()
	servers, err := outbound.NewNamed(outbound.NamedOptions{Allow: []string{at}})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := cache.Open(cache.Options{Dir: t.TempDir(), Key: seal.NewKey(), MaxBytes: 64 << 20, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kept.Close() })
	n := &numbers{origins: origin.New(origin.Options{Servers: servers, Now: time.Now})}
	e := edge.New(edge.Options{Cache: kept, Origins: n, Now: time.Now})
	s := httptest.NewServer(n.front(e))
	t.Cleanup(s.Close)
	snapshot := &distribution.Snapshot{Generation: 1, Sites: []distribution.Site{cacheSite(at)}}
	if err := e.Apply(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	return s.URL + "/_/E1"
}

func cacheSite(at string) distribution.Site {
	_, port, _ := net.SplitHostPort(at)
	var number int
	fmt.Sscan(port, &number)
	none, long := int64(0), int64(31536000)
	keyed := []string{"Foo", "Bar", "Baz", "Abc", "Accept-Language"}
	all := []string{"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"}
	behavior := func(pattern, policy string) distribution.CacheBehavior {
		return distribution.CacheBehavior{
			PathPattern: pattern, TargetOriginId: "o", ViewerProtocolPolicy: "allow-all", CachePolicyId: policy,
			AllowedMethods: distribution.AllowedMethods{Quantity: len(all), Items: all},
		}
	}
	return distribution.Site{
		ID: "E1", Account: "000000000000", DomainName: "d1.cloudfront.net",
		Config: distribution.Config{
			Enabled: true,
			Origins: distribution.Origins{Quantity: 1, Items: []distribution.Origin{{
				Id: "o", DomainName: "127.0.0.1", CustomOriginConfig: &distribution.CustomOriginConfig{
					HTTPPort: number, HTTPSPort: 443, OriginProtocolPolicy: "http-only",
				},
			}}},
			DefaultCacheBehavior: behavior("", "cached"),
			CacheBehaviors: distribution.CacheBehaviors{Quantity: 2, Items: []distribution.CacheBehavior{
				behavior("/config/*", "disabled"), behavior("/state/*", "disabled"),
			}},
		},
		CachePolicies: map[string]distribution.CachePolicyConfig{
			"cached": {
				DefaultTTL: &none, MaxTTL: &long,
				ParametersInCacheKeyAndForwardedToOrigin: distribution.CacheKeyParameters{
					HeadersConfig: distribution.CachePolicyHeaders{
						HeaderBehavior: "whitelist", Headers: &distribution.Headers{Quantity: len(keyed), Items: keyed},
					},
					QueryStringsConfig: distribution.PolicyQueryStrings{QueryStringBehavior: "all"},
				},
			},
			"disabled": {DefaultTTL: &none, MaxTTL: &none},
		},
	}
}
