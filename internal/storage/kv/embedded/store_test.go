package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/engine"
	"watertight/internal/storage/kv/embedded/internal/memkv"
	"watertight/internal/storage/seal"
	"watertight/internal/storage/space"
)

// bench is an engine that stays open when stores on it are closed, so that a test can read and change the
// engine's content.
type bench struct {
	id    *identity
	start func(*store) (engine.Engine, error)
}

func newBench(start func(*identity, *store) (engine.Engine, error)) *bench {
	id := newIdentity(seal.RingOf(seal.NewKey()), seal.NewKey())
	return &bench{id, func(s *store) (engine.Engine, error) { return start(id, s) }}
}

func benches() map[string]func() *bench {
	return map[string]func() *bench{
		"memory": func() *bench {
			e := memkv.Open()
			return newBench(func(*identity, *store) (engine.Engine, error) { return e, nil })
		},
		"pebble": func() *bench { return onDisk(vfs.NewMem()) },
	}
}

// onDisk returns a bench whose engine is Pebble on fs.
func onDisk(fs vfs.FS) *bench {
	return newBench(func(id *identity, s *store) (engine.Engine, error) {
		return startPebble(engineOptions(Options{Dir: "db", fs: fs}, id))(s)
	})
}

func (b *bench) open(t testing.TB, change ...func(*Options)) *store {
	t.Helper()
	o := Options{Root: b.id.root}
	for _, c := range change {
		c(&o)
	}
	s, err := open(context.Background(), o, b.id, b.start)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// raw works on the engine itself.
func (b *bench) raw(t testing.TB, fn func(engine.Engine)) {
	t.Helper()
	e, err := b.start(&store{log: slog.New(slog.DiscardHandler), failed: make(chan struct{})})
	if err != nil {
		t.Fatal(err)
	}
	fn(e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func rawGet(t testing.TB, e engine.Engine, key []byte) []byte {
	t.Helper()
	s := e.Snapshot()
	defer s.Close()
	v, done, err := s.Get(key)
	if err != nil || v == nil {
		t.Fatal(v, err)
	}
	v = bytes.Clone(v)
	if done != nil {
		done.Close()
	}
	return v
}

// rawSet sets key, or deletes it if value is nil.
func rawSet(t testing.TB, e engine.Engine, key, value []byte) {
	t.Helper()
	b := e.Batch()
	if value == nil {
		b.Delete(key)
	} else {
		copy(b.Set(key, len(value)), value)
	}
	if err := errors.Join(b.Apply(), b.Wait()); err != nil {
		t.Fatal(err)
	}
	b.Close()
}

func set(t testing.TB, s *store, key, value string) {
	t.Helper()
	err := s.Update(context.Background(), func(tx kv.Tx) error { tx.Set([]byte(key), []byte(value)); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

func read(s *store, key string) (v []byte, err error) {
	err = s.View(context.Background(), func(r kv.Reader) (err error) { v, err = r.Get([]byte(key)); return err })
	return v, err
}

func closeStore(t testing.TB, s *store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func eachBench(t *testing.T, test func(*testing.T, *bench)) {
	for name, b := range benches() {
		t.Run(name, func(t *testing.T) { test(t, b()) })
	}
}

// TestStoredValue: a value is stored as it is, after its format and commit. What is not a value of this
// format is refused.
func TestStoredValue(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		s := b.open(t)
		set(t, s, "key", "tiny")
		set(t, s, "empty", "")
		closeStore(t, s)
		b.raw(t, func(e engine.Engine) {
			good := rawGet(t, e, []byte("key"))
			if want := "\x02\x00\x00\x00\x00\x00\x00\x00\x01tiny"; string(good) != want {
				t.Errorf("%q, want %q", good, want)
			}
			for i := range valueAt {
				rawSet(t, e, fmt.Append(nil, "bad", i), good[:i])
			}
			good[0]++
			rawSet(t, e, []byte("bad format"), good)
		})
		s = b.open(t)
		defer closeStore(t, s)
		for _, key := range []string{"bad0", "bad8", "bad format"} {
			if _, err := read(s, key); !errors.Is(err, seal.ErrCorrupt) || fault.From(err).Kind != fault.KindInternal {
				t.Errorf("%s: %v", key, err)
			}
		}
		for key, want := range map[string]string{"key": "tiny", "empty": ""} {
			if v, err := read(s, key); v == nil || string(v) != want || err != nil {
				t.Errorf("%q, %v", v, err)
			}
		}
		err := s.View(t.Context(), func(r kv.Reader) error {
			for p, err := range r.Scan([]byte("bad"), nil) {
				if err == nil {
					t.Errorf("scan served %q", p.Key)
				}
				return err
			}
			return nil
		})
		if !errors.Is(err, seal.ErrCorrupt) {
			t.Error("scan:", err)
		}
	})
}

// TestValueFromTheFuture: if the chain's record was rolled back, values of commits that it does not know
// are not served.
func TestValueFromTheFuture(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		s := b.open(t)
		set(t, s, "a", "1")
		closeStore(t, s)
		var old []byte
		b.raw(t, func(e engine.Engine) { old = rawGet(t, e, chainKey()) })
		s = b.open(t)
		set(t, s, "b", "2")
		closeStore(t, s)
		b.raw(t, func(e engine.Engine) { rawSet(t, e, chainKey(), old) })
		s = b.open(t)
		defer closeStore(t, s)
		if v, err := read(s, "b"); !errors.Is(err, seal.ErrCorrupt) {
			t.Errorf("%q, %v", v, err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	damage := func(key []byte, change func([]byte) []byte) func(*testing.T, *bench, *Options) {
		return func(t *testing.T, b *bench, _ *Options) {
			b.raw(t, func(e engine.Engine) { rawSet(t, e, key, change(rawGet(t, e, key))) })
		}
	}
	remove := func([]byte) []byte { return nil }
	cut := func(v []byte) []byte { return v[:len(v)-1] }
	flip := func(v []byte) []byte { v[valueAt+7] ^= 1; return v }
	for _, c := range []struct {
		name   string
		change func(*testing.T, *bench, *Options)
		says   string
	}{
		{"a lost tail", func(_ *testing.T, _ *bench, o *Options) { o.AtLeast = 4 }, "found 3, anchor says 4"},
		{"no chain", damage(chainKey(), remove), "newest commit"},
		{"a damaged chain", damage(chainKey(), cut), "newest commit"},
		{"a chain of another commit", damage(chainKey(), flip), "newest commit"},
		{"a dropped context", func(*testing.T, *bench, *Options) {}, "canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachBench(t, func(t *testing.T, b *bench) {
				s := b.open(t)
				for i := range 3 {
					set(t, s, fmt.Sprint(i), "value")
				}
				closeStore(t, s)
				closeStore(t, b.open(t))
				o := Options{Root: b.id.root, AtLeast: 3}
				c.change(t, b, &o)
				ctx, cancel := context.WithCancel(t.Context())
				if c.says == "canceled" {
					cancel()
				}
				defer cancel()
				s, err := open(ctx, o, b.id, b.start)
				if err == nil {
					closeStore(t, s)
				}
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v does not say %q", err, c.says)
				}
			})
		})
	}
}

func TestEmptyStoreMeetsItsAnchor(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		if _, err := open(t.Context(), Options{Root: b.id.root, AtLeast: 1}, b.id, b.start); err == nil {
			t.Error("an empty store was accepted for one with a commit")
		}
		closeStore(t, b.open(t)) // and nothing was written
	})
}

func TestChainGoesOn(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		seen := map[[32]byte]bool{}
		for i := range 3 {
			s := b.open(t, func(o *Options) { o.AtLeast = uint64(i) })
			set(t, s, "key", "the same")
			n, sum := s.Head()
			if n != uint64(i+1) || n != s.Durable() || seen[sum] {
				t.Errorf("commit %d of %d, chain seen before: %v", n, i+1, seen[sum])
			}
			seen[sum] = true
			closeStore(t, s)
		}
	})
}

