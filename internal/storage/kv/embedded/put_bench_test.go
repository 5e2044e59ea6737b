package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"watertight/internal/storage/kv"
)

// BenchmarkPut measures transactions like those of a PUT of 1 KiB with its authorization, and the
// commits of the audit log that delete the events again.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := benchStore(b)
			err := s.Update(context.Background(), func(tx kv.Tx) error {
				for i := range 5 {
					tx.Set(fmt.Appendf(nil, "law/%d", i), make([]byte, 300))
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			used := func() time.Duration {
				var u syscall.Rusage
				if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
					b.Fatal(err)
				}
				return time.Duration(u.Utime.Nano() + u.Stime.Nano())
			}
			before, cpu := s.Stats(), used()
			b.ReportAllocs()
			b.ResetTimer()
			putAll(b, s, writers)
			b.StopTimer()
			after := s.Stats()
			n := float64(b.N)
			b.ReportMetric(float64((used()-cpu).Microseconds())/n, "cpu-µs/op")
			b.ReportMetric(float64(after.Syncs-before.Syncs)/n, "syncs/op")
			b.ReportMetric(n/float64(after.Groups-before.Groups), "commits/group")
		})
	}
}

// putAll commits b.N transactions.
func putAll(b *testing.B, s kv.Store, writers int) {
	var n atomic.Uint64
	var wg sync.WaitGroup
	moved := make(chan [][]byte, 100)
	for range writers {
		wg.Go(func() {
			var events [][]byte
			for id := n.Add(1); id <= uint64(b.N); id = n.Add(1) {
				event, err := putOne(s, id)
				if err != nil {
					b.Error(err)
					return
				}
				if events = append(events, event); len(events) == 100 {
					moved <- events
					events = nil
				}
				for range 20 { // the rest of a request, in which others run
					runtime.Gosched()
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for events := range moved {
			err := s.Update(context.Background(), func(tx kv.Tx) error {
				for _, e := range events {
					tx.Delete(e)
				}
				return nil
			})
			if err != nil {
				b.Error(err)
			}
		}
	}()
	wg.Wait()
	close(moved)
	<-done
}

func putOne(s kv.Store, id uint64) (event []byte, err error) {
	ctx := kv.Witnessed(context.Background())
	name := binary.BigEndian.AppendUint64([]byte("bucket-0123456789/object/"), id*0x9E3779B97F4A7C15)
	key := func(space string) []byte { return append([]byte(space), name...) }
	if err := s.View(ctx, func(r kv.Reader) error {
		for i := range 5 {
			if _, err := r.Get(fmt.Appendf(nil, "law/%d", i)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	event = binary.BigEndian.AppendUint64([]byte("a/"), uint64(time.Now().UnixMicro()))
	event = binary.BigEndian.AppendUint64(event, id)
	err = s.Update(ctx, func(tx kv.Tx) error {
		if err := tx.Rely(ctx); err != nil {
			return err
		}
		if err := tx.Lock([]byte("bucket"), kv.Shared); err != nil {
			return err
		}
		for i := range 3 {
			if _, err := tx.Get(fmt.Appendf(nil, "law/%d", i)); err != nil {
				return err
			}
		}
		for _, space := range []string{"c/", "v/"} {
			if _, err := tx.Get(key(space)); err != nil {
				return err
			}
		}
		tx.Set(key("c/"), make([]byte, 500))
		tx.Set(key("v/"), make([]byte, 400))
		tx.Set(key("d/"), make([]byte, 1040))
		tx.Set(key("r/"), nil)
		tx.Set(event, make([]byte, 1200))
		return nil
	})
	return event, err
}
