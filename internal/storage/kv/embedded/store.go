package embedded

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/engine"
	"watertight/internal/storage/seal"
	"watertight/internal/storage/space"
)

// store is the transaction layer: optimistic, over any engine.
//
// A transaction runs on the newest applied state and records what it reads.
// One goroutine, the committer, takes finished transactions, refuses those
// that read what a newer commit wrote, puts the others, as a group, into
// one engine batch, and waits for the sync.
type store struct {
	log    *slog.Logger
	room   func(int64) space.State
	enough func(int64) bool
	engine engine.Engine

	root   *seal.Ring
	id     *identity
	legacy *legacy // of a store of an older format, which is opened only for reading; then there is no id
	chain  chain   // the committer's
	window *window
	opened *opened

	memories memories
	name     *[1]byte // stands for the store where its memory must not be kept
	keeper   *keeper  // the keeper that the store belongs to, if any
	readOnly bool     // the store was opened only for reading

	queue   chan *commit
	stop    chan struct{}
	synced  chan struct{}
	watched chan struct{}

	applied, durable atomic.Pointer[state]
	moved            atomic.Pointer[chan struct{}] // closed when durable moves; nil if nobody waits for it

	failing sync.Once
	cause   error // set before failed is closed
	failed  chan struct{}

	open    atomic.Int64 // open transactions, plus closing
	drained chan struct{}

	pressure pressure

	commits, grouped, conflicts atomic.Uint64
}

// closing is added to store.open by Close.
const closing = math.MinInt64

func newStore(o Options, id *identity) *store {
	s := &store{
		log:     o.Logger,
		room:    o.Room,
		enough:  o.Enough,
		root:    o.Root,
		id:      id,
		queue:   make(chan *commit, groupCommits),
		stop:    make(chan struct{}),
		synced:  make(chan struct{}),
		watched: make(chan struct{}),
		failed:  make(chan struct{}),
		drained: make(chan struct{}, 1),
		opened:  newOpened(),
		name:    new([1]byte),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

func open(
	ctx context.Context, o Options, id *identity, start func(*store) (engine.Engine, error),
) (*store, error) {
	s := newStore(o, id)
	var err error
	if s.engine, err = start(s); err != nil {
		return nil, engineFailed{"opening", err}
	}
	if err := s.restore(ctx, o); err != nil {
		return nil, errors.Join(err, s.engine.Close())
	}
	s.begin(s.engine.Snapshot())
	go s.commitLoop()
	go s.watch()
	return s, nil
}

// begin makes snap, the newest state, visible to transactions.
func (s *store) begin(snap engine.Snapshot) {
	s.window = newWindow(s.chain.commit)
	st := newState(&s.chain, snap)
	s.applied.Store(st)
	s.durable.Store(st)
}

// fail ends all commits. Durable records can still be read.
func (s *store) fail(err error) {
	s.failing.Do(func() {
		s.cause = err
		close(s.failed)
		if s.readOnly {
			return
		}
		s.log.Error("kv: the store accepts no more commits", "err", err)
	})
}

func (s *store) failure() error {
	<-s.failed
	return unavailable(s.cause)
}

func (s *store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.open.Add(1) < 0 {
		s.leave()
		return unavailable(errClosed)
	}
	return nil
}

func (s *store) leave() {
	if s.open.Add(-1) == closing {
		select {
		case s.drained <- struct{}{}:
		default: // full: Close was notified already
		}
	}
}

// Durable implements Store.
func (s *store) Durable() uint64 { return s.durable.Load().commit }

// Head implements Anchored.
func (s *store) Head() (uint64, [32]byte) {
	st := s.durable.Load()
	return st.commit, st.sum
}

// Stats implements Metered.
func (s *store) Stats() Stats {
	return Stats{
		Commits:   s.commits.Load(),
		Groups:    s.grouped.Load(),
		Conflicts: s.conflicts.Load(),
		Syncs:     s.engine.Syncs(),
		Opened:    s.opened.values.Count(),
		Pressure:  s.pressure.now(),
		Delayed:   s.pressure.delayed.Load(),
		Refused:   s.pressure.refused.Load(),
	}
}

// Erase implements kv.Erasing.
func (s *store) Erase(ctx context.Context, from, to []byte) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if s.readOnly {
		return s.failure()
	}
	return s.engine.Purge(ctx, from, to)
}

// View implements Store.
func (s *store) View(ctx context.Context, fn func(kv.Reader) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.view(ctx, fn)
}

func (s *store) view(ctx context.Context, fn func(kv.Reader) error) error {
	if r := kv.ReaderOf(ctx); r != nil && s.reads(r) {
		return fn(r)
	}
	r := &reader{s: s, ctx: ctx, source: &s.durable}
	r.witness = kv.WitnessOf(ctx)
	defer r.end()
	return fn(r)
}

// Unchanged is kv.Unchanged.
func (s *store) Unchanged(ctx context.Context, records []*kv.Copy) bool {
	if err := s.enter(ctx); err != nil {
		return false
	}
	defer s.leave()
	return s.unchanged(ctx, records)
}

// unchanged compares only with values that are cached, and each of them only once until a key
// with the same hash is written.
func (s *store) unchanged(ctx context.Context, records []*kv.Copy) bool {
	st := acquire(&s.durable)
	defer func() {
		if err := st.release(); err != nil {
			s.log.Warn("kv: closing a snapshot", "err", err)
		}
	}()
	if w := kv.WitnessOf(ctx); w != nil {
		w.Begin(s, st.commit)
		w.Copies(records)
	}
	for _, c := range records {
		hash, state, ok := c.Known.Get(s.name)
		if ok && s.opened.newest(hash).Load() <= min(state, st.commit) {
			continue
		}
		if !ok {
			hash = s.opened.hash(c.Key)
		}
		v, known := s.opened.find(hash, c.Key, st.commit)
		if !known || !c.Is(v) {
			return false
		}
		c.Known.Set(s.name, hash, st.commit)
	}
	return true
}

// reads reports whether r is a reader of this store.
func (s *store) reads(r kv.Reader) bool {
	switch r := r.(type) {
	case *reader:
		return s.same(r.s)
	case *tx:
		return s.same(r.s)
	}
	return false
}

// same reports whether s and o are the same store, possibly on two engines.
func (s *store) same(o *store) bool { return s == o || s.keeper != nil && s.keeper == o.keeper }

// Close implements Store.
func (s *store) Close() error {
	for {
		n := s.open.Load()
		if n < 0 {
			return unavailable(errClosed)
		}
		if s.open.CompareAndSwap(n, n+closing) {
			if n > 0 {
				<-s.drained
			}
			break
		}
	}
	if s.readOnly {
		return errors.Join(s.applied.Load().release(), s.durable.Load().release(), s.engine.Close())
	}
	close(s.stop)
	select {
	case <-s.synced:
	case <-s.failed:
	}
	select {
	case <-s.watched:
	case <-s.failed:
	}
	select {
	case <-s.failed: // the engine may block the committer forever
		return s.engine.Close()
	default:
	}
	return errors.Join(s.applied.Load().release(), s.durable.Load().release(), s.engine.Close())
}