func TestNothingPlainOnDisk(t *testing.T) {
	dir := t.TempDir()
	marker := "marker-of-a-secret"
	s, err := OpenPebble(t.Context(), Options{
		Dir: dir, Root: seal.RingOf(seal.Key([]byte(strings.Repeat("root", 8)))), Create: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		set(t, inner(s), fmt.Sprint("key", i), strings.Repeat(marker, 1000))
	}
	closeStore(t, inner(s))
	files := 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(marker)) || bytes.Contains(text, []byte("rootroot")) {
			t.Errorf("%s holds plain text", path)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatal(files, err)
	}
}

func TestOneHolder(t *testing.T) {
	o := Options{Dir: t.TempDir(), Root: seal.RingOf(seal.NewKey()), Create: true}
	s, err := OpenPebble(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPebble(t.Context(), o); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Error(err)
	}
	set(t, inner(s), "a", "1")
	closeStore(t, inner(s))
	if s, err = OpenPebble(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if v, err := read(inner(s), "a"); string(v) != "1" {
		t.Errorf("%q, %v", v, err)
	}
	closeStore(t, inner(s))
}

func TestRoom(t *testing.T) {
	large := strings.Repeat("x", smallSets)
	for _, c := range []struct {
		name              string
		sets, deletes     int
		large             bool
		deletesOnly, full bool
	}{
		{"a set", 1, 0, false, false, false},
		{"a deletion", 0, 1, false, true, true},
		{"a deletion and its trace", 1, 1, false, true, false},
		{"a deletion as a pretext", 1, 1, true, false, false},
		{"nothing", 0, 0, false, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for room, through := range map[space.State]bool{
				space.Ample: true, space.DeletesOnly: c.deletesOnly, space.Full: c.full,
			} {
				b := benches()["memory"]()
				s := b.open(t, func(o *Options) { o.Room = func(int64) space.State { return room } })
				err := s.Update(t.Context(), func(tx kv.Tx) error {
					for i := range c.sets {
						if c.large {
							tx.Set(fmt.Append(nil, "set", i), []byte(large))
						}
						tx.Set(fmt.Append(nil, "small", i), nil)
					}
					for i := range c.deletes {
						tx.Delete(fmt.Append(nil, "delete", i))
					}
					return nil
				})
				if through != (err == nil) || err != nil && fault.From(err).Kind != fault.KindFull {
					t.Errorf("%s at space %d: %v", c.name, room, err)
				}
				closeStore(t, s)
			}
		})
	}
}

