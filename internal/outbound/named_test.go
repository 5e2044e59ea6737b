package outbound

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func call() Call { return Call{Connect: time.Second, Attempts: 2, Response: time.Minute} }

func send(t *testing.T, n *Named, address string, c Call) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := n.RoundTrip(r, c)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.Status + " " + string(b), err
}

// TestOnlyNamedServers: only the host and port that the operator named are called, whatever
// else their addresses are, and no redirect is followed.
func TestOnlyNamedServers(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		}
	}))
	defer s.Close()
	at := s.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(at)
	n, err := NewNamed(NamedOptions{Allow: []string{"LOCALHOST:" + port}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.CloseIdle()
	if text, err := send(t, n, "http://localhost:"+port+"/moved", call()); err != nil ||
		!strings.HasPrefix(text, "302") {
		t.Errorf("the named server: %q, %v", text, err)
	}
	before := asked
	for _, address := range []string{
		"http://127.0.0.1:" + port + "/", "http://[::1]:" + port + "/", "http://localhost/", "http://localhost:1/",
		"http://localhost.example:" + port + "/", "http://0.0.0.0:" + port + "/", "http://2130706433:" + port + "/",
		"http://sub.localhost:" + port + "/",
	} {
		t.Run(address, func(t *testing.T) {
			if _, err := send(t, n, address, call()); !errors.Is(err, ErrNotNamed) {
				t.Errorf("%s: %v", address, err)
			}
		})
	}
	if asked != before {
		t.Errorf("the server was asked %d times more", asked-before)
	}
	for _, bad := range []string{
		"", "host", "host:", ":80", "host:0", "host:http", "host:70000", "http://host:80", "*:80",
	} {
		t.Run("refused "+bad, func(t *testing.T) {
			if _, err := NewNamed(NamedOptions{Allow: []string{bad}}); err == nil {
				t.Errorf("%q is accepted", bad)
			}
		})
	}
}

// TestNamesOfMetadataServices: a name must not resolve to a metadata service.
func TestNamesOfMetadataServices(t *testing.T) {
	n := &Named{}
	for address, want := range map[string]bool{
		"169.254.169.254:80": false, "[fe80::1]:80": false, "[::ffff:169.254.1.1]:80": false, "0.0.0.0:80": false,
		"[fd00:ec2::254]:80": false, "224.0.0.1:80": false, "168.63.129.16:80": false,
		"10.1.2.3:80": true, "127.0.0.1:80": true, "192.0.2.1:80": true, "[2001:db8::1]:80": true,
	} {
		t.Run(address, func(t *testing.T) {
			if err := n.guard("origin.example:80")(t.Context(), "tcp4", address, nil); (err == nil) != want {
				t.Errorf("a name for %s: %v", address, err)
			}
			if err := n.guard(address)(t.Context(), "tcp4", address, nil); err != nil {
				t.Errorf("%s, named itself: %v", address, err)
			}
		})
	}
}

// TestNamedLimits: a server that is slow, silent or unknown ends a call with its own error.
func TestNamedLimits(t *testing.T) {
	hang := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			<-hang
		case "/stops":
			w.Header().Set("Content-Length", "10")
			w.Write([]byte("begin"))
			w.(http.Flusher).Flush()
			<-hang
		case "/headers":
			w.Header().Set("X-Large", strings.Repeat("x", 2*maxHeaders))
		}
	}))
	defer s.Close()
	defer close(hang)
	u, _ := url.Parse(s.URL)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	n, err := NewNamed(NamedOptions{Allow: []string{u.Host, free.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	quick := Call{Connect: 10 * time.Millisecond, Attempts: 1, Response: 50 * time.Millisecond}
	for address, want := range map[string]error{
		s.URL + "/silent": ErrSlow, s.URL + "/stops": ErrSlow, "http://" + free.Addr().String(): ErrConnect,
	} {
		t.Run(address, func(t *testing.T) {
			if _, err := send(t, n, address, quick); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", address, err, want)
			}
		})
	}
	if _, err := send(t, n, s.URL+"/headers", call()); err == nil {
		t.Error("headers without end are read")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r, _ := http.NewRequestWithContext(ended, http.MethodGet, s.URL, nil)
	if _, err := n.RoundTrip(r, call()); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that ended: %v", err)
	}
}

// TestNamedCertificate: the certificate must be for the name in the URL, whatever Host is.
func TestNamedCertificate(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate()) // for example.com and 127.0.0.1
	n, err := NewNamed(NamedOptions{Allow: []string{"localhost:" + port, "127.0.0.1:" + port}, Roots: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer n.CloseIdle()
	for host, want := range map[string]bool{"127.0.0.1": true, "localhost": false} {
		t.Run(host, func(t *testing.T) {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+":"+port+"/", nil)
			r.Host = "example.com"
			res, err := n.RoundTrip(r, call())
			if (err == nil) != want {
				t.Errorf("%s: %v", host, err)
			}
			if err == nil {
				res.Body.Close()
			}
		})
	}
	unknown, _ := NewNamed(NamedOptions{Allow: []string{"127.0.0.1:" + port}})
	if _, err := send(t, unknown, "https://127.0.0.1:"+port+"/", call()); err == nil {
		t.Error("an unknown authority is trusted")
	}
}
