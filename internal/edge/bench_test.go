package edge_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/edge"
	"watertight/internal/edge/cache"
)

// BenchmarkHit compares a hit of 10 KiB with net/http's file server, first without a network
// and then over loopback connections.
func BenchmarkHit(b *testing.B) {
	const size = 10 << 10
	body := strings.Repeat("0123456789", size/10+1)[:size]
	c, err := cache.Open(cache.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	e := edge.New(edge.Options{
		Cache: c, Now: time.Now,
		Origins: &fakeOrigin{answers: []string{"200\nContent-Type: text/plain\nEtag: \"v1\"\n\n" + body}},
	})
	site := usual()
	first := &distribution.Snapshot{Generation: 1, Sites: []distribution.Site{*site}}
	if err := e.Apply(b.Context(), first); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte(body), 0o600); err != nil {
		b.Fatal(err)
	}
	handlers := map[string]http.Handler{"edge": e, "files": http.FileServer(http.Dir(dir))}
	for _, name := range []string{"edge", "files"} {
		h := handlers[name]
		b.Run(name+"/handler", func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/a.txt", nil)
			r.Host, r.RemoteAddr = site.DomainName, "127.0.0.1:1"
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(&discarded{header: http.Header{}}, r)
			}
		})
		b.Run(name+"/loopback", func(b *testing.B) {
			s := httptest.NewServer(h)
			defer s.Close()
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL+"/a.txt", nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Host = site.DomainName
			for b.Loop() {
				resp, err := tr.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if n != size || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// discarded is a response writer that drops the body.
type discarded struct {
	header http.Header
	n      int
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) WriteHeader(int)             {}
func (d *discarded) Write(p []byte) (int, error) { d.n += len(p); return len(p), nil }
