package sealedfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
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
		var o []vfs.OpenOption
		if rapid.Bool().Draw(t, "sequential") {
			o = append(o, vfs.SequentialReadsOption)
		}
		f := must(fs.Open(path, o...))
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
	if rapid.Bool().Draw(t, "room") {
		must(0, f.Preallocate(0, rapid.Int64Range(1, 4<<20).Draw(t, "bytes")))
	}
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

// TestZerosAhead: a log for which there is room has zeros behind its end, so that few syncs make a
// new size durable. What a log that is written over has there stays as it is.
func TestZerosAhead(t *testing.T) {
	inner := newMem()
	fs := sealed(inner)
	size := func(path string) int64 { return must(inner.Stat(path)).Size() }
	f := must(fs.Create("d/000003.log", vfs.WriteCategoryUnspecified))
	must(0, f.Preallocate(0, 3<<20))
	sizes := map[int64]bool{}
	for range 200 {
		must(f.Write(pattern(10_000)))
		sizes[size("d/000003.log")] = true
	}
	must(0, f.Close())
	if len(sizes) > 4 {
		t.Errorf("200 writes made %d sizes", len(sizes))
	}
	if b := must(read(fs, "d/000003.log")); len(b) != 200*10_000 {
		t.Errorf("%d bytes are read", len(b))
	}
	before := slices.Clone(must(inner.UnsafeGetFileDataBuffer("d/000003.log")))
	f = must(fs.ReuseForWrite("d/000003.log", "d/000004.log", vfs.WriteCategoryUnspecified))
	must(0, f.Preallocate(0, 3<<20))
	must(f.Write(pattern(10_000)))
	after := must(inner.UnsafeGetFileDataBuffer("d/000004.log"))
	if !bytes.Equal(before[11_000:], after[11_000:]) {
		t.Error("the rest of a log that is written over was changed")
	}
}

// TestLogWithoutHeader: a log that got no header, because the disk was full or the power went,
// is empty.
func TestLogWithoutHeader(t *testing.T) {
	inner := newMem()
	write(sealed(inner), "e/000009.log", pattern(100), 100)
	whole := must(read(inner, "e/000009.log"))
	for _, b := range [][]byte{nil, whole[:1], whole[:63], make([]byte, 10), make([]byte, 64), make([]byte, 300_000)} {
		write(inner, "d/000009.log", b, max(1, len(b)))
		if got, err := read(sealed(inner), "d/000009.log"); err != nil || len(got) > 0 {
			t.Errorf("%d bytes: %d, %v", len(b), len(got), err)
		}
	}
	write(inner, "d/000009.log", append(make([]byte, 300_000), 1), 1<<20)
	if _, err := read(sealed(inner), "d/000009.log"); !errors.Is(err, sealedfs.ErrDamaged) {
		t.Error("a log of zeros and another byte:", err)
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

// TestManyTables: a catalogue that takes more than one frame, in a manifest and in the one
// after it.
func TestManyTables(t *testing.T) {
	inner := newMem()
	fs := sealed(inner)
	const n = 2500
	for _, name := range []string{"MANIFEST-000001", "MANIFEST-000002"} {
		if name == "MANIFEST-000001" {
			for i := range n {
				write(fs, fmt.Sprintf("d/%06d.sst", i), []byte("a table"), 100)
			}
			must(0, fs.Remove("d/000007.sst"))
		}
		write(fs, "d/"+name, []byte("a manifest"), 100)
		write(fs, "d/marker.manifest.000001."+name, nil, 1)
		fs = sealed(inner)
		for i := range n {
			got, err := read(fs, fmt.Sprintf("d/%06d.sst", i))
			if i == 7 && !errors.Is(err, os.ErrNotExist) || i != 7 && (err != nil || string(got) != "a table") {
				t.Fatalf("table %d: %q, %v", i, got, err)
			}
		}
		if got, err := read(fs, "d/"+name); err != nil || string(got) != "a manifest" {
			t.Fatalf("%q, %v", got, err)
		}
		must(0, inner.Remove("d/marker.manifest.000001."+name))
	}
}

// flip returns a function that changes a bit at a position, from the end if it is negative.
func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
}

// wipe returns a function that clears n bytes.
func wipe(at, n int) func([]byte) []byte {
	return func(b []byte) []byte {
		at := (at + len(b)) % len(b)
		clear(b[at : at+n])
		return b
	}
}

// TestSalvage: what is whole is read, a single bit is put right, and what else is damaged reads
// as zeros. All is reported.
func TestSalvage(t *testing.T) {
	content := pattern(20_000)
	for i := range content {
		content[i] |= 1
	}
	for name, c := range map[string]struct {
		path    string
		damage  func([]byte) []byte
		from, n int // of the zeros
	}{
		"a bit":            {"d/000001.sst", flip(64 + 4112 + 7), 0, 0},
		"the last bit":     {"d/000001.sst", flip(-1), 0, 0},
		"the header":       {"d/000001.sst", flip(9), 0, 0},
		"a chunk":          {"d/000001.sst", wipe(64+4112+7, 2), 4096, 4096},
		"the tag":          {"d/000001.sst", wipe(-8, 8), 16384, 3616},
		"the whole header": {"d/000001.sst", wipe(0, 64), 0, 0},
		"a log's header":   {"d/000002.log", flip(9), 0, 0},
		"a frame":          {"d/000002.log", flip(64 + 40 + 1000), 0, 5000},
		"two frames":       {"d/000002.log", wipe(64, 2*5040), 0, 10_000},
		"a cut frame": {"d/000002.log", func(b []byte) []byte {
			return slices.Delete(b, 64+5040+20, 64+5040+1000)
		}, 5000, 5000},
	} {
		t.Run(name, func(t *testing.T) {
			inner := newMem()
			fs := sealed(inner)
			write(fs, c.path, content, 5000)
			write(fs, "d/MANIFEST-000001", []byte("a manifest"), 100)
			write(fs, "d/marker.manifest.000001.MANIFEST-000001", nil, 1)
			b := c.damage(must(read(inner, c.path)))
			write(inner, c.path, b, len(b))
			reported := 0
			o := sealedfs.Options{Salvage: true, Damaged: func(sealedfs.Damage) { reported++ }}
			got, err := read(sealedfs.New(inner, testKey(), o), c.path)
			want := slices.Clone(content)
			clear(want[c.from : c.from+c.n])
			if err != nil || !bytes.Equal(got, want) || reported != 1 {
				t.Errorf("%d bytes, %d reports, %v", len(got), reported, err)
			}
			if _, err := read(sealed(inner), c.path); !errors.Is(err, sealedfs.ErrDamaged) {
				t.Errorf("without salvage: %v", err)
			}
		})
	}
}
