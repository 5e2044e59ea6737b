package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"

	"watertight/internal/certs"
	"watertight/internal/core/distribution"
	"watertight/internal/edge"
	"watertight/internal/edge/accesslog"
	"watertight/internal/edge/cache"
	"watertight/internal/edge/origin"
	"watertight/internal/edge/remote"
	"watertight/internal/gateway/authn"
	"watertight/internal/gateway/protocol"
	"watertight/internal/limit"
	"watertight/internal/outbound"
)

// DefaultCDNListen is where the CDN listens for plain HTTP by default.
const DefaultCDNListen = "127.0.0.1:9080"

// CDNConfig is the operator's configuration of the CDN. Without an address, the CDN is off.
type CDNConfig struct {
	Listen    string // address for plain HTTP, or ""
	Optional  bool   // Listen is the default: if it is taken, the server starts without it
	TLSListen string // address for HTTPS, or ""
	TLS       certs.SiteSource

	Cache        CDNCache
	AllowOrigins []string // servers besides this store that may be origins, "HOST:PORT"
}

// On reports whether the CDN has an address.
func (c CDNConfig) On() bool { return c.Listen != "" || c.TLSListen != "" }

// check refuses addresses that are not valid, and certificates without a TLS address.
func (c CDNConfig) check() error {
	if err := c.TLS.Check(); err != nil {
		return err
	}
	if c.Cache.Bytes < 0 {
		return errors.New("--cdn-cache-size must not be negative")
	}
	if (c.TLSListen != "") != c.TLS.On() {
		return errors.New("--cdn-tls-listen goes with one of --cdn-tls-cert and --cdn-tls-key, --cdn-acme and " +
			"--cdn-tls-self-signed")
	}
	for flag, addr := range map[string]string{"--cdn-listen": c.Listen, "--cdn-tls-listen": c.TLSListen} {
		if addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("%s %s: %w", flag, addr, err)
		}
	}
	return nil
}

// cdnEdge is the edge of this process and its listeners.
type cdnEdge struct {
	edge    *edge.Edge
	cache   *cache.Cache
	logs    *accesslog.Logs
	servers *outbound.Named
	origins *origin.Known
	keeper  remote.Keeper // of an edge on another machine; or nil
	certs   *certs.Sites  // or nil
	door    *door
	plain   net.Listener // or nil
	lot     *lot         // of plain
	secure  net.Listener // or nil
}

// openCDN builds the edge.
func (s *Server) openCDN(ctx context.Context) error {
	if !s.config.CDN.On() {
		return nil
	}
	servers, err := outbound.NewNamed(outbound.NamedOptions{Allow: s.config.CDN.AllowOrigins})
	if err != nil {
		return fmt.Errorf("--cdn-allow-origin: %w", err)
	}
	kept, err := s.openCache(ctx)
	if err != nil {
		return fmt.Errorf("the CDN's cache: %w", err)
	}
	known := origin.New(origin.Options{
		Domains: s.config.Domains, Buckets: s.origins, Servers: servers, Logger: s.log, Now: s.config.Now,
	})
	s.edge = &cdnEdge{cache: kept, servers: servers, origins: known, door: newDoor(s.config.MaxConnections)}
	s.edge.logs = accesslog.New(accesslog.Options{
		Deliver: s.deliverLog(s.putLog), Now: s.config.Now, Logger: s.log,
	})
	s.edge.edge = edge.New(edge.Options{
		Cache: kept, Origins: known,
		Now: s.config.Now, Logger: s.log, Viewer: s.viewer(), Log: s.edge.logs.Add,
	})
	s.metrics.countCDN(s.edge)
	s.distributions.Serve(s.edge.edge.Apply)
	if err := s.distributions.Publish(ctx); err != nil {
		// S3 and the API must stay reachable. The edge refuses every host until the next change.
		s.log.Error("the CDN serves nothing, because what is stored of it can't be read", "cause", err)
	}
	return nil
}

// viewer returns the viewer's address and use of TLS as the API determines them: only trusted
// proxies may override the connection. It returns nil if there are none.
func (s *Server) viewer() func(*http.Request) (netip.Addr, bool) {
	if len(s.config.TrustedProxies) == 0 {
		return nil
	}
	known := authn.New(nil, authn.Options{TrustedProxies: s.config.TrustedProxies})
	return func(r *http.Request) (netip.Addr, bool) {
		peer, _ := netip.ParseAddrPort(r.RemoteAddr)
		return known.Sender(&protocol.Request{HTTP: r, Peer: peer.Addr().Unmap()})
	}
}

// brokenPage answers a viewer after a panic.
func brokenPage(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "The request could not be satisfied.", http.StatusInternalServerError)
}

