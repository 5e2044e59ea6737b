package server

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"watertight/internal/certs"
)

// checkListeners refuses plain HTTP on any address but loopback, unless the configuration
// allows it.
func (c Config) checkListeners() error {
	if len(c.Listen) == 0 {
		return errors.New("no address to listen on; use --listen ADDR")
	}
	if err := c.TLS.Check(); err != nil {
		return err
	}
	if c.TLS.On() || c.AllowPlainHTTP {
		return nil
	}
	for _, addr := range c.Listen {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return fmt.Errorf("--listen %s: %w", addr, err)
		}
		if !isLoopback(host) {
			return fmt.Errorf("--listen %s is not loopback, and plain HTTP shows everything to anyone on the network: "+
				"use --tls-cert and --tls-key, --acme DOMAIN or --tls-self-signed, or --allow-plain-http behind a "+
				"TLS proxy", addr)
		}
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// listen binds all listeners before any request is accepted.
func (s *Server) listen(ctx context.Context) error {
	if s.config.TLS.On() {
		var err error
		s.certs, err = certs.Open(ctx, certs.Options{
			Source: s.config.TLS, Data: s.config.Data, Root: s.rootKey.Ring, Files: &s.certFiles,
			Listen:  s.config.Listen,
			Domains: s.config.Domains, Logger: s.log,
		})
		if err != nil {
			return err
		}
	}
	s.door = newDoor(s.config.MaxConnections)
	s.lot = newLot(s.door)
	var secure *security
	if s.certs != nil {
		secure = &security{s.certs.TLS(), s.httpLog()}
	}
	for _, addr := range s.config.Listen {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("listening on %s: %w; is another server running there?", addr, err)
		}
		s.listeners = append(s.listeners, listener{l, s.door, s.lot, secure})
	}
	return nil
}

// Reload reads the certificate's files again. Connections and requests go on.
func (s *Server) Reload() {
	if s.certs != nil {
		s.certs.Reload()
	}
	if s.edge != nil && s.edge.certs != nil {
		s.edge.certs.Reload()
	}
}

// CAFile returns the path of the local certificate authority of --tls-self-signed, or "" if
// there is none.
func (s *Server) CAFile() string {
	if s.certs == nil {
		return ""
	}
	return s.certs.CAFile()
}

// Scheme returns "http" or "https".
func (s *Server) Scheme() string {
	if s.config.TLS.On() {
		return "https"
	}
	return "http"
}

// errorLog passes the messages of net/http to the structured log.
type errorLog struct{ s *Server }

func (e errorLog) Write(p []byte) (int, error) {
	e.s.log.Debug("http", "message", strings.TrimSpace(string(p)))
	return len(p), nil
}

// httpLog returns the logger for net/http. Clients that disconnect and handshakes that fail
// are not errors of the server.
func (s *Server) httpLog() *log.Logger { return log.New(errorLog{s}, "", 0) }

// newHTTP returns the HTTP server with the dispatcher. ctx is that of the requests; leaving
// ends when the server is told to stop.
func (s *Server) newHTTP(ctx, leaving context.Context) *http.Server {
	var next http.Handler = edgeFeed{
		next: holding{s.dispatcher, s.rootKey.Ring}, who: s.who, contents: s.distributions, trail: s.trail,
		region: s.config.Region, now: s.config.Now, cacheKey: s.edgeCacheKey, leaving: leaving,
	}
	if s.config.HealthOnMain {
		next = probes{next, s.healthHandler(), s.config.Domains}
	}
	h := &http.Server{
		Handler: guard{
			next: next, log: s.log, stall: s.config.Stall, memory: s.memory, fail: internalError,
		},
		ErrorLog:          s.httpLog(),
		ConnContext:       withGuest,
		ConnState:         follow,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		Protocols:         new(http.Protocols),
		// The dispatcher also handles OPTIONS *.
		DisableGeneralOptionsHandler: true,
	}
	h.Protocols.SetHTTP1(true)
	return h
}
