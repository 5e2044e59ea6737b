package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/engine"
)

// countedEngine counts the records that are read by name.
type countedEngine struct {
	engine.Engine
	gets *int
}

type countedSnapshot struct {
	engine.Snapshot
	gets *int
}

func (e countedEngine) Snapshot() engine.Snapshot {
	return countedSnapshot{e.Engine.Snapshot(), e.gets}
}

func (s countedSnapshot) Get(key []byte) (value []byte, done io.Closer, err error) {
	*s.gets++
	return s.Snapshot.Get(key)
}

// TestOpenedValues: a value that is read often is read from the engine only twice, and a view never gets
// the value of another state.
func TestOpenedValues(t *testing.T) {
	gets := 0
	b := benches()["memory"]()
	start := b.start
	b.start = func(s *store) (engine.Engine, error) {
		e, err := start(s)
		return countedEngine{e, &gets}, err
	}
	s := b.open(t)
	defer s.Close()
	ctx := t.Context()
	key, other := []byte("k"), []byte("l")
	set := func(value string) {
		t.Helper()
		if err := s.Update(ctx, func(tx kv.Tx) error { tx.Set(key, []byte(value)); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	read := func(r kv.Reader, want string, wantGets int) {
		t.Helper()
		before := gets
		v, err := r.Get(key)
		if err != nil || string(v) != want || gets-before != wantGets {
			t.Errorf("%q, %v after %d reads of the engine; want %q after %d", v, err, gets-before, want, wantGets)
		}
		if len(v) > 0 {
			v[0] = '!' // the caller owns the slice
		}
	}
	view := func(want string, wantGets int) {
		t.Helper()
		if err := s.View(ctx, func(r kv.Reader) error { read(r, want, wantGets); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	set("one")
	view("one", 1)
	view("one", 1)
	view("one", 0)
	err := s.View(ctx, func(old kv.Reader) error {
		read(old, "one", 0)
		set("two")
		read(old, "one", 1)
		view("two", 1) // the value is kept now
		view("two", 0)
		read(old, "one", 1)
		return s.Update(ctx, func(tx kv.Tx) error { tx.Set(other, nil); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	view("two", 0)
	err = s.Update(ctx, func(tx kv.Tx) error {
		read(tx, "two", 0)
		tx.Set(key, []byte("three"))
		read(tx, "three", 0)
		tx.Delete(key)
		read(tx, "", 0)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	view("", 1) // the absence is kept now
	view("", 0)
	set("four")
	view("four", 1)
}

// TestOpenedValuesMeanwhile: while writers give a few keys the same new value at once, readers never see
// two values in one state, nor an older value after a newer one.
func TestOpenedValuesMeanwhile(t *testing.T) {
	s := benches()["memory"]().open(t)
	defer s.Close()
	ctx, stop := context.WithCancel(t.Context())
	keys := [][]byte{[]byte("a"), []byte("b"), []byte("c")}
	var running sync.WaitGroup
	check := func(r kv.Reader, last uint64) (uint64, error) {
		first := uint64(0)
		for i := range 2 * len(keys) {
			v, err := r.Get(keys[i%len(keys)])
			if err != nil {
				return 0, err
			}
			n := uint64(0)
			if v != nil {
				n = binary.BigEndian.Uint64(v)
			}
			if i == 0 {
				first = n
			}
			if n != first || n < last {
				return 0, fmt.Errorf("read %d; the state began with %d, the one before with %d", n, first, last)
			}
		}
		return first, nil
	}
	for range 4 {
		running.Go(func() {
			last := uint64(0)
			for ctx.Err() == nil {
				err := s.View(ctx, func(r kv.Reader) (err error) { last, err = check(r, last); return err })
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2000 {
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			n, err := check(tx, 0)
			for _, k := range keys {
				tx.Set(k, binary.BigEndian.AppendUint64(nil, n+1))
			}
			return err
		})
		if err != nil {
			t.Error(err)
			break
		}
	}
	stop()
	running.Wait()
}

// TestUnchangedIsKnown: records that were read twice are compared without a View, and
// without memory.
func TestUnchangedIsKnown(t *testing.T) {
	s := benches()["memory"]().open(t)
	defer s.Close()
	records := []*kv.Copy{{Key: []byte("k"), Value: []byte("1")}, {Key: []byte("l"), Value: []byte("2")}}
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for _, p := range records {
			tx.Set(p.Key, p.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if kv.Unchanged(t.Context(), s, records) {
		t.Error("records that nobody read are known")
	}
	for range 2 {
		err := s.View(t.Context(), func(r kv.Reader) error {
			for _, p := range records {
				if _, err := r.Get(p.Key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	n := testing.AllocsPerRun(100, func() {
		if !kv.Unchanged(t.Context(), s, records) {
			t.Error("records that were read twice are not known")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
