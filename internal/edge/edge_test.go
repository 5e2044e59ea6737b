package edge_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"watertight/internal/core/distribution"
)

// The handler of OnlyRedirects redirects to HTTPS, and serves no content.
func TestOnlyRedirects(t *testing.T) {
	for _, c := range []struct {
		name, policy, method, host string
		status                     int
	}{
		{"allow-all", "allow-all", "GET", "d1.cloudfront.net", http.StatusMovedPermanently},
		{"redirect", "redirect-to-https", "HEAD", "d1.cloudfront.net", http.StatusMovedPermanently},
		{"https-only", "https-only", "GET", "d1.cloudfront.net", http.StatusForbidden},
		{"a write", "allow-all", "POST", "d1.cloudfront.net", http.StatusForbidden},
		{"another host", "allow-all", "GET", "evil.example", http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.site.Config.DefaultCacheBehavior.ViewerProtocolPolicy = c.policy
			b.apply(t)
			r := httptest.NewRequest(c.method, "/a?b=c", nil)
			r.Host = c.host
			r.Header.Set("Test-Secure", "1") // a proxy's header does not encrypt this connection
			w := httptest.NewRecorder()
			b.edge.OnlyRedirects().ServeHTTP(w, r)
			if w.Code != c.status || len(b.origin.asked) > 0 {
				t.Errorf("%d, and the origin was asked %q", w.Code, b.origin.asked)
			}
			if l := w.Header().Get("Location"); c.status < 400 && l != "https://d1.cloudfront.net/a?b=c" {
				t.Errorf("redirected to %q", l)
			}
		})
	}
}

// A distribution whose record has an IP address as an alias gets no requests for that address.
// A request for a distribution's local path never reaches another distribution.
func TestAddressesBelongToNobody(t *testing.T) {
	b := newBench(t)
	b.origin.answers = []string{"200\n\nx"}
	thief := *usual()
	thief.ID, thief.DomainName = "E2", "d2.cloudfront.net"
	thief.Config.Aliases.Items = []string{"127.0.0.1", "*.0.0.1", "[::1]", "192.0.2.1"}
	snapshot := &distribution.Snapshot{Generation: 9, Sites: []distribution.Site{*usual(), thief}}
	if err := b.edge.Apply(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	here := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9080}
	for _, c := range []struct {
		host, path string
		served     string // the path that the bucket is asked for, or ""
	}{
		{"127.0.0.1", "/a", ""},
		{"127.0.0.1:9080", "/index.html", ""},
		{"[::1]", "/a", ""},
		{"192.0.2.1", "/a", ""},
		{"9.0.0.1", "/a", ""},
		{"localhost", "/_/E1/b", "/b"},
		{"127.0.0.1", "/_/E1/c", "/c"},
		{"[::1]:9080", "/_/E1/d", "/d"},
		{"127.0.0.1", "/_/E9/e", ""},
	} {
		t.Run(c.host+c.path, func(t *testing.T) {
			b.origin.asked = nil
			r := httptest.NewRequest(http.MethodGet, c.path, nil)
			r.Host, r.RemoteAddr = c.host, "127.0.0.1:40000"
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, here))
			w := httptest.NewRecorder()
			b.edge.ServeHTTP(w, r)
			if c.served == "" && (w.Code != http.StatusForbidden || len(b.origin.asked) > 0) ||
				c.served != "" && (w.Code != http.StatusOK || len(b.origin.asked) != 1) {
				t.Errorf("%d, and the origin was asked %q", w.Code, b.origin.asked)
			}
			if b.edge.Serves(c.host) || b.edge.ServesAlias(c.host) {
				t.Error("a certificate is made for it")
			}
		})
	}
}

// A connection whose certificate was checked for one distribution serves no other.
func TestMisdirected(t *testing.T) {
	b := newBench(t)
	b.origin.answers = []string{"200\n\nx"}
	other := *usual()
	other.ID, other.DomainName, other.Config.Aliases.Items = "E2", "d2.cloudfront.net", nil
	snapshot := &distribution.Snapshot{Generation: 9, Sites: []distribution.Site{*b.site, other}}
	if err := b.edge.Apply(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, host string
		status     int
	}{
		{"d1.cloudfront.net", "d1.cloudfront.net", http.StatusOK},
		{"WWW.example.com", "d1.cloudfront.net", http.StatusOK},
		{"d2.cloudfront.net", "d1.cloudfront.net", http.StatusMisdirectedRequest},
		{"elsewhere.example", "d1.cloudfront.net", http.StatusMisdirectedRequest},
		{"", "d1.cloudfront.net", http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "https://"+c.host+"/a", nil)
			r.RequestURI, r.Host, r.TLS.ServerName = "/a", c.host, c.name
			w := httptest.NewRecorder()
			if b.edge.ServeHTTP(w, r); w.Code != c.status {
				t.Errorf("%d", w.Code)
			}
		})
	}
}

// signer makes signed URLs.
type signer struct {
	key *ecdsa.PrivateKey
	pem string
}

func newSigner(t *testing.T) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

