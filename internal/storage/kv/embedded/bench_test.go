package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

func benchStore(b *testing.B) *store {
	s, err := OpenPebble(context.Background(), Options{
		Dir: b.TempDir(), Root: seal.RingOf(seal.NewKey()), Create: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return inner(s)
}

// BenchmarkCommit measures transactions that read one key, share a guard and write 300 bytes; each writer
// waits for its own.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := benchStore(b)
			ctx := context.Background()
			value := make([]byte, 300)
			before := s.Stats()
			var n atomic.Uint64
			b.ReportAllocs()
			b.ResetTimer()
			work := make(chan struct{}, writers)
			done := make(chan error, writers)
			for range writers {
				go func() {
					for range work {
						id := n.Add(1)
						key := binary.BigEndian.AppendUint64([]byte("bucket/object/"), id*0x9E3779B97F4A7C15)
						err := s.Update(ctx, func(tx kv.Tx) error {
							if err := tx.Lock([]byte("bucket"), kv.Shared); err != nil {
								return err
							}
							if _, err := tx.Get(key); err != nil {
								return err
							}
							tx.Set(key, value)
							return nil
						})
						if err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			for range writers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			after := s.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(after.Syncs-before.Syncs)/float64(b.N), "syncs/op")
			b.ReportMetric(float64(after.Groups-before.Groups)/float64(b.N), "groups/op")
		})
	}
}

func filled(b *testing.B, records int) *store {
	s := benchStore(b)
	value := make([]byte, 300)
	for at := 0; at < records; at += 1000 {
		err := s.Update(context.Background(), func(tx kv.Tx) error {
			for i := at; i < at+1000; i++ {
				tx.Set(fmt.Appendf(nil, "bucket/folder-%04d/object-%08d", i/100, i), value)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkGet(b *testing.B) {
	s := filled(b, 50_000)
	key := []byte("bucket/folder-0250/object-00025000")
	b.ReportAllocs()
	for b.Loop() {
		err := s.View(context.Background(), func(r kv.Reader) error {
			v, err := r.Get(key)
			if len(v) != 300 {
				b.Fatal(len(v), err)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan1000(b *testing.B) {
	s := filled(b, 50_000)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		err := s.View(context.Background(), func(r kv.Reader) error {
			for _, err := range r.Scan([]byte("bucket/folder-0250/"), nil) {
				if err != nil {
					return err
				}
				if n++; n == 1000 {
					break
				}
			}
			return nil
		})
		if err != nil || n != 1000 {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkFolders measures a listing with a delimiter: a scan of one record in each of 500 folders, in one
// View.
func BenchmarkFolders(b *testing.B) {
	s := filled(b, 50_000)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		err := s.View(context.Background(), func(r kv.Reader) error {
			for i := range 500 {
				for _, err := range r.Scan(fmt.Appendf(nil, "bucket/folder-%04d/", i), []byte("bucket0")) {
					if err != nil {
						return err
					}
					n++
					break
				}
			}
			return nil
		})
		if err != nil || n != 500 {
			b.Fatal(n, err)
		}
	}
}
