package sealedfs

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/seal"
)

var update = flag.Bool("update", false, "write the files anew")

func goldenKey() (k seal.Key) {
	for i := range k {
		k[i] = byte(i)
	}
	return k
}

// golden returns the bytes of one file of each form.
func golden(t *testing.T) map[string][]byte {
	inner := vfs.NewMem()
	fs := New(inner, goldenKey(), Options{})
	id := [idSize]byte([]byte("0123456789abcdef"))
	files := map[string][]byte{}
	for _, path := range []string{"000012.sst", "000013.log", "MANIFEST-000014"} {
		raw, err := inner.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		k, number := parse(path)
		h := header{name: name{k, number}, id: id}
		var f vfs.File
		if !k.framed() {
			f = fs.newChunkWriter(raw, path, h)
		} else {
			_, err = raw.Write(fs.keys.seal(h))
			c := &catalogue{ids: map[name][idSize]byte{{table, 12}: id}, manifests: map[*pending]struct{}{}}
			f = fs.newFrameWriter(raw, path, h, c.begin())
		}
		for i := range 2 {
			_, werr := f.Write(fmt.Appendf(nil, "data %d of file %d", i, number))
			if k.framed() {
				werr = errors.Join(werr, f.Sync())
			}
			err = errors.Join(err, werr)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		stored, err := inner.UnsafeGetFileDataBuffer(path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = slices.Clone(stored)
	}
	return files
}

// TestGolden: the bytes of the files do not change.
func TestGolden(t *testing.T) {
	var got bytes.Buffer
	files := golden(t)
	for _, name := range []string{"000012.sst", "000013.log", "MANIFEST-000014"} {
		fmt.Fprintf(&got, "%s\n%x\n", name, files[name])
	}
	const path = "testdata/files.golden"
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the format changed (%v):\n%s", err, &got)
	}
}

// TestFormat reads the same files as FORMAT.md describes them, without the package's code.
func TestFormat(t *testing.T) {
	store := goldenKey()
	expand := func(key []byte, info string) []byte {
		b, err := hkdf.Expand(sha256.New, key, info, 32)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	gcm := func(key []byte) cipher.AEAD {
		b, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		a, err := cipher.NewGCM(b)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for name, want := range map[string][]string{
		"000012.sst": {"data 0 of file 12data 1 of file 12"},
		"000013.log": {"data 0 of file 13", "data 1 of file 13", ""},
		"MANIFEST-000014": {
			"\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x0c0123456789abcdefdata 0 of file 14",
			"\x00\x00data 1 of file 14", "\x00\x00",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := golden(t)[name]
			m := hmac.New(sha256.New, expand(store[:], "watertight kv file header"))
			m.Write(b[:33])
			if !bytes.Equal(m.Sum(nil)[:31], b[33:64]) {
				t.Fatal("the header")
			}
			key := expand(store[:], "watertight kv file"+string(b[8:33]))
			if b[8] == 1 {
				nonce := make([]byte, 12)
				nonce[11] = 1
				if p, err := gcm(key).Open(nil, nonce, b[64:], nil); err != nil || string(p) != want[0] {
					t.Fatal(string(p), err)
				}
				return
			}
			b = b[64:]
			for number, want := range want {
				nonce := binary.BigEndian.AppendUint64(make([]byte, 4), uint64(number))
				check := gcm(expand(key, "watertight kv frame header")).Seal(nil, nonce, nil, b[:20])
				n := binary.BigEndian.Uint32(b)
				p, err := gcm(key).Open(nil, nonce, b[24:24+n+16], b[:24])
				if err != nil || string(p) != want || !bytes.Equal(check[:4], b[20:24]) ||
					binary.BigEndian.Uint32(b[8:]) != uint32(number) {
					t.Fatalf("frame %d: %q, %v", number, p, err)
				}
				b = b[40+n:]
			}
			if len(b) > 0 {
				t.Fatal("bytes after the last frame")
			}
		})
	}
}

// FuzzEntries: the entries of a manifest's frame are split off, or it is refused.
func FuzzEntries(f *testing.F) {
	f.Add([]byte{0, 0})
	f.Add([]byte{0, 1, 2, 3})
	f.Add(append([]byte{0, 2}, make([]byte, 60)...))
	f.Fuzz(func(t *testing.T, p []byte) {
		entries, data, ok := parseEntries(p)
		if !ok {
			return
		}
		again := p[:entriesSize:entriesSize]
		for rest := entries; len(rest) > 0; rest = rest[entrySize:] {
			again = parseEntry(rest).append(again)
		}
		if !bytes.Equal(append(again, data...), p) {
			t.Fatalf("%d bytes became %d", len(p), len(again)+len(data))
		}
	})
}

// FuzzHeader: only what the store's key made is a header.
func FuzzHeader(f *testing.F) {
	k := newKeys(goldenKey())
	f.Add(k.seal(newHeader(table, 7)))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := k.open(b); ok && !bytes.Equal(k.seal(h), b) {
			t.Fatalf("%x is another header", b)
		}
	})
}

// failingFile fails from some write or sync on.
type failingFile struct {
	vfs.File
	left int
}

func (f *failingFile) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return f.File.Write(p)
}

// TestNoNonceTwice: after a write that failed, nothing is sealed under the same number again.
func TestNoNonceTwice(t *testing.T) {
	fs := New(vfs.NewMem(), goldenKey(), Options{})
	for name, f := range map[string]vfs.File{
		"a log":   fs.newFrameWriter(&failingFile{vfs.NewMemFile(nil), 0}, "", newHeader(log, 1), nil),
		"a table": fs.newChunkWriter(&failingFile{vfs.NewMemFile(nil), 0}, "", newHeader(table, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				if _, err := f.Write([]byte("data")); !errors.Is(err, io.ErrShortWrite) {
					t.Error(err)
				}
			}
		})
	}
	raw, err := fs.inner.Create("000001.sst", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	f := fs.newChunkWriter(raw, "000001.sst", newHeader(table, 1))
	if _, err := f.Write([]byte("data")); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("data")); !errors.Is(err, errFinished) {
		t.Error("a write after the last chunk:", err)
	}
}
