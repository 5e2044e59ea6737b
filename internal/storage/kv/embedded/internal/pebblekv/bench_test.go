package pebblekv

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// BenchmarkBare is the lower bound for kv's BenchmarkCommit: Pebble alone with the same settings, without
// transactions or seals.
func BenchmarkBare(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			e, err := Open(Options{Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler), Failed: func(error) {}})
			if err != nil {
				b.Fatal(err)
			}
			value := make([]byte, 300)
			var n atomic.Uint64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for i := n.Add(1); i <= uint64(b.N); i = n.Add(1) {
						if err := e.db.Set(fmt.Appendf(nil, "bucket/%x", i*0x9E3779B97F4A7C15), value,
							pebble.Sync); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(e.Syncs())/float64(b.N), "syncs/op")
			if err := e.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
