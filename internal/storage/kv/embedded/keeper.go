package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/pebblekv"
	"watertight/internal/storage/space"
)

// keeper is a store that survives the failure of its engine. An engine that failed to write
// is never trusted to write again: its files are frozen, and another engine is opened on
// them, verified as at a start, as soon as the disk may accept it. Everything that was
// durable before is still there; reads continue all the time.
type keeper struct {
	o   Options
	id  *identity
	now atomic.Pointer[store]

	stop, done chan struct{}
	closing    sync.WaitGroup // for stores that were replaced
}

const (
	// startRoom is the number of bytes that opening an engine may write in addition to its logs.
	startRoom    = 8 << 20
	longestPause = time.Minute
	// maxEngines bounds the engines of one process, because a failed one keeps its
	// memory.
	maxEngines = 16
)

// keep opens the engine of a store that was verified, or opens the store for reading
// if the disk is too full for the engine.
func keep(ctx context.Context, o Options, id *identity) (kv.Store, error) {
	if o.Pause == 0 {
		o.Pause = time.Second
	}
	k := &keeper{o: o, id: id, stop: make(chan struct{}), done: make(chan struct{})}
	var s *store
	err := error(syscall.ENOSPC)
	if k.enough() {
		s, err = open(ctx, o, id, startPebble(engineOptions(o, id)))
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		if s, err = openReadOnly(ctx, o, id); err == nil {
			s.log.Warn("kv: the disk is full: reads are served, and writes as soon as there is room")
		}
	}
	if err != nil {
		return nil, err
	}
	s.keeper = k
	k.now.Store(s)
	go k.run()
	return k, nil
}

// Writes reports whether the engine accepts commits. If it does not, the keeper repeatedly
// tries to open another one.
func (k *keeper) Writes() bool {
	select {
	case <-k.now.Load().failed:
		return false
	default:
		return true
	}
}

func (k *keeper) enough() bool {
	if k.o.Enough == nil {
		return true
	}
	n, err := pebblekv.LogBytes(engineOptions(k.o, k.id))
	return err == nil && k.o.Enough(n+startRoom)
}

// run replaces the store whenever it failed.
func (k *keeper) run() {
	defer close(k.done)
	pause := k.o.Pause
	for n := 1; ; {
		select {
		case <-k.now.Load().failed:
		case <-k.stop:
			return
		}
		select {
		case <-time.After(pause):
		case <-k.stop:
			return
		}
		if !k.enough() {
			continue
		}
		if err := k.replace(); err != nil {
			k.now.Load().log.Warn("kv: the store can't write yet", "err", err)
			pause = min(2*pause, longestPause)
			continue
		}
		pause = k.o.Pause
		if n++; n == maxEngines {
			k.now.Load().log.Error("kv: the disk failed too often; after the next failure, restart the server")
			return
		}
	}
}

// replace opens another engine in place of the one that failed.
func (k *keeper) replace() error {
	old := k.now.Load()
	if e, ok := old.engine.(*pebblekv.Engine); ok {
		if err := e.Unlock(); err != nil {
			return err
		}
	}
	o := k.o
	o.AtLeast, o.Verified = max(o.AtLeast, old.Durable()), func(f Found) error {
		if f.ID != publicID(k.id.id) {
			return errors.New("kv: the files belong to another store now")
		}
		return nil
	}
	ctx := context.Background() // not cancelled: opening always ends, and must not be interrupted
	if err := verified(ctx, o, place{dir: o.Dir, id: k.id}); err != nil {
		return err
	}
	s, err := open(ctx, o, k.id, startPebble(engineOptions(o, k.id)))
	if err != nil {
		return err
	}
	s.keeper = k
	k.now.Store(s)
	s.log.Info("kv: the store takes commits again")
	k.closing.Go(func() { old.Close() }) // Close only returns the error that the store failed with
	return nil
}

// enter returns the current store.
func (k *keeper) enter(ctx context.Context) (*store, error) {
	for {
		s := k.now.Load()
		err := s.enter(ctx)
		if err == nil || k.now.Load() == s {
			return s, err
		}
	}
}

// View implements Store.
func (k *keeper) View(ctx context.Context, fn func(kv.Reader) error) error {
	s, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	return s.view(ctx, fn)
}

// Unchanged is kv.Unchanged.
func (k *keeper) Unchanged(ctx context.Context, records []*kv.Copy) bool {
	s, err := k.enter(ctx)
	if err != nil {
		return false
	}
	defer s.leave()
	return s.unchanged(ctx, records)
}

// Update implements Store.
func (k *keeper) Update(ctx context.Context, fn func(kv.Tx) error) error {
	s, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	return s.update(ctx, fn)
}

// eraseRoom is the number of bytes that Erase may write before it frees others.
const eraseRoom = 64 << 20

// Erase implements kv.Erasing. It writes before it frees space, so it fails on a full disk.
func (k *keeper) Erase(ctx context.Context, from, to []byte) error {
	if k.o.Room != nil && k.o.Room(eraseRoom) != space.Ample {
		return errors.New("kv: no room to rewrite files without what was deleted")
	}
	s, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	if s.readOnly {
		return s.failure()
	}
	return s.engine.Purge(ctx, from, to)
}

// Durable implements Store.
func (k *keeper) Durable() uint64 { return k.now.Load().Durable() }

// Head implements Anchored.
func (k *keeper) Head() (uint64, [32]byte) { return k.now.Load().Head() }

// Marker implements Marked.
func (k *keeper) Marker() []byte { return k.now.Load().Marker() }

// Copied is implemented by stores on disk. Copy copies the store to dir, which must not
// exist. The copy is one state, which contains everything that was durable when Copy began.
// Reads and commits continue.
type Copied interface {
	Copy(ctx context.Context, dir string) error
}

// Copy implements Copied.
func (k *keeper) Copy(ctx context.Context, dir string) error {
	s, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	e, ok := s.engine.(*pebblekv.Engine)
	if !ok || s.readOnly {
		return unavailable(errReadOnly)
	}
	if err := e.Copy(dir); err != nil {
		return err
	}
	return writeStore(k.o.disk(), dir, k.id.current())
}

// VerifyTables implements kv.Verified.
func (k *keeper) VerifyTables(
	ctx context.Context, read func(int64) error, bad func(file string, why error) error,
) error {
	s, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	e, ok := s.engine.(*pebblekv.Engine)
	if !ok {
		return nil
	}
	return e.VerifyTables(ctx, read, func(file string, why error) error {
		return bad(file, explain(k.o, engineFailed{"reading a table of", why}))
	})
}

// Stats implements Metered. The counts start again with each engine.
func (k *keeper) Stats() Stats { return k.now.Load().Stats() }

// Close implements Store.
func (k *keeper) Close() error {
	select {
	case <-k.stop:
		return unavailable(errClosed)
	default:
	}
	close(k.stop)
	<-k.done
	err := k.now.Load().Close()
	k.closing.Wait()
	if err != nil {
		return fmt.Errorf("kv: closing: %w", err)
	}
	return nil
}
