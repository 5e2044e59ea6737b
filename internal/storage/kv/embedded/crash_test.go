package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/engine"
)

// crew writes to a store until it is stopped: each writer counts in two keys at once, and readers read both.
type crew struct {
	s     *store
	acked [4]atomic.Uint64 // the newest acknowledged count of each writer
	shown [4]atomic.Uint64 // the newest count that a View has read
	stop  atomic.Bool
	quit  chan struct{}
	wg    sync.WaitGroup
	// broken holds the first failure, other than errors of Update.
	broken chan error
}

func crewKey(side byte, writer int) []byte { return []byte{side, byte('0' + writer)} }

func startCrew(s *store, padding int) *crew {
	c := &crew{s: s, quit: make(chan struct{}), broken: make(chan error, 16)}
	for w := range c.acked {
		c.wg.Go(func() { c.write(w, padding) })
		c.wg.Go(func() { c.look(w) })
	}
	return c
}

func (c *crew) write(w, padding int) {
	for n := uint64(1); !c.stop.Load(); n++ {
		err := c.s.Update(context.Background(), func(tx kv.Tx) error {
			v := binary.BigEndian.AppendUint64(nil, n)
			tx.Set(crewKey('a', w), v)
			tx.Set(crewKey('b', w), v)
			if padding > 0 {
				tx.Set(crewKey('p', w), make([]byte, padding))
			}
			if n%2 == 0 { // also read a missing key
				tx.Delete(crewKey('o', w))
			} else {
				tx.Set(crewKey('o', w), v)
			}
			return nil
		})
		if err != nil {
			return
		}
		c.acked[w].Store(n)
	}
}

func (c *crew) look(w int) {
	for !c.stop.Load() {
		acked := c.acked[w].Load()
		n, err := count(c.s, w)
		if err == nil && n < acked {
			err = fmt.Errorf("writer %d was promised %d, a view shows %d", w, acked, n)
		}
		if err != nil {
			c.broken <- err
			return
		}
		c.shown[w].Store(n)
		if !c.s.moves(c.quit) {
			return
		}
	}
}

// moves waits until the durable mark moves, and reports whether it did.
func (s *store) moves(quit chan struct{}) bool {
	select {
	case <-quit:
		return false
	case <-s.nextMove():
		return true
	case <-s.failed:
		return false
	}
}

func (c *crew) end(t *testing.T) {
	t.Helper()
	c.stop.Store(true)
	close(c.quit)
	c.wg.Wait()
	close(c.broken)
	for err := range c.broken {
		t.Error(err)
	}
}

// count returns how far writer w got, if the store is whole.
func count(s *store, w int) (n uint64, err error) {
	err = s.View(context.Background(), func(r kv.Reader) error {
		a, err1 := r.Get(crewKey('a', w))
		o, err2 := r.Get(crewKey('o', w))
		b, err3 := r.Get(crewKey('b', w))
		if err := errors.Join(err1, err2, err3); err != nil || a == nil && b == nil && o == nil {
			return err
		}
		if string(a) != string(b) || len(a) != 8 {
			return fmt.Errorf("a torn commit: %x, %x", a, b)
		}
		n = binary.BigEndian.Uint64(a)
		if (o == nil) != (n%2 == 0) || o != nil && string(o) != string(a) {
			return fmt.Errorf("a torn commit: %x, %x", a, o)
		}
		return nil
	})
	return n, err
}

type promise struct {
	acked, shown [4]uint64
	durable      uint64
}

// promised returns the counts that must survive a crash after the call.
func (c *crew) promised() (p promise) {
	for w := range c.acked {
		p.acked[w], p.shown[w] = c.acked[w].Load(), c.shown[w].Load()
	}
	p.durable = c.s.Durable()
	return p
}

