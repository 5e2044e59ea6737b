package sealedfs_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/kv/embedded/internal/sealedfs"
)

// TestReadsDoNotAllocate: a block of a table is opened without an allocation.
func TestReadsDoNotAllocate(t *testing.T) {
	inner := newMem()
	write(sealed(inner), "d/OPTIONS-000001", pattern(1<<20), 1<<16)
	f := must(sealed(inner).Open("d/OPTIONS-000001"))
	defer f.Close()
	p := make([]byte, 8<<10)
	at := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		at = (at + 12345) % (1<<20 - 8<<10)
		must(f.ReadAt(p, at))
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestWritesDoNotAllocate: nor does a frame of a log.
func TestWritesDoNotAllocate(t *testing.T) {
	f := must(sealed(vfs.NewMem()).Create("000001.log", vfs.WriteCategoryUnspecified))
	defer f.Close()
	p := pattern(1000)
	if n := testing.AllocsPerRun(1000, func() { must(f.Write(p)) }); n > 1 { // the file in memory grows
		t.Errorf("%v allocations", n)
	}
}

// both runs a benchmark on plain and on sealed files of the disk, in turns.
func both(b *testing.B, bench func(*testing.B, vfs.FS)) {
	for _, plain := range []bool{true, false, true, false} {
		name, fs := "plain", vfs.Default
		if !plain {
			name, fs = "sealed", sealedfs.New(vfs.Default, testKey(), sealedfs.Options{})
		}
		b.Run(name, func(b *testing.B) { bench(b, fs) })
	}
}

// BenchmarkCommit: commits of 1 KiB that are durable, by several writers.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			both(b, func(b *testing.B, fs vfs.FS) {
				o := options(fs)
				o.MemTableSize = 16 << 20
				db := must(pebble.Open(b.TempDir(), o))
				value := pattern(1 << 10)
				b.ReportAllocs()
				var wg sync.WaitGroup
				for w := range writers {
					wg.Go(func() {
						for i := w; i < b.N; i += writers {
							must(0, db.Set(fmt.Appendf(nil, "%020d", i), value, pebble.Sync))
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				must(0, db.Close())
			})
		})
	}
}

// BenchmarkAppend: a frame of a log, without a sync.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 8 << 10, 32 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			both(b, func(b *testing.B, fs vfs.FS) {
				path := b.TempDir() + "/000001.log"
				f := must(fs.Create(path, vfs.WriteCategoryUnspecified))
				p := pattern(size)
				b.SetBytes(int64(size))
				for i := range b.N {
					if i%(64<<20/size) == 0 { // not too large a file
						must(0, f.Close())
						f = must(fs.Create(path, vfs.WriteCategoryUnspecified))
					}
					must(f.Write(p))
				}
				must(0, f.Close())
			})
		})
	}
}

// BenchmarkBlock reads blocks of 8 KiB of a file that the system has in memory.
func BenchmarkBlock(b *testing.B) {
	both(b, func(b *testing.B, fs vfs.FS) {
		path := b.TempDir() + "/OPTIONS-000001"
		write(fs, path, pattern(16<<20), 1<<16)
		f := must(fs.Open(path))
		p := make([]byte, 8<<10)
		at := int64(0)
		b.SetBytes(int64(len(p)))
		b.ReportAllocs()
		for b.Loop() {
			at = (at + 1234567) % (16<<20 - 8<<10)
			must(f.ReadAt(p, at))
		}
		must(0, f.Close())
	})
}

// BenchmarkTable writes a table.
func BenchmarkTable(b *testing.B) {
	both(b, func(b *testing.B, fs vfs.FS) {
		path, content := b.TempDir()+"/OPTIONS-000001", pattern(4<<20)
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			f := must(fs.Create(path, vfs.WriteCategoryUnspecified))
			for at := 0; at < len(content); at += 4 << 10 {
				must(f.Write(content[at : at+4<<10]))
			}
			must(0, f.Close())
		}
	})
}
