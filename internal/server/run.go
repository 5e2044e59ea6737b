package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"watertight/internal/core/bucket"
	"watertight/internal/core/cdn"
	"watertight/internal/core/identity"
	"watertight/internal/core/keys"
	"watertight/internal/core/kms"
	"watertight/internal/core/mfa"
	"watertight/internal/core/object"
	"watertight/internal/core/payload"
	"watertight/internal/core/session"
	"watertight/internal/core/simulate"
	"watertight/internal/datadir"
	"watertight/internal/operator"
)

// maxOperators bounds the operator's commands that are served at once.
const maxOperators = 16

// drain is how long running requests may take after the server was told to stop.
const drain = 20 * time.Second

// sweepInterval is how often the server looks for blobs that no record refers to.
const sweepInterval = time.Hour

// Run serves until ctx ends. Then it finishes the running requests and closes everything.
func (s *Server) Run(ctx context.Context) error {
	// Requests outlive ctx: they may finish within the time to drain.
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	h := s.newHTTP(requests, ctx)
	failed := make(chan error, len(s.listeners)+8)
	var serving sync.WaitGroup
	for _, l := range append([]net.Listener{s.lot}, s.listeners...) {
		serving.Go(func() {
			if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	closeBeside := s.serveBeside(&serving, failed)
	endCDN := s.serveCDN(requests, &serving, failed)
	background, end := context.WithCancel(ctx)
	commands := s.commands(requests, background)
	serving.Go(func() {
		if err := commands.Serve(netutil.LimitListener(s.operator,
			maxOperators)); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	})
	sweeping := s.work(background)

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	end()
	s.leaving.Store(true)
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	ofCDN := make(chan error, 1)
	go func() { ofCDN <- endCDN(limit) }() // one that is slow to end takes no time from the others
	if serr := errors.Join(s.door.end(limit, h.Shutdown), commands.Shutdown(limit), <-ofCDN); serr != nil {
		s.log.Warn("requests were cut after the time to drain", "err", serr)
		cut()
		h.Close()
		commands.Close()
	}
	closeBeside()
	serving.Wait()
	err = errors.Join(err, s.closeCDN()) // what its cache still fetches ends
	s.origins.running.Wait()             // each ends with the request for which it runs
	sweeping.Wait()
	s.listeners, s.operator, s.probes, s.scrapes, s.profiles = nil, nil, nil, nil, nil
	closing, cancelClosing := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancelClosing()
	return errors.Join(err, s.Close(closing))
}

// work starts what the server does beside requests. Each goroutine ends with background.
func (s *Server) work(background context.Context) *sync.WaitGroup {
	var sweeping sync.WaitGroup
	sweeping.Go(func() { s.sweep(background) })
	sweeping.Go(func() { s.tidy(background) })
	sweeping.Go(func() { s.keepMarked(background) })
	sweeping.Go(func() { s.anchor.Run(background, s.store) })
	sweeping.Go(func() { s.keepUses(background) })
	sweeping.Go(func() { s.keepKeys(background) })
	sweeping.Go(func() { s.keepLifecycle(background) })
	sweeping.Go(func() { s.keepClock(background) })
	sweeping.Go(func() { s.rotation.Run(background) })
	sweeping.Go(func() { s.watchSource(background) })
	if s.certs != nil {
		sweeping.Go(func() { s.certs.Watch(background) })
	}
	if s.edge != nil && s.edge.certs != nil {
		sweeping.Go(func() { s.edge.certs.Watch(background) })
	}
	return &sweeping
}

// serveBeside serves probes and metrics, each if it has a listener, until both are closed.
func (s *Server) serveBeside(serving *sync.WaitGroup, failed chan<- error) (end func()) {
	health, serveHealth := s.serveHealth()
	metrics, serveMetrics := s.serveMetrics()
	profiles, serveProfiles := s.serveProfiles()
	for _, beside := range []struct {
		at    net.Listener
		serve func() error
	}{{s.probes, serveHealth}, {s.scrapes, serveMetrics}, {s.profiles, serveProfiles}} {
		if beside.at == nil {
			continue
		}
		serving.Go(func() {
			if err := beside.serve(); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	return func() {
		health.Close()
		metrics.Close()
		profiles.Close()
	}
}

// commands serves the operator's commands. Long ones end with background.
func (s *Server) commands(requests, background context.Context) *http.Server {
	bytes := payload.NewOperator(s.payloads, keys.NewOperator(s.ring, kms.NewOperator(s.keys)))
	snapshots := datadir.Snapshots{
		Data: s.config.Data, Store: s.store, Keyring: s.rootKey, Blobs: bytes, Logger: s.log,
	}
	return &http.Server{
		Handler: operator.Handler(operator.Options{
			Identities: identity.NewOperator(s.identities), Simulator: simulate.NewOperator(s.simulator),
			Buckets: bucket.NewOperator(s.buckets), Trail: s.trail, Health: s.health,
			Keys: kms.NewOperator(s.keys), Alarm: s.counter,
			Region: s.config.Region, CDN: cdn.NewOperator(s.distributions), Edge: s.edgeStatus,
			Devices: mfa.NewOperator(s.devices),
			RootKey: s.rootKey, Rotation: s.rotation,
			Objects: object.NewOperator(s.store, bytes).ServeBy(s.clock), Lifecycle: s.lifecycle(), Ending: background,
			Files: func() []object.Finding { return datadir.FilesOf(s.config.Data, s.rootKey) },
			Snapshot: func(ctx context.Context, fn func(operator.Snapshot) error) error {
				return snapshots.Take(ctx, func(t *datadir.Snapshot) error {
					return fn(operator.Snapshot{Folder: datadir.SnapshotFolder, Commit: t.Commit, EachBlob: t.EachBlob})
				})
			},
		}),
		ReadHeaderTimeout: headerTimeout, BaseContext: func(net.Listener) context.Context { return requests },
	}
}

// swept logs the result of a sweep.
func (s *Server) swept(ctx context.Context, what string, n int, err error) {
	s.metrics.sweep(n, err != nil && ctx.Err() == nil)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.log.Error("sweeping "+what, "err", err)
	case n > 0:
		s.log.Info("swept "+what, "count", n)
	}
}

// sweep handles orphans of earlier crashes and sessions that ended: at the start, and then hourly.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		w, err := s.payloads.Sweep(ctx, time.Now(), s.objects.Referenced)
		s.swept(ctx, "orphans: bytes without a record are set aside", w.SetAside, nil)
		s.swept(ctx, "orphans: bytes that have a record after all are back", w.PutBack, nil)
		if s.swept(ctx, "orphans", w.Removed, err); ctx.Err() != nil {
			return
		}
		if w.Kept > 0 {
			s.log.Warn("many objects' bytes have no record; they stay, since the metadata may be an older one: if it "+
				"is right, remove the folder yourself",
				"count", w.Kept, "folder", filepath.Join(payload.Folder(s.config.Data), "orphans"))
		}
		n, err := s.objects.PurgeUploads(ctx)
		if s.swept(ctx, "uploads into deleted buckets", n, err); ctx.Err() != nil {
			return
		}
		n, err = s.objects.PurgeParts(ctx)
		if s.swept(ctx, "versions of many parts", n, err); ctx.Err() != nil {
			return
		}
		n, err = session.NewOperator(s.sessions).Purge(ctx, time.Now())
		if s.swept(ctx, "ended sessions", n, err); ctx.Err() != nil {
			return
		}
		s.metrics.lastSweep.SetToCurrentTime()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// useFlush is how often the times of last uses are written.
const useFlush = 5 * time.Second

// keepUses writes when access keys, users, roles and customers' keys were last used. Uses
// that could not be written because the disk was full or the server stopped are lost; the
// recorded last use is then too old.
func (s *Server) keepUses(ctx context.Context) {
	tick := time.NewTicker(useFlush)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := errors.Join(s.uses.Flush(ctx), kms.NewOperator(s.keys).FlushUses(ctx)); err != nil &&
				ctx.Err() == nil {
				s.log.Warn("writing last uses of access keys, users, roles and customers' keys", "err", err)
			}
		}
	}
}

// Close closes what Build opened, in reverse order. Run calls it.
func (s *Server) Close(ctx context.Context) error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	if s.operator != nil {
		errs = append(errs, s.operator.Close())
	}
	for _, l := range []net.Listener{s.probes, s.scrapes, s.profiles} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	s.listeners, s.operator, s.probes, s.scrapes, s.profiles = nil, nil, nil, nil, nil
	errs = append(errs, s.closeCDN())
	if s.certs != nil {
		s.certs.Close()
	}
	if s.trail != nil {
		errs = append(errs, s.trail.Close(ctx))
	}
	if s.store != nil {
		s.mark()
		s.anchor.End(ctx, s.store)
		errs = append(errs, s.store.Close())
	}
	if s.payloads != nil {
		errs = append(errs, s.payloads.Close())
	}
	if s.disk != nil {
		s.disk.Close()
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	s.certs, s.trail, s.store, s.payloads, s.disk, s.lock = nil, nil, nil, nil, nil, nil
	return errors.Join(errs...)
}
