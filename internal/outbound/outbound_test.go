package outbound

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"watertight/internal/fault"
)

// TestServerSideRequestForgery (SeaweedFS GHSA-87fv; MinIO CVE-2021-21287; RustFS
// GHSA-m479) is an attack on servers that fetch a stranger's URL: only public addresses are dialled, in
// whichever form the address is written, and even if its name resolved to a public address a moment ago.
func TestServerSideRequestForgery(t *testing.T) {
	c := New(Options{})
	for _, a := range []string{
		"8.8.8.8", "1.1.1.1", "140.82.112.3", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "::ffff:8.8.8.8",
	} {
		if !c.reachable(netip.MustParseAddr(a)) {
			t.Errorf("%s is public, but is not reachable", a)
		}
	}
	for _, a := range []string{
		"127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "169.254.170.2",
		"100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
		"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
		"168.63.129.16",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
		"64:ff9b:1::1", "100::1",
		"fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1", "2001::1",
		"2001:db8::1", "2002:7f00:1::", "3fff::1", "4000::1",
	} {
		if c.reachable(netip.MustParseAddr(a)) {
			t.Errorf("%s is reachable", a)
		}
	}
	// An allowed range allows nothing else, in either spelling.
	allowed := New(Options{Allow: []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/16"),
	}})
	for a, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "fd00::1": true, "10.2.0.1": false, "127.0.0.1": false,
		"fd01::1": false, "169.254.169.254": false,
	} {
		t.Run(a, func(t *testing.T) {
			if got := allowed.reachable(netip.MustParseAddr(a)); got != want {
				t.Errorf("%s: %v, want %v", a, got, want)
			}
		})
	}
	// A server on this machine is not reached by any of its names.
	reached := 0
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001",
		"0177.0.0.1", "127.0.0.1.",
	} {
		if b, err := c.Get(t.Context(), "https://"+host+":"+port+"/", pins(s)); err == nil {
			t.Errorf("%s: %q", host, b)
		}
	}
	// A name with a public address at the lookup, and this machine's when it is dialled.
	rebound := New(Options{Hosts: map[string]string{"public.example:443": "127.0.0.1:" + port}})
	if _, err := rebound.Get(t.Context(), "https://public.example/",
		pins(s)); kind(err) != fault.KindDenied || !errors.As(err, &refusal{}) {
		t.Errorf("a name that means this machine: %v", err)
	}
	if reached != 0 {
		t.Errorf("this machine was reached %d times", reached)
	}
	for _, address := range []string{
		"http://issuer.example/", "HTTP://issuer.example/", "file:///etc/passwd", "ftp://issuer.example/",
		"gopher://issuer.example/", "//issuer.example/", "issuer.example", "",
		"https://", "https:///keys", "https://user:pass@issuer.example/", "https://issuer.example/#x",
		"https://issuer.example:port/", "https://[::1", "https://a b/",
	} {
		if _, err := c.Get(t.Context(), address, nil); kind(err) != fault.KindDenied {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func kind(err error) fault.Kind {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Kind
	}
	return fault.KindInternal
}

func pins(s *httptest.Server) []string {
	chain := s.TLS.Certificates[0].Certificate
	sum := sha1.Sum(chain[len(chain)-1])
	return []string{hex.EncodeToString(sum[:])}
}

// local returns a client that reaches a server of the test under a public name.
func local(s *httptest.Server) *Client {
	address := s.Listener.Addr().String()
	return New(Options{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Hosts: map[string]string{"example.com:443": address, "other.test:443": address},
	})
}

// TestGet: Get returns one answer of a server with a valid certificate, and follows no redirect.
func TestGet(t *testing.T) {
	var asked []string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		switch r.URL.Path {
		case "/":
			w.Write([]byte("hello"))
		case "/moved":
			http.Redirect(w, r, "https://example.com/", http.StatusFound)
		case "/down":
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusTemporaryRedirect)
		case "/large":
			w.Write(make([]byte, maxBody+1))
		case "/full":
			w.Write(make([]byte, maxBody))
		case "/headers":
			w.Header().Set("X-Large", strings.Repeat("x", 2*maxHeaders))
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	c := local(s)
	for path, want := range map[string]fault.Kind{
		"/moved": fault.KindDenied, "/down": fault.KindDenied, "/large": fault.KindDenied, "/none": fault.KindDenied,
		"/busy": fault.KindUnavailable, "/headers": fault.KindUnavailable,
	} {
		t.Run(path, func(t *testing.T) {
			before := len(asked)
			if b, err := c.Get(t.Context(), "https://example.com"+path, pins(s)); kind(err) != want || b != nil {
				t.Errorf("%s: %d bytes, %v", path, len(b), err)
			}
			if len(asked) != before+1 {
				t.Errorf("a redirect was followed: %q", asked[before:])
			}
		})
	}
	if b, err := c.Get(t.Context(), "https://example.com/", pins(s)); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := c.Get(t.Context(), "https://example.com/full", pins(s)); err != nil || len(b) != maxBody {
		t.Errorf("%d, %v", len(b), err)
	}
	if b, err := c.Get(t.Context(), "https://example.com/", []string{
		strings.ToUpper(pins(s)[0]),
	}); err != nil || string(b) != "hello" {
		t.Errorf("a thumbprint in capitals: %q, %v", b, err)
	}
	// With an unknown authority, another thumbprint or another name, no byte is sent.
	n := len(asked)
	for name, try := range map[string]func() ([]byte, error){
		"no thumbprint": func() ([]byte, error) { return c.Get(t.Context(), "https://example.com/", nil) },
		"another thumbprint": func() ([]byte, error) {
			return c.Get(t.Context(), "https://example.com/", []string{strings.Repeat("ab", 20), ""})
		},
		"another name": func() ([]byte, error) { return c.Get(t.Context(), "https://other.test/", pins(s)) },
	} {
		t.Run(name, func(t *testing.T) {
			if b, err := try(); kind(err) != fault.KindDenied {
				t.Errorf("%s: %q, %v", name, b, err)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ended, "https://example.com/", pins(s)); kind(err) != fault.KindUnavailable {
		t.Errorf("a call that ended: %v", err)
	}
	s.Close()
	if _, err := c.Get(t.Context(), "https://example.com/", pins(s)); kind(err) != fault.KindUnavailable {
		t.Errorf("no server listens: %v", err)
	}
	if len(asked) != n {
		t.Errorf("asked %d times more", len(asked)-n)
	}
}

// TestNoProxyIsAsked: proxies in the environment are ignored.
func TestNoProxyIsAsked(t *testing.T) {
	asked := 0
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer proxy.Close()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("direct"))
	}))
	defer s.Close()
	if b, err := local(s).Get(t.Context(), "https://example.com/",
		pins(s)); err != nil || string(b) != "direct" || asked != 0 {
		t.Errorf("%q, %v, the proxy was asked %d times", b, err, asked)
	}
}
