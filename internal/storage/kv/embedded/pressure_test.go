package embedded

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/engine"
	"watertight/internal/storage/seal"
)

// openSlow opens a store on a disk that then writes no tables until quick is called.
func openSlow(t *testing.T) (s kv.Store, quick func()) {
	t.Helper()
	gate := make(chan struct{})
	slow := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") {
			<-gate
		}
		return nil
	})}
	s, err := OpenPebble(t.Context(), Options{
		Dir: "db", Root: seal.RingOf(seal.NewKey()), Create: true, fs: errorfs.Wrap(vfs.NewMem(), slow),
	})
	if err != nil {
		t.Fatal(err)
	}
	slow.On()
	quick = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(func() { quick(); s.Close() })
	return s, quick
}

// TestSlowDisk writes to a disk that cannot keep up. Writes wait, and are refused with
// SlowDown before the engine makes them wait; reads and deletions go on. Once the disk is
// quick again, so are writes.
func TestSlowDisk(t *testing.T) {
	s, quick := openSlow(t)
	var err error
	const size, limit = 1 << 20, 64 // what the engine holds in memory, in values of this size
	value := strings.Repeat("x", size)
	n := 0
	for err == nil && n < limit {
		if err = update(t, s, fmt.Sprint("k", n), value); err == nil {
			n++
		}
	}
	f := fault.From(err)
	if f == nil || f.Code != fault.SlowDown || f.Headers["Retry-After"] == "" {
		t.Fatalf("after %d MiB: %v", n, err)
	}
	if n < limit/2 {
		t.Errorf("writes are refused after %d MiB", n)
	}
	stats := s.(Metered).Stats()
	if stats.Pressure < 1 || stats.Delayed < 2 || stats.Refused != 1 {
		t.Errorf("%+v", stats)
	}
	for i := range n {
		if v, err := get(s, fmt.Sprint("k", i)); v != value || err != nil {
			t.Errorf("k%d: %d bytes, %v", i, len(v), err)
		}
	}
	for i := range 20 {
		if err := s.Update(t.Context(), func(tx kv.Tx) error {
			tx.Delete(fmt.Append(nil, "k", i))
			tx.Set(fmt.Append(nil, "event", i), make([]byte, 1000))
			return nil
		}); err != nil {
			t.Errorf("a deletion: %v", err)
		}
	}
	quick()
	comes(t, s, "again", value)
	for end := time.Now().Add(time.Minute); s.(Metered).Stats().Pressure > 0; time.Sleep(lookInterval) {
		if time.Now().After(end) {
			t.Fatalf("the pressure stays: %+v", s.(Metered).Stats())
		}
	}
}

// TestSlowDiskWithManyWriters: however many write at once, no engine's wait delays a
// deletion, and every write has an answer.
func TestSlowDiskWithManyWriters(t *testing.T) {
	s, _ := openSlow(t)
	if err := update(t, s, "gone", "1"); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	var taken, refused atomic.Int64
	for w := range 32 {
		writers.Go(func() {
			for i := range 500 {
				switch err := update(t, s, fmt.Sprint(w, "-", i), strings.Repeat("x", 64<<10)); {
				case err == nil:
					taken.Add(1)
				case fault.From(err).Code == fault.SlowDown:
					refused.Add(1)
					return
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	if taken.Load() < 500 || refused.Load() != 32 {
		t.Errorf("%d written, %d refused", taken.Load(), refused.Load())
	}
	if err := s.Update(t.Context(), func(tx kv.Tx) error { tx.Delete([]byte("gone")); return nil }); err != nil {
		t.Error(err)
	}
}

func TestLevelOfPressure(t *testing.T) {
	for _, c := range []struct {
		b    engine.Backlog
		want float64
	}{
		{engine.Backlog{}, 0},
		{engine.Backlog{Memory: 0.5, Tables: 0.2}, 0}, // one memtable is filled and one flushed
		{engine.Backlog{Memory: 0.7625}, 0.5},
		{engine.Backlog{Memory: 0.95}, 1.18},
		{engine.Backlog{Tables: 0.625}, 0.5},
		{engine.Backlog{Memory: 0.7, Tables: 1}, 1},
	} {
		t.Run(fmt.Sprint(c.b), func(t *testing.T) {
			if got := levelOf(c.b); math.Abs(got-c.want) > 0.01 {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	var p pressure
	p.asked.Store(time.Now().Add(-2 * unanswered).UnixNano())
	if p.now() != behind {
		t.Errorf("an engine that does not answer: %v", p.now())
	}
}
