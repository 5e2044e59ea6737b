package object

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/seal"
)

// newDiskEnv is an env on the disk, every commit of which is synced.
func newDiskEnv(tb testing.TB) *env {
	tb.Helper()
	dir, root := tb.TempDir(), seal.RingOf(seal.NewKey())
	store, err := embedded.OpenPebble(tb.Context(), embedded.Options{
		Root: root, Dir: filepath.Join(dir, "meta"), Create: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	})
	e := &env{tb: tb, store: store, kms: newKMS(store)}
	e.ring = keys.New(root, e.kms)
	p, err := payload.Open(payload.Options{Dir: dir, Keys: e.ring})
	if err != nil {
		tb.Fatal(err)
	}
	e.payloads = &spy{Store: p, blobs: map[string]bool{}, early: map[string]bool{}}
	e.buckets = bucket.New(store, "us-east-1", nil)
	e.objects = New(store, e.payloads, e.buckets, e.kms)
	e.makeBucket("bkt")
	return e
}

// BenchmarkRollback rolls keys back, all of which have changed: to an instant before they were
// overwritten or deleted, and then to one after that.
func BenchmarkRollback(b *testing.B) {
	for _, objects := range []int{20_000, 100_000} {
		b.Run(fmt.Sprint(objects), func(b *testing.B) { rollBack(b, objects) })
	}
}

func rollBack(b *testing.B, objects int) {
	const writers = 32
	e := newDiskEnv(b)
	e.versioning(bucket.Enabled)
	each := func(do func(key string, n int) error) time.Time {
		var wg sync.WaitGroup
		errs := make([]error, writers)
		for w := range writers {
			wg.Go(func() {
				for n := w; n < objects && errs[w] == nil; n += writers {
					errs[w] = do(fmt.Sprintf("folder/%03d/object-%06d", n%1000, n), n)
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			b.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		return time.Now()
	}
	put := func(key string, _ int) error {
		_, err := e.put(PutInput{Key: key, Body: strings.NewReader("small"), Size: 5})
		return err
	}
	moments := []time.Time{each(put), each(func(key string, n int) error {
		if n%3 > 0 {
			return put(key, n)
		}
		_, err := e.delete(DeleteInput{Key: key})
		return err
	})}
	o := NewOperator(e.store, payload.NewOperator(e.payloads.Store, nil))
	var peak uint64
	n, pages, before := 0, 0, cpu(b)
	for b.Loop() {
		in := RollbackInput{Bucket: "bkt", To: moments[n%2]}
		n++
		total := 0
		for more := true; more; more = in.After != "" {
			page, err := o.Rollback(b.Context(), nil, time.Now(), in)
			if err != nil {
				b.Fatal(err)
			}
			total += page.Restored + page.Changed + page.Hidden
			in.After = page.Next
			if pages++; pages%10 == 0 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
		if total != objects {
			b.Fatal(total, "keys changed")
		}
	}
	b.ReportMetric(float64(objects)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
	b.ReportMetric(float64(cpu(b)-before)/1e3/float64(objects)/float64(b.N), "cpu-µs/key")
	b.ReportMetric(float64(peak)/(1<<20), "MiB-live")
}

// cpu returns the processor time of this process.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
