package edge

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/core/distribution"
)

// draw makes a behaviour whose policies mean any of a few names.
func draw(t *rapid.T) *behavior {
	items := func(label string, names ...string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 2, rapid.ID[string]).Draw(t, label)
	}
	kind := func(label string, kinds ...string) string { return rapid.SampledFrom(kinds).Draw(t, label) }
	params := []string{"a", "b", "utm"}
	zero := int64(3600)
	s := &distribution.Site{
		ID: "E1", Account: "111122223333", DomainName: "d1.cloudfront.net",
		Config: distribution.Config{
			Origins: distribution.Origins{Items: []distribution.Origin{{
				Id: "o", DomainName: "origin.example", CustomOriginConfig: &distribution.CustomOriginConfig{},
			}}},
			DefaultCacheBehavior: distribution.CacheBehavior{
				TargetOriginId: "o", CachePolicyId: "c", OriginRequestPolicyId: "r",
			},
		},
		CachePolicies: map[string]distribution.CachePolicyConfig{"c": {
			MaxTTL: &zero,
			ParametersInCacheKeyAndForwardedToOrigin: distribution.CacheKeyParameters{
				EnableAcceptEncodingGzip: rapid.Bool().Draw(t, "gzip"),
				HeadersConfig: distribution.CachePolicyHeaders{
					HeaderBehavior: kind("keyed headers", "none", "whitelist"),
					Headers:        &distribution.Headers{Items: items("header", "X-A", "Host", "Authorization")},
				},
				CookiesConfig: distribution.PolicyCookies{
					CookieBehavior: kind("keyed cookies", "none", "whitelist", "allExcept", "all"),
					Cookies:        &distribution.CookieNames{Items: items("cookie", params...)},
				},
				QueryStringsConfig: distribution.PolicyQueryStrings{
					QueryStringBehavior: kind("keyed queries", "none", "whitelist", "allExcept", "all"),
					QueryStrings:        &distribution.QueryStringNames{Items: items("query", params...)},
				},
			},
		}},
		OriginRequestPolicies: map[string]distribution.OriginRequestPolicyConfig{"r": {
			HeadersConfig: distribution.OriginRequestHeaders{
				HeaderBehavior: kind("more headers", "none", "whitelist", "allViewer", "allExcept"),
				Headers: &distribution.Headers{
					Items: items("more header", "X-B", "Accept", "CloudFront-Forwarded-Proto"),
				},
			},
			CookiesConfig: distribution.PolicyCookies{CookieBehavior: kind("more cookies", "none", "all")},
			QueryStringsConfig: distribution.PolicyQueryStrings{
				QueryStringBehavior: kind("more queries", "none", "whitelist", "all"),
				QueryStrings:        &distribution.QueryStringNames{Items: items("more query", params...)},
			},
		}},
	}
	b, err := newBehavior(s, &s.Config.DefaultCacheBehavior)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// drawViewed makes a request of a viewer.
func drawViewed(t *rapid.T, label string) *viewed {
	text := rapid.StringMatching(`[abu%=&;/.,"1 ]{0,8}`)
	h := http.Header{}
	for _, name := range []string{
		"X-A", "X-B", "Accept", "Accept-Encoding", "Authorization", "Cookie", "Cookie", "X-Forwarded-Host", "Te",
	} {
		if rapid.IntRange(0, 2).Draw(t, label+name) == 0 {
			h[name] = append(h[name], text.Draw(t, label+name+" value"))
		}
	}
	target, ok := parseTarget("/" + strings.ReplaceAll(text.Draw(t, label+"target"), " ", "?"))
	if !ok {
		target.path = "/"
	}
	return &viewed{
		method: rapid.SampledFrom([]string{"GET", "HEAD", "OPTIONS"}).Draw(t, label+"method"), target: target,
		host: rapid.SampledFrom([]string{"d1.cloudfront.net", "www.example.com"}).Draw(t, label+"host"), header: h,
		about: func(string) string { return "https" },
	}
}

// Two requests have the same key only if the origin is asked the same, so that an answer
// can't depend on anything that is not in its key.
func TestKeyHasAllThatIsAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := draw(t)
		v, w := drawViewed(t, "one "), drawViewed(t, "other ")
		a, c := b.forward(v), b.forward(w)
		same := a.target == c.target && reflect.DeepEqual(a.header, c.header) &&
			strings.Replace(a.method, "HEAD", "GET", 1) == strings.Replace(c.method, "HEAD", "GET", 1)
		if equal := b.key(&a) == b.key(&c); equal != same {
			t.Fatalf("keys equal: %v, asked the same: %v\n%+v\n%+v", equal, same, a, c)
		}
		if _, ok := a.header["Authorization"]; ok && a.shared && !b.keyed.headers.has("authorization") {
			t.Fatal("an answer to an Authorization that is not in the key is shared")
		}
		for name := range a.header {
			if isEdges(strings.ToLower(name)) && name != "Host" && name != "Cookie" &&
				!strings.HasPrefix(name, "Cloudfront-") {
				t.Fatalf("%s reached the origin", name)
			}
		}
	})
}

