package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// maxProfilers is how many connections for profiles are served at once.
const maxProfilers = 4

// checkProfiles refuses an address for profiles that other machines can reach: they show what the
// process does and slow it down, and the listener has neither TLS nor signatures.
func (c *Config) checkProfiles() error {
	if c.ProfileListen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.ProfileListen)
	if err != nil {
		return fmt.Errorf("--pprof-listen %s: %w", c.ProfileListen, err)
	}
	if !isLoopback(host) && !c.AllowRemoteProfiles {
		return fmt.Errorf("--pprof-listen %s would let other machines read profiles, without TLS and without "+
			"signatures: name a loopback address, or add --allow-remote-pprof", c.ProfileListen)
	}
	return nil
}

// listenProfiles binds the listener for profiles, if one is configured.
func (s *Server) listenProfiles(ctx context.Context) error {
	if s.config.ProfileListen == "" {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.config.ProfileListen)
	if err != nil {
		return fmt.Errorf("listening on %s for profiles: %w; is another server running there?", s.config.ProfileListen,
			err)
	}
	s.profiles = l
	return nil
}

// ProfileAddr returns the address of the listener for profiles, or "" if there is none.
func (s *Server) ProfileAddr() string {
	if s.profiles == nil {
		return ""
	}
	return s.profiles.Addr().String()
}

// serveProfiles serves profiles until the server is shut down, but not the command line, which
// package pprof can show, too.
func (s *Server) serveProfiles() (h *http.Server, serve func() error) {
	m := http.NewServeMux()
	m.HandleFunc("GET /debug/pprof/", pprof.Index)
	m.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	m.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	h = &http.Server{
		Handler: localNames(s.ProfileAddr(), m), ReadHeaderTimeout: probeTimeout, ReadTimeout: probeTimeout,
		IdleTimeout:    time.Minute,
		MaxHeaderBytes: 4 << 10, ErrorLog: s.httpLog(),
	}
	return h, func() error { return h.Serve(netutil.LimitListener(s.profiles, maxProfilers)) }
}

// localNames refuses requests for other names than loopback's on a loopback address: a web page whose
// name its owner resolves to 127.0.0.1 (DNS rebinding) could read the answers in a browser of this machine.
func localNames(addr string, next http.Handler) http.Handler {
	if host, _, err := net.SplitHostPort(addr); err != nil || !isLoopback(host) {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = strings.Trim(r.Host, "[]")
		}
		if !isLoopback(host) {
			http.Error(w, "this address answers to loopback names only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
