package sealedfs_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"watertight/internal/storage/kv/embedded/internal/sealedfs"
)

// FuzzFiles: a file with any bytes after a sound header, or none, reads as nothing or is
// refused. Only the key makes anything else.
func FuzzFiles(f *testing.F) {
	f.Add(byte(0), []byte{})
	f.Add(byte(1), make([]byte, 100))
	f.Add(byte(2), bytes.Repeat([]byte{0, 0, 1, 0, 0, 0, 0, 1}, 20))
	f.Add(byte(3), []byte("WTFILE1\n"))
	names := []string{"d/000009.log", "d/MANIFEST-000009", "d/OPTIONS-000009"}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		inner := newMem()
		path := names[int(which)%len(names)]
		write(sealed(inner), path, nil, 1)
		if which >= 128 { // without a header
			b = slices.Concat(must(read(inner, path))[:64], b)
		}
		write(inner, path, b, max(1, len(b)))
		got, err := read(sealed(inner), path)
		if len(got) > 0 || err != nil && !errors.Is(err, sealedfs.ErrDamaged) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	})
}

// FuzzEdits: a file that was edited reads as a beginning of what was written, or is refused.
// Salvage never fails, and gives no byte that was not written, except zeros.
func FuzzEdits(f *testing.F) {
	f.Add(byte(0), []byte{0, 10, 0, 20, 0, 30})
	f.Add(byte(1), []byte{3, 200, 1, 100, 2, 255})
	f.Add(byte(2), []byte{7, 7, 7, 7, 7, 7, 9, 9, 9, 9, 9, 9})
	names := []string{"d/000009.log", "d/MANIFEST-000009", "d/OPTIONS-000009"}
	f.Fuzz(func(t *testing.T, which byte, edits []byte) {
		inner := newMem()
		path := names[int(which)%len(names)]
		content := pattern(9000)
		for i := range content {
			content[i] |= 1 // never zero
		}
		write(sealed(inner), path, content, 700)
		b := must(read(inner, path))
		for ; len(edits) >= 6 && len(b) < 1<<16; edits = edits[6:] {
			b = edit(b, edits)
		}
		write(inner, path, b, max(1, len(b)))
		if got, err := read(sealed(inner), path); !bytes.HasPrefix(content, got) ||
			err != nil && !errors.Is(err, sealedfs.ErrDamaged) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		salvage := sealedfs.New(inner, testKey(), sealedfs.Options{Salvage: true})
		got, _ := read(salvage, path)
		for i, c := range got {
			if c != 0 && (i >= len(content) || c != content[i]) {
				t.Fatalf("salvage gives byte %d, which was not written", i)
			}
		}
	})
}

// edit changes a byte, or removes, repeats or moves a piece.
func edit(b, how []byte) []byte {
	if len(b) == 0 {
		return b
	}
	at := (int(how[1])<<8 | int(how[2])) % len(b)
	n := min(len(b)-at, int(how[3])<<4+int(how[4]))
	piece := slices.Clone(b[at : at+n])
	switch how[0] % 5 {
	case 0:
		b[at] ^= how[5]
	case 1:
		b = slices.Delete(b, at, at+n)
	case 2:
		b = slices.Insert(b, at, piece...)
	case 3:
		b = slices.Delete(b, at, at+n)
		b = slices.Insert(b, min(len(b), int(how[5])<<6), piece...)
	case 4:
		clear(b[at : at+n])
	}
	return b
}