// parameters sign a policy for a URL until an instant.
func (s signer) parameters(t *testing.T, url string, until time.Time) string {
	t.Helper()
	policy := fmt.Sprintf(`{"Statement":[{"Resource":"%s","Condition":{"DateLessThan":{"AWS:EpochTime":%d}}}]}`, url,
		until.Unix())
	sum := sha1.Sum([]byte(policy))
	signature, err := ecdsa.SignASN1(rand.Reader, s.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	encode := func(b []byte) string {
		return strings.NewReplacer("+", "-", "=", "_", "/", "~").Replace(base64.StdEncoding.EncodeToString(b))
	}
	return "Policy=" + encode([]byte(policy)) + "&Signature=" + encode(signature) + "&Key-Pair-Id=K1"
}

// Signatures are verified for the path that is served, before the cache is looked at, and
// reach neither the key nor the origin.
func TestSignedAccess(t *testing.T) {
	b := newBench(t)
	s := newSigner(t)
	b.site.Config.DefaultRootObject = "index.html"
	b.site.KeyGroups["G1"] = []distribution.Key{{ID: "K1", PEM: s.pem}}
	b.site.Config.CacheBehaviors.Items = []distribution.CacheBehavior{{
		PathPattern: "/private/*", TargetOriginId: "bucket", ViewerProtocolPolicy: "allow-all", CachePolicyId: "cache",
		TrustedKeyGroups: distribution.TrustedKeyGroups{Enabled: true, Items: []string{"G1"}},
	}}
	p := b.site.CachePolicies["cache"]
	p.ParametersInCacheKeyAndForwardedToOrigin.QueryStringsConfig.QueryStringBehavior = "all"
	b.site.CachePolicies["cache"] = p
	b.origin.answers = []string{"200\n\nsecret"}
	b.apply(t)
	soon, past := b.now.Add(time.Minute), b.now.Add(-time.Minute)
	const base = "http://d1.cloudfront.net"
	one := s.parameters(t, base+"/private/a", soon)
	dir := s.parameters(t, base+"/private/dir/*", soon)
	for _, c := range []struct{ name, target, want string }{
		{"none", "/private/a", "< 403"},
		{"right", "/private/a?" + one, "? bucket GET /private/a\n< 200"},
		{"from the cache", "/private/a?" + one, "< 200"},
		{"none, though it is cached", "/private/a", "< 403"},
		{"another path", "/private/b?" + one, "< 403"},
		{"another query", "/private/a?x=1&" + one, "< 403"},
		{"another way to write the path", "/private/%61?" + one, "< 200"},
		{"another way to write a slash", "/private%2fa?" + one, "< 200"},
		{"out of a directory", "/private/dir/../a?" + dir, "< 403"},
		{"out of a directory, escaped", "/private/dir/%2e%2e%2fa?" + dir, "< 403"},
		{"in a directory", "/private/dir/b?" + dir, "? bucket GET /private/dir/b\n< 200"},
		{"over", "/private/a?" + s.parameters(t, base+"/private/a", past), "< 403"},
		{"another key", "/private/a?" + newSigner(t).parameters(t, base+"/private/a", soon), "< 403"},
		{"twice", "/private/a?" + one + "&Key-Pair-Id=K1", "< 403"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.origin.asked = nil
			got := b.ask(t, "GET "+c.target)
			if got = strings.Join(b.origin.asked, "") + got; !strings.HasPrefix(got, c.want) {
				t.Errorf("%s", got)
			}
		})
	}
	b.site.KeyGroups["G1"] = nil
	b.apply(t)
	if got := b.ask(t, "GET /private/a?"+one); !strings.HasPrefix(got, "< 403") {
		t.Errorf("a key that was taken away: %s", got)
	}
}

// The access log has what viewers asked and what they got.
func TestLogged(t *testing.T) {
	b := newBench(t)
	b.origin.answers = []string{"200\nContent-Type: text/plain\n\nhello"}
	b.ask(t, "GET /before")
	if len(b.logged) > 0 {
		t.Error("a distribution without Logging is logged")
	}
	b.site.Config.Logging = distribution.Logging{Enabled: true, Bucket: "logs.s3.amazonaws.com"}
	b.apply(t)
	b.ask(t, "GET /%61?x=1\nUser-Agent: curl\nCookie: a=1\nX-Forwarded-For: 203.0.113.9\nReferer: https://a.example/")
	b.ask(t, "GET /a?x=2\nRange: bytes=1-2")
	b.ask(t, "POST /a")
	if len(b.logged) != 3 {
		t.Fatalf("%d entries", len(b.logged))
	}
	e := b.logged[0]
	if e.Path != "/a" || e.Query != "x=1" || e.Status != 200 || e.Result != "Miss" || e.UserAgent != "curl" ||
		e.Cookies != "" || e.Forwarded != "203.0.113.9" || e.Viewer.Addr().String() != "192.0.2.7" ||
		e.Host != "d1.cloudfront.net" || e.Protocol != "http" || e.Type != "text/plain" || e.Length != "5" ||
		e.Sent <= 5 || e.Received <= 20 || e.Site.ID != "E1" || e.ID == "" {
		t.Errorf("%+v", e)
	}
	if e = b.logged[1]; e.Result != "Hit" || e.Status != 206 || e.RangeFrom != "1" || e.RangeTo != "2" {
		t.Errorf("%+v", e)
	}
	if e = b.logged[2]; e.Result != "Error" || e.Status != 403 || e.Detail != "AccessDenied" {
		t.Errorf("%+v", e)
	}
}
