package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"watertight/internal/operator"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/space"
)

// Load balancers probe without a signature. The answers tell only that the process
// lives, and whether the store accepts reads and writes.
const (
	livePath  = "/health/live"
	readyPath = "/health/ready"
)

const (
	// maxProbes is how many probe connections are served at once.
	maxProbes    = 64
	probeTimeout = 5 * time.Second
)

// health asks the store. A server that is about to stop reports that it accepts
// nothing.
func (s *Server) health(ctx context.Context) operator.Health {
	if s.leaving.Load() {
		return operator.Health{}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := s.store.View(ctx, func(r kv.Reader) error {
		_, err := r.Get([]byte("health"))
		return err
	})
	w, ok := s.store.(kv.Writing)
	return operator.Health{
		RootKey: !s.sourceLost.Load(), Keyring: !s.ringLost.Load(), Anchor: s.anchorHealth(),
		Reads: err == nil, Writes: err == nil && s.disk.Room(0) == space.Ample && (!ok || w.Writes()),
	}
}

// healthHandler answers probes and nothing else.
func (s *Server) healthHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != livePath && r.URL.Path != readyPath {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD are allowed", http.StatusMethodNotAllowed)
			return
		}
		status, text := http.StatusOK, "live\n"
		if r.URL.Path == readyPath {
			h := s.health(r.Context())
			text = h.String()
			if !h.Reads {
				status = http.StatusServiceUnavailable
			}
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		w.WriteHeader(status)
		fmt.Fprint(w, text) // net/http leaves the body of HEAD out
	})
}

// probes passes unsigned probes on the main listeners to health, and every other
// request to next, including signed ones for a bucket named "health".
type probes struct {
	next, health http.Handler
	domains      []string
}

func (p probes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.is(r) {
		p.health.ServeHTTP(w, r)
		return
	}
	p.next.ServeHTTP(w, r)
}

func (p probes) is(r *http.Request) bool {
	if r.URL.Path != livePath && r.URL.Path != readyPath || r.URL.RawQuery != "" ||
		r.Method != http.MethodGet && r.Method != http.MethodHead ||
		len(r.Header["Authorization"]) > 0 || r.URL.Host != "" {
		return false
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	for _, d := range p.domains { // the host may be a bucket's own name
		if strings.HasSuffix(strings.ToLower(host), "."+strings.ToLower(d)) {
			return false
		}
	}
	return true
}

// listenHealth binds the listener for probes, if one is configured.
func (s *Server) listenHealth(ctx context.Context) error {
	if s.config.HealthListen == "" {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.config.HealthListen)
	if err != nil {
		return fmt.Errorf("listening on %s for probes: %w; is another server running there?", s.config.HealthListen,
			err)
	}
	s.probes = l
	return nil
}

// HealthAddr is the address of the listener for probes, or "".
func (s *Server) HealthAddr() string {
	if s.probes == nil {
		return ""
	}
	return s.probes.Addr().String()
}

// serveHealth answers probes until the server is shut down.
func (s *Server) serveHealth() (*http.Server, func() error) {
	h := &http.Server{
		Handler: s.healthHandler(), ReadHeaderTimeout: probeTimeout, ReadTimeout: probeTimeout,
		WriteTimeout: 2 * probeTimeout, IdleTimeout: probeTimeout,
		MaxHeaderBytes: 4 << 10, ErrorLog: s.httpLog(),
	}
	return h, func() error { return h.Serve(netutil.LimitListener(s.probes, maxProbes)) }
}