// listenCDN binds the CDN's listeners.
func (s *Server) listenCDN(ctx context.Context) error {
	if s.edge == nil {
		return nil
	}
	c, lc := s.config.CDN, net.ListenConfig{}
	if c.Listen != "" {
		l, err := lc.Listen(ctx, "tcp", c.Listen)
		switch {
		case err == nil:
			s.edge.lot = newLot(s.edge.door)
			s.edge.plain = listener{l, s.edge.door, s.edge.lot, nil}
		case c.Optional && errors.Is(err, syscall.EADDRINUSE):
			s.log.Warn("the CDN's usual address is taken, and it does not listen there: use --cdn-listen", "address",
				c.Listen)
		default:
			return fmt.Errorf("listening on %s for the CDN: %w; is another server running there?", c.Listen, err)
		}
	}
	if c.TLSListen == "" {
		return nil
	}
	var err error
	s.edge.certs, err = certs.OpenSites(certs.SiteOptions{
		SiteSource: c.TLS, Data: s.config.Data, Root: s.rootKey.Ring, Files: &s.certFiles, Logger: s.log,
		Serves: s.edge.edge.Serves, Orders: s.edge.edge.ServesAlias,
		Channel: s.edge.edge.Channel,
	})
	if err != nil {
		return err
	}
	l, err := lc.Listen(ctx, "tcp", c.TLSListen)
	if err != nil {
		return fmt.Errorf("listening on %s for the CDN: %w; is another server running there?", c.TLSListen, err)
	}
	s.edge.secure = tls.NewListener(listener{l, s.edge.door, nil, nil}, s.edge.certs.TLS())
	return nil
}

// CDNAddr and CDNTLSAddr are the addresses of the CDN's listeners, or "".
func (s *Server) CDNAddr() string {
	return s.edge.addr(func(c *cdnEdge) net.Listener { return c.plain })
}
func (s *Server) CDNTLSAddr() string {
	return s.edge.addr(func(c *cdnEdge) net.Listener { return c.secure })
}

func (c *cdnEdge) addr(of func(*cdnEdge) net.Listener) string {
	if c == nil {
		return ""
	}
	if l := of(c); l != nil {
		return l.Addr().String()
	}
	return ""
}

// CDNCAFile is the path of the authority of --cdn-tls-self-signed, or "".
func (s *Server) CDNCAFile() string {
	if s.edge == nil || s.edge.certs == nil {
		return ""
	}
	return s.edge.certs.CAFile()
}

// ApplyCDN makes the edge of this process serve a snapshot.
func (s *Server) ApplyCDN(ctx context.Context, snapshot *distribution.Snapshot) error {
	if s.edge == nil {
		return nil
	}
	return s.edge.edge.Apply(ctx, snapshot)
}

// maxStreams is how many requests of HTTP/2 one connection may have under way.
const maxStreams = 64

// newCDN returns the HTTP server of one of the CDN's listeners.
func (s *Server) newCDN(ctx context.Context, next http.Handler) *http.Server {
	h := &http.Server{
		Handler: guard{
			next: admitted{next}, log: s.log, stall: s.config.Stall, memory: s.memory, fail: brokenPage,
		},
		ErrorLog:          s.httpLog(),
		ConnContext:       withGuest,
		ConnState:         follow,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxCDNHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		Protocols:         new(http.Protocols),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},

		DisableGeneralOptionsHandler: true,
	}
	h.Protocols.SetHTTP1(true)
	h.Protocols.SetHTTP2(true)
	return h
}

// maxCDNHeader is the size at which net/http refuses a header; the edge refuses more than 20
// KiB.
const maxCDNHeader = 24 << 10

// admitted marks a connection as served. Viewers have no credentials, and connections that are
// served are closed last when there are too many.
type admitted struct{ next http.Handler }

func (a admitted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limit.From(r.Context()).Allowed() // never refuses strangers
	a.next.ServeHTTP(w, r)
}

// serveCDN serves the CDN's listeners until end is called.
func (s *Server) serveCDN(
	requests context.Context, serving *sync.WaitGroup, failed chan<- error,
) (end func(context.Context) error) {
	if s.edge == nil {
		return func(context.Context) error { return nil }
	}
	var all []*http.Server
	start := func(next http.Handler, listeners ...net.Listener) {
		h := s.newCDN(requests, next)
		all = append(all, h)
		for _, l := range listeners {
			serving.Go(func() {
				if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
					failed <- err
				}
			})
		}
	}
	if s.edge.secure != nil {
		start(s.edge.edge, s.edge.secure)
	}
	plain := http.Handler(s.edge.edge)
	if host, _, _ := net.SplitHostPort(s.config.CDN.Listen); !isLoopback(host) && !s.config.AllowPlainHTTP {
		plain = s.edge.edge.OnlyRedirects()
	}
	if s.edge.plain != nil {
		start(plain, s.edge.plain, s.edge.lot)
	}
	logging, endLogs := context.WithCancel(requests)
	logged := make(chan struct{})
	serving.Go(func() {
		defer close(logged)
		s.edge.logs.Run(logging)
	})
	return func(ctx context.Context) error {
		defer func() {
			endLogs()
			<-logged
			s.edge.logs.Flush(ctx)
		}()
		var errs []error
		for _, h := range all {
			if err := s.edge.door.end(ctx, h.Shutdown); err != nil {
				errs = append(errs, err, h.Close())
			}
		}
		return errors.Join(errs...)
	}
}

// closeCDN closes what openCDN and listenCDN opened.
func (s *Server) closeCDN() error {
	c := s.edge
	if c == nil {
		return nil
	}
	s.edge = nil
	var errs []error
	for _, l := range []net.Listener{c.plain, c.secure} {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if c.certs != nil {
		c.certs.Close()
	}
	c.servers.CloseIdle()
	return errors.Join(append(errs, c.cache.Close())...)
}