// kept opens the store that a crash left and checks it against p.
func (p promise) kept(t *testing.T, b *bench, fs vfs.FS) {
	t.Helper()
	after := &bench{b.id, func(s *store) (engine.Engine, error) {
		return startPebble(engineOptions(Options{Dir: "db", fs: fs}, b.id))(s)
	}}
	s := after.open(t, func(o *Options) { o.AtLeast = p.durable })
	for w := range p.acked {
		if n, err := count(s, w); err != nil || n < p.acked[w] || n < p.shown[w] {
			t.Errorf("writer %d: promised %d, shown %d, found %d, %v", w, p.acked[w], p.shown[w], n, err)
		}
	}
	set(t, s, "life", "goes on")
	closeStore(t, s)
	closeStore(t, after.open(t, func(o *Options) { o.AtLeast = p.durable + 1 }))
}

func TestCrash(t *testing.T) {
	for _, c := range []struct{ padding, after int }{{0, 40}, {20 << 10, 10}} {
		t.Run(fmt.Sprint("padding=", c.padding), func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			b := onDisk(fs)
			s := b.open(t)
			crew := startCrew(s, c.padding)
			rng := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
			for round := range 12 {
				for goal := s.Durable() + uint64(c.after); s.Durable() < goal; {
					s.moves(nil)
				}
				p := crew.promised()
				percent := []int{0, 10, 50, 90}[round%4]
				p.kept(t, b, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}))
			}
			crew.end(t)
			closeStore(t, s)
		})
	}
}

// TestDiskFaults: whichever operation of the disk fails, views continue, and a later start finds everything
// that was acknowledged.
func TestDiskFaults(t *testing.T) {
	logs := errorfs.PathMatch("db/*.log")
	manifests := errorfs.PathMatch("db/MANIFEST*")
	kinds := func(kinds ...errorfs.OpKind) predicate {
		return func(op errorfs.Op) bool {
			for _, k := range kinds {
				if op.Kind == k {
					return true
				}
			}
			return false
		}
	}
	writes := kinds(errorfs.OpFileWrite)
	syncs := kinds(errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo)
	creates := kinds(errorfs.OpCreate, errorfs.OpReuseForWrite)
	for _, c := range []struct {
		name  string
		when  errorfs.Predicate
		cause error
		full  bool
	}{
		{"log write", errorfs.And(logs, writes), syscall.EIO, false},
		{"log sync", errorfs.And(logs, syncs), syscall.EIO, false},
		{"log write, disk full", errorfs.And(logs, writes), syscall.ENOSPC, true},
		{"log write, over quota", errorfs.And(logs, writes), syscall.EDQUOT, true},
		{"log creation", errorfs.And(logs, creates), syscall.EIO, false},
		{"log creation, disk full", errorfs.And(logs, creates), syscall.ENOSPC, true},
		{"manifest write", errorfs.And(manifests, writes), syscall.EIO, false},
		{"manifest sync", errorfs.And(manifests, syncs), syscall.EIO, false},
		{
			"everything", kinds(errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpCreate),
			syscall.EIO, false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewCrashableMem()
			broken := errorfs.InjectorFunc(func(op errorfs.Op) error {
				if c.when.Evaluate(op) {
					return c.cause
				}
				return nil
			})
			toggle := &errorfs.Toggle{Injector: broken}
			b := onDisk(errorfs.Wrap(mem, toggle))
			s := b.open(t)
			crew := startCrew(s, 30<<10) // the log is changed within a few commits
			for s.Durable() < 20 {
				s.moves(nil)
			}
			toggle.On()
			<-s.failed
			crew.end(t)
			err := s.Update(t.Context(), func(tx kv.Tx) error { tx.Set([]byte("late"), nil); return nil })
			kind := fault.KindUnavailable
			if c.full {
				kind = fault.KindFull
			}
			if fault.From(err).Kind != kind || !errors.Is(err, c.cause) && kind == fault.KindFull ||
				errors.Is(err, kv.ErrUnknown) {
				t.Errorf("after the failure: %v", err)
			}
			for w := range crew.acked {
				if n, err := count(s, w); err != nil || n < crew.acked[w].Load() {
					t.Errorf("a view after the failure: %d, %v", n, err)
				}
			}
			p := crew.promised()
			if err := s.Close(); err == nil {
				t.Error("Close returned no error after a failure")
			}
			p.kept(t, b, mem.CrashClone(vfs.CrashCloneCfg{}))
			rng := rand.New(rand.NewPCG(1, 2))
			p.kept(t, b, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}))
		})
	}
}