// However a viewer spells the key of a bucket's object, the same behaviour decides, or the request
// is refused.
func TestSpellingsOfAPathHaveOneBehavior(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t).site
		s.Config.Origins.Items[0].CustomOriginConfig = nil
		for _, p := range rapid.SliceOfN(rapid.StringMatching(`/[a@+"'*?/]{1,6}`), 1, 3).Draw(t, "patterns") {
			b := s.Config.DefaultCacheBehavior
			b.PathPattern = p
			s.Config.CacheBehaviors.Items = append(s.Config.CacheBehaviors.Items, b)
		}
		served, err := newSite(s)
		if err != nil {
			t.Fatal(err)
		}
		key := rapid.StringMatching(`[a@+"' /é]{1,8}`).Draw(t, "key")
		spell := func(label string) *behavior {
			var out strings.Builder
			for i := range len(key) {
				c := key[i]
				switch kind := rapid.IntRange(0, 2).Draw(t, label); {
				case c == ' ' && kind == 0:
					out.WriteByte('+')
				case kind < 2 && c != ' ' && c != '+':
					out.WriteByte(c)
				case kind == 1:
					fmt.Fprintf(&out, "%%%02x", c)
				default:
					fmt.Fprintf(&out, "%%%02X", c)
				}
			}
			target, ok := parseTarget("/" + out.String())
			if !ok {
				t.Fatalf("%q can't be read", out.String())
			}
			return served.behavior(target.path)
		}
		if a, b := spell("one"), spell("other"); a != nil && b != nil && a != b {
			t.Fatalf("two behaviours: %q and %q", a.config.PathPattern, b.config.PathPattern)
		}
	})
}

// FuzzTarget checks what other code relies on: normalization is idempotent, it changes no key
// that a bucket reads except for dot segments, and net/url parses the normalized path to
// itself.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{
		"/",
		"/a%2fb?x=%2f", "/%2e%2e/%2E/a", "//a/../b", "/a/..", "/.%2e/%2e./", "/%", "/%0d%0a", "/\xff?\x80", "/a?b?c",
		"/..;/a", "/%252e%252e/", "/a/./", "/%5c..%5c", "*", "/a#b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := parseTarget(raw)
		if !ok {
			return
		}
		again, ok := parseTarget(got.String())
		if !ok || again != got {
			t.Fatalf("%q becomes %q, and that %q", raw, got, again)
		}
		if strings.ContainsAny(got.path+got.query, " \r\n\t\"<>\\^`{|}#\x00\x7f") || strings.Contains(got.path, "?") {
			t.Fatalf("%q becomes %q", raw, got)
		}
		for s := range strings.SplitSeq(got.path, "/") {
			if s == "." || s == ".." {
				t.Fatalf("%q becomes %q", raw, got)
			}
		}
		u, err := url.ParseRequestURI(got.String())
		if err != nil || u.EscapedPath() != got.path || u.RawQuery != got.query {
			t.Fatalf("%q becomes %q, which net/url reads as %+v, %v", raw, got, u, err)
		}
		path, _, _ := strings.Cut(raw, "?")
		before, err := url.PathUnescape(path)
		if after, aerr := url.PathUnescape(got.path); err != nil || aerr != nil ||
			!strings.Contains(before, "/.") && path != "" && before != after {
			t.Fatalf("%q is %q, and %q is %q", path, before, got.path, after)
		}
	})
}

// FuzzConditions checks the parsers of viewers' conditions and ranges.
func FuzzConditions(f *testing.F) {
	f.Add(`"a", W/"b"`, "bytes=0-1", int64(10))
	f.Add(`*`, "bytes=-5", int64(0))
	f.Add(`W/"`, "bytes=9999999999999999999-", int64(1))
	f.Fuzz(func(t *testing.T, tags, ranges string, size int64) {
		h := http.Header{"Etag": {`"a"`}, "Last-Modified": {"Fri, 01 May 2026 10:00:00 GMT"}}
		v := http.Header{"If-None-Match": {tags}, "If-Match": {tags}, "If-Range": {tags}}
		judge(v, h)
		rangeHolds(v, h)
		s, ok := parseRange([]string{ranges})
		if !ok || size < 0 {
			return
		}
		if off, n, ok := s.within(size); ok && (off < 0 || n <= 0 || off+n > size) {
			t.Fatalf("%q of %d is %d bytes from %d", ranges, size, n, off)
		}
		if again, ok := parseRange([]string{s.String()}); !ok && s.first < 1<<63-1 || ok && again != s {
			t.Fatalf("%q is %+v, and that %+v", ranges, s, again)
		}
	})
}

// FuzzHost checks that a host is parsed to a normalized name, or is refused.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"a.example", "A.example.:443", "[::1]:80", "a@b", "a b", "[", "*.a", ":80", "a:b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		name, ok := hostName(host)
		if ok && (name == "" || strings.ContainsAny(name, "/@?#% *\\\r\n") || name != strings.ToLower(name)) {
			t.Fatalf("%q is %q", host, name)
		}
	})
}
