package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"watertight/internal/edge"
	"watertight/internal/edge/accesslog"
	"watertight/internal/edge/cache"
	"watertight/internal/edge/origin"
	"watertight/internal/edge/remote"
	"watertight/internal/limit"
	"watertight/internal/outbound"
	"watertight/internal/storage/rootkey"
	"watertight/internal/storage/seal"
)

// EdgeConfig configures an edge on another machine. It has no data directory: its configuration
// comes from its store.
type EdgeConfig struct {
	Store   remote.Options
	Domains []string // base domains of the store's buckets
	// CDN is without Optional, and without a local authority. The key of its cache is "memory" or
	// "", kms: and the ARN of a key of the store's KMS, or a source that rootkey.Sources lists.
	CDN CDNConfig

	MetricsListen  string // address of the listener for metrics, or ""
	AllowPlainHTTP bool
	TrustedProxies []netip.Prefix
	MaxConnections int
	Logger         *slog.Logger
	Now            func() time.Time
	Getenv         func(string) string // of the process
	// Ready, if it is set, is called with the addresses of the listeners, "" for none.
	Ready func(plain, secure, metrics string)
}

// RunEdge serves until ctx ends.
func RunEdge(ctx context.Context, c EdgeConfig) error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Getenv == nil {
		c.Getenv = func(string) string { return "" }
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = DefaultMaxConnections
	}
	c.Store.Logger, c.Store.Now = c.Logger, c.Now
	key := edgeKey{
		text: c.CDN.Cache.Key, owner: c.Store.Credential.AccessKeyID + " " + c.Store.Address, getenv: c.Getenv,
	}
	if err := cmp.Or(key.check(c.CDN), c.CDN.check()); err != nil {
		return err
	}
	if !c.CDN.On() {
		return errors.New("no address to listen on; use --listen or --tls-listen")
	}
	store, err := remote.Open(c.Store)
	if err != nil {
		return err
	}
	defer store.Close()
	key.store = store
	s := &Server{
		config: Config{
			CDN: c.CDN, Domains: c.Domains, AllowPlainHTTP: c.AllowPlainHTTP, TrustedProxies: c.TrustedProxies,
			MetricsListen: c.MetricsListen, MaxConnections: c.MaxConnections, Stall: defaultStall, Now: c.Now,
		},
		log: c.Logger, memory: limit.NewMemory(DefaultMaxDocumentMemory),
		rootKey: &rootkey.Keyring{Ring: seal.RingOf(seal.NewKey())},
	}
	if err := s.config.checkMetrics(); err != nil {
		return err
	}
	if err := s.openRemote(ctx, store, key); err != nil {
		return err
	}
	follower := store.Begin(ctx, s.edge.edge, s.edge.keeper)
	if err := s.bindMetrics(ctx); err != nil {
		return errors.Join(err, s.closeCDN())
	}
	if err := s.listenCDN(ctx); err != nil {
		if s.scrapes != nil {
			s.scrapes.Close()
		}
		return errors.Join(err, s.closeCDN())
	}
	if c.Ready != nil {
		c.Ready(s.CDNAddr(), s.CDNTLSAddr(), s.MetricsAddr())
	}
	return s.runRemote(ctx, follower)
}

// openRemote builds the edge.
func (s *Server) openRemote(ctx context.Context, store *remote.Store, key edgeKey) error {
	c := s.config.CDN
	servers, err := outbound.NewNamed(outbound.NamedOptions{Allow: c.AllowOrigins})
	if err != nil {
		return fmt.Errorf("--allow-origin: %w", err)
	}
	var keeper remote.Keeper
	kept, err := cache.Open(cache.Options{
		Dir: c.Cache.Dir, MaxBytes: c.Cache.Bytes, Now: s.config.Now, Logger: s.log,
		Unseal: func() (opened seal.Key, err error) {
			opened, keeper, err = s.openKept(ctx, key)
			return opened, err
		},
	})
	if err != nil {
		return fmt.Errorf("the cache: %w", err)
	}
	s.edge = &cdnEdge{cache: kept, servers: servers, keeper: keeper, door: newDoor(s.config.MaxConnections)}
	s.edge.logs = accesslog.New(accesslog.Options{
		Deliver: s.deliverLog(putLogTo(store)), Now: s.config.Now, Logger: s.log,
	})
	s.edge.edge = edge.New(edge.Options{
		Cache: kept, Origins: origin.New(origin.Options{
			Domains: s.config.Domains, Buckets: store, Servers: servers, Logger: s.log, Now: s.config.Now,
		}),
		Now: s.config.Now, Logger: s.log, Viewer: s.viewer(), Log: s.edge.logs.Add,
	})
	if s.config.MetricsListen != "" {
		s.metrics = newEdgeMetrics()
		s.metrics.countCDN(s.edge)
	}
	return nil
}

// serveScrapes serves metrics until end is called, if they have a listener.
func (s *Server) serveScrapes(serving *sync.WaitGroup, failed chan<- error) (end func()) {
	if s.scrapes == nil {
		return func() {}
	}
	h, serve := s.serveMetrics()
	serving.Go(func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	})
	return func() { h.Close() }
}

// runRemote serves until ctx ends or a listener fails.
func (s *Server) runRemote(ctx context.Context, follower *remote.Follower) error {
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	following, leave := context.WithCancel(ctx)
	defer leave()
	failed := make(chan error, 4)
	var serving, follows sync.WaitGroup
	end := s.serveCDN(requests, &serving, failed)
	endScrapes := s.serveScrapes(&serving, failed)
	follows.Go(func() { follower.Follow(following) })
	if s.edge.certs != nil {
		follows.Go(func() { s.edge.certs.Watch(following) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	leave()
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if ended := end(draining); ended != nil {
		s.log.Warn("requests were cut after the time to drain", "err", ended)
		cut()
	}
	endScrapes()
	follows.Wait()
	serving.Wait()
	return errors.Join(err, s.closeCDN())
}

// StoreOf returns the connection of an edge to a store, with the credential in a file.
func StoreOf(address, file string) (remote.Options, error) {
	c, err := remote.ReadCredential(file)
	if err != nil {
		return remote.Options{}, fmt.Errorf("the credential: %w", err)
	}
	return remote.Options{Address: address, Credential: c}, nil
}