type predicate func(errorfs.Op) bool

func (p predicate) Evaluate(op errorfs.Op) bool { return p(op) }
func (p predicate) String() string              { return "kinds" }

// TestFlushIsTriedAgain: if a table can't be written because there is no room, the write is tried again.
func TestFlushIsTriedAgain(t *testing.T) {
	mem := vfs.NewMem()
	var failures atomic.Int32
	b := onDisk(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && errorfs.PathMatch("db/*.sst").Evaluate(op) && failures.Add(1) <= 2 {
			return syscall.ENOSPC
		}
		return nil
	})))
	s := b.open(t)
	for i := 0; failures.Load() < 3; i++ {
		set(t, s, fmt.Sprint(i%10), string(make([]byte, 100<<10)))
	}
	closeStore(t, s)
	closeStore(t, b.open(t))
}

// heldFS makes syncs of the log wait.
type heldFS struct {
	vfs.FS
	gate sync.RWMutex
}

type heldFile struct {
	vfs.File
	fs *heldFS
}

func (f *heldFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return &heldFile{file, f}, err
}

func (f *heldFile) wait() {
	f.fs.gate.RLock()
	defer f.fs.gate.RUnlock()
}

func (f *heldFile) Sync() error     { f.wait(); return f.File.Sync() }
func (f *heldFile) SyncData() error { f.wait(); return f.File.SyncData() }

// TestUnsyncedIsHidden: unsynced changes are hidden from views, and from callers of an Update that only
// reads.
func TestUnsyncedIsHidden(t *testing.T) {
	fs := &heldFS{FS: vfs.NewMem()}
	b := onDisk(fs)
	s := b.open(t)
	set(t, s, "changed", "old")
	set(t, s, "deleted", "old")

	fs.gate.Lock()
	applied := s.applied.Load()
	written := make(chan error, 1)
	go func() {
		written <- s.Update(context.Background(), func(tx kv.Tx) error {
			tx.Set([]byte("changed"), []byte("new"))
			tx.Delete([]byte("deleted"))
			return nil
		})
	}()
	for s.applied.Load() == applied {
		if _, err := read(s, "changed"); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]string{"changed": "old", "deleted": "old"} {
		t.Run(key, func(t *testing.T) {
			if v, err := read(s, key); string(v) != want || err != nil {
				t.Errorf("%s: %q, %v", key, v, err)
			}
		})
	}
	// A transaction builds on the newest state, but returns only when that is durable.
	mine := errors.New("it is new")
	looked := make(chan struct{})
	told := make(chan error, 1)
	go func() {
		told <- s.Update(context.Background(), func(tx kv.Tx) error {
			defer close(looked)
			v, err := tx.Get([]byte("changed"))
			if string(v) != "new" {
				return errors.Join(io.ErrUnexpectedEOF, err)
			}
			return mine
		})
	}()
	<-looked
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx kv.Tx) error {
		_, err := tx.Get([]byte("changed"))
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Error("waiting is not cancelled:", err)
	}
	select {
	case err := <-told:
		t.Error("a reading Update returned before the state was durable:", err)
	case err := <-written:
		t.Error("an Update returned before it was durable:", err)
	default:
	}
	fs.gate.Unlock()
	if err := <-written; err != nil {
		t.Error(err)
	}
	if err := <-told; err != mine {
		t.Error(err)
	}
	if v, err := read(s, "deleted"); v != nil || err != nil {
		t.Error(v, err)
	}
	closeStore(t, s)
}
