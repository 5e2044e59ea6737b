package sealedfs

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/seal"
)

// TestZerosAreSkipped: a run of zeros is one step of the search, and no frame in or behind it is missed.
func TestZerosAreSkipped(t *testing.T) {
	slow := func(b []byte, i int) int {
		for ; i+frameRoom <= len(b); i++ {
			if b[i] == 0 && (b[i+4]|b[i+5]|b[i+6]|b[i+7]) != 0 {
				return i
			}
		}
		return len(b)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name  string
		fill  func(b []byte)
		steps int // at most, if it is not 0
	}{
		{"zeros", func([]byte) {}, 1},
		{"a byte at the end", func(b []byte) { b[len(b)-1] = 1 }, 1},
		{"a byte in the middle", func(b []byte) { b[len(b)/2] = 1 }, 2 + 8},
		{"a number", func(b []byte) { b[len(b)/2+7] = 1 }, 2 + 8},
		{"few zeros", func(b []byte) {
			for i := range b {
				b[i] = byte(random.IntN(2))
			}
		}, 0},
		{"some runs", func(b []byte) {
			for i := 0; i < len(b); i += 1 + random.IntN(40) {
				b[i] = 1
			}
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := make([]byte, 1<<16)
			c.fill(b)
			for i := 0; i < len(b); {
				got, want := candidate(b, i), slow(b, i)
				if got < want && got+frameRoom <= len(b) || min(got, want)+frameRoom <= len(b) && got != want {
					t.Fatalf("from %d on, the candidate is %d, not %d", i, got, want)
				}
				i = want + 1
			}
			steps := 0
			for i, found := 0, false; i+frameRoom <= len(b); steps++ {
				if i, found = step(b, i); found {
					i++
				}
			}
			if c.steps > 0 && steps > c.steps {
				t.Errorf("%d steps", steps)
			}
		})
	}
}

// longFile is a file with a hole of any length at its end, and counts how much is read.
type longFile struct {
	vfs.File
	size, read int64
}

type longInfo struct {
	vfs.FileInfo
	size int64
}

func (i longInfo) Size() int64 { return i.size }

func (f *longFile) Stat() (vfs.FileInfo, error) {
	i, err := f.File.Stat()
	return longInfo{i, f.size}, err
}

func (f *longFile) ReadAt(p []byte, at int64) (int, error) {
	clear(p)
	n, err := f.File.ReadAt(p, at)
	if err == io.EOF && at+int64(len(p)) <= f.size {
		n, err = len(p), nil
	}
	f.read += int64(n)
	return n, err
}

// TestLongFiles: a file that is longer than the store ever makes one is damaged, and is not read. Salvage reads what
// the store may have written, and no more.
func TestLongFiles(t *testing.T) {
	const size = 1 << 40
	content := bytes.Repeat([]byte("content"), 1000)
	for _, path := range []string{"d/000009.log", "d/MANIFEST-000009"} {
		t.Run(path, func(t *testing.T) {
			inner := vfs.NewMem()
			if err := inner.MkdirAll("d", 0o700); err != nil {
				t.Fatal(err)
			}
			fs := New(inner, seal.Key{1}, Options{})
			w, err := fs.Create(path, vfs.WriteCategoryUnspecified)
			if err == nil {
				_, err = w.Write(content)
			}
			if err = errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			open := func(fs *FS) (vfs.File, *longFile, error) {
				f, err := inner.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { f.Close() })
				long := &longFile{File: f, size: size}
				r, err := fs.openFrames(long, path, fs.parse(path))
				return r, long, err
			}
			_, long, err := open(fs)
			d, ok := DamageIn(err)
			if !ok || !errors.Is(err, ErrDamaged) || d.What != tooLong || long.read > headerSize {
				t.Errorf("%v, after %d bytes", err, long.read)
			}
			if path != "d/000009.log" { // salvage of a manifest reads 16 GiB
				return
			}
			r, long, err := open(New(inner, seal.Key{1}, Options{Salvage: true}))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, content) || long.read > 2*log.most() {
				t.Errorf("salvage: %d bytes, %v, after %d", len(got), err, long.read)
			}
		})
	}
}