// TestClaim: a transaction that conflicts again and again gets exclusive use of the store.
func TestClaim(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		s := b.open(t)
		defer closeStore(t, s)
		runs := 0
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			v, err := tx.Get([]byte("hot"))
			if err != nil {
				return err
			}
			if runs++; runs <= triesBeforeClaim {
				set(t, s, "hot", fmt.Sprint(runs))
			} else {
				// Any other transaction has to wait now.
				ctx, cancel := context.WithCancel(t.Context())
				result := make(chan error)
				go func() {
					result <- s.Update(ctx, func(tx kv.Tx) error { tx.Set([]byte("hot"), []byte("late")); return nil })
				}()
				for len(s.queue) == 0 {
					runtime.Gosched()
				}
				cancel()
				if err := <-result; !errors.Is(err, context.Canceled) {
					t.Error("during a claim:", err)
				}
			}
			tx.Set([]byte("hot"), append(v, '!'))
			return nil
		})
		v, err2 := read(s, "hot")
		if err != nil || err2 != nil || runs != triesBeforeClaim+1 || string(v) != fmt.Sprint(triesBeforeClaim, "!") {
			t.Errorf("%d runs, %q, %v %v", runs, v, err, err2)
		}
		if n := s.Stats().Conflicts; n != triesBeforeClaim {
			t.Error(n, "conflicts")
		}
	})
}

// TestClaimEnds: a claim ends with its transaction, however that ends.
func TestClaimEnds(t *testing.T) {
	mine := errors.New("mine")
	for name, end := range map[string]func(context.CancelFunc) error{
		"error":  func(context.CancelFunc) error { return mine },
		"panic":  func(context.CancelFunc) error { panic(mine) },
		"cancel": func(cancel context.CancelFunc) error { cancel(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := benches()["memory"]().open(t)
			defer closeStore(t, s)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			runs := 0
			func() {
				defer func() { recover() }()
				err := s.Update(ctx, func(tx kv.Tx) error {
					tx.Set([]byte("hot"), nil)
					if _, err := tx.Get([]byte("cold")); err != nil {
						return err
					}
					if runs++; runs <= triesBeforeClaim {
						set(t, s, "cold", "")
						return nil
					}
					return end(cancel)
				})
				if err == nil {
					t.Error("committed")
				}
			}()
			set(t, s, "after", "")
			if v, err := read(s, "hot"); v != nil || err != nil {
				t.Error(v, err)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	s := benches()["memory"]().open(t)
	defer closeStore(t, s)
	half := make([]byte, maxTx/2)
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		tx.Set([]byte("a"), half)
		tx.Set([]byte("b"), half)
		return nil
	})
	if !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
}

// TestNoStoreIsNil: a refused open returns nothing that could be closed.
func TestNoStoreIsNil(t *testing.T) {
	s, err := OpenMemory(t.Context(), Options{Root: seal.RingOf(seal.NewKey()), AtLeast: 1 << 40})
	if err == nil || s != nil {
		t.Errorf("%v, %v", s, err)
	}
}

// inner is the store under one that OpenPebble returned.
func inner(s kv.Store) *store { return s.(*keeper).now.Load() }
