package sealedfs_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"watertight/internal/storage/kv/embedded/internal/sealedfs"
	"watertight/internal/storage/seal"
)

func testKey() seal.Key { return seal.Key{1, 2, 3} }

// sealed returns a FS over inner.
func sealed(inner vfs.FS) *sealedfs.FS { return sealedfs.New(inner, testKey(), sealedfs.Options{}) }

// must returns v, or fails the test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newMem returns a disk with two folders.
func newMem() *vfs.MemFS {
	m := vfs.NewCrashableMem()
	for _, dir := range []string{"d", "e"} {
		must(0, m.MkdirAll(dir, 0o700))
	}
	must(0, must(m.OpenDir("")).Sync())
	return m
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16)
	}
	return b
}

// write writes a file in pieces and syncs it.
func write(fs vfs.FS, path string, content []byte, piece int) {
	f := must(fs.Create(path, vfs.WriteCategoryUnspecified))
	for p := range slices.Chunk(content, piece) {
		must(f.Write(slices.Clone(p)))
	}
	must(0, f.Sync())
	must(0, f.Close())
}

func read(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// TestChunks: a file of chunks reads as what was written, whole and in parts, and tells its
// size.
func TestChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inner := newMem()
		const path = "d/000007.sst"
		edge := rapid.SampledFrom([]int{0, 4096, 8192, 16 * 4096, 32 * 4096, 33 * 4096}).Draw(t, "edge")
		size := max(0, edge+rapid.IntRange(-20, 20).Draw(t, "size"))
		content := pattern(size)
		fs := sealed(inner)
		write(fs, path, content, rapid.IntRange(1, 100_000).Draw(t, "piece"))
		if got, err := read(fs, path); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes of %d: %v", len(got), size, err)
		}
		f := must(fs.Open(path))
		defer f.Close()
		if a, b := must(f.Stat()).Size(), must(fs.Stat(path)).Size(); a != int64(size) || b != a {
			t.Fatalf("the sizes are %d and %d, want %d", a, b, size)
		}
		for range 10 {
			at := rapid.IntRange(0, size+10).Draw(t, "at")
			p := make([]byte, rapid.IntRange(0, size+10).Draw(t, "length"))
			n, err := f.ReadAt(p, int64(at))
			want := content[min(at, size):min(at+len(p), size)]
			if !bytes.Equal(p[:n], want) || (err == io.EOF) != (n < len(p)) || err != nil && err != io.EOF {
				t.Fatalf("%d bytes at %d of %d: %d, %v", len(p), at, size, n, err)
			}
		}
	})
}

// logModel is what a log must contain after a power cut: all that was synced, perhaps more of
// what was written, nothing else.
type logModel struct {
	written []byte
	synced  int
}

// TestLogs: after a power cut that loses any part of what was not synced, a log, new or
// written over an older one, reads as a beginning of what was written, and has all of what
// was synced. Damage is never reported.
func TestLogs(t *testing.T) {
	for _, path := range []string{"d/000009.log", "d/MANIFEST-000009"} {
		t.Run(path, func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { cutLog(t, path) }) })
	}
}

func cutLog(t *rapid.T, path string) {
	inner := newMem()
	fs := sealed(inner)
	var f vfs.File
	if path == "d/000009.log" && rapid.Bool().Draw(t, "recycled") {
		write(fs, "d/000003.log", pattern(rapid.IntRange(0, 200_000).Draw(t, "old")), 3000)
		f = must(fs.ReuseForWrite("d/000003.log", path, vfs.WriteCategoryUnspecified))
	} else {
		f = must(fs.Create(path, vfs.WriteCategoryUnspecified))
	}
	must(0, must(inner.OpenDir("d")).Sync())
	var m logModel
	for range rapid.IntRange(0, 20).Draw(t, "steps") {
		if rapid.IntRange(0, 3).Draw(t, "sync") == 0 {
			must(0, f.SyncData())
			m.synced = len(m.written)
			continue
		}
		size := rapid.SampledFrom([]int{1, 100, 1000, 4096, 10_000, 32 << 10, 100_000}).Draw(t, "size")
		p := pattern(len(m.written) + size)[len(m.written):]
		m.written = append(m.written, p...)
		must(f.Write(p))
	}
	if rapid.Bool().Draw(t, "closed") {
		must(0, f.Sync())
		must(0, f.Close())
		m.synced = len(m.written)
	}
	seed := rapid.Uint64().Draw(t, "seed")
	percent := rapid.SampledFrom([]int{0, 50, 90, 97}).Draw(t, "percent")
	disk := inner.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, 1))})
	got, err := read(sealed(disk), path)
	if err != nil || !bytes.HasPrefix(m.written, got) || len(got) < m.synced {
		t.Fatalf("%d bytes, written %d, synced %d: %v", len(got), len(m.written), m.synced, err)
	}
}

// TestDamagedLog: a byte changed, cut out or put in, in any frame that was durable when a
// later one was written, is an error; what is read before it is right.
func TestDamagedLog(t *testing.T) {
	// The last frame, which Close writes, says that the others were durable. Nothing says that of itself.
	for path, last := range map[string]int{"000009.log": 40, "MANIFEST-000009": 42} {
		t.Run(path, func(t *testing.T) {
			inner := newMem()
			f := must(sealed(inner).Create("d/"+path, vfs.WriteCategoryUnspecified))
			content := pattern(3000)
			for p := range slices.Chunk(content, 500) {
				must(f.Write(slices.Clone(p)))
				must(0, f.SyncData())
			}
			must(0, f.Close())
			whole := must(read(inner, "d/"+path))
			for i := range whole {
				for name, bad := range map[string][]byte{
					"changed": slices.Concat(whole[:i], []byte{whole[i] ^ 0x10}, whole[i+1:]),
					"cut out": slices.Concat(whole[:i], whole[i+1:]),
					"put in":  slices.Concat(whole[:i], []byte{0}, whole[i:]),
				} {
					write(inner, "e/"+path, bad, len(bad))
					got, err := read(sealed(inner), "e/"+path)
					tail := i >= len(whole)-last
					if !bytes.HasPrefix(content, got) || !tail && !errors.Is(err, sealedfs.ErrDamaged) ||
						tail && (err != nil || len(got) < len(content)) {
						t.Fatalf("byte %d %s: %d bytes, %v", i, name, len(got), err)
					}
				}
			}
		})
	}
}
