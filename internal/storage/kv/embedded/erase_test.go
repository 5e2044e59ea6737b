package embedded

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/sealedfs"
	"watertight/internal/storage/seal"
)

// TestErase: a deleted value stays in the engine's tables until its range is erased. Other records stay.
func TestErase(t *testing.T) {
	dir, root := t.TempDir(), seal.RingOf(seal.NewKey())
	open := func(create bool) kv.Store {
		t.Helper()
		s, err := OpenPebble(t.Context(), Options{Dir: dir, Root: root, Create: create})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	update := func(s kv.Store, fn func(kv.Tx)) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx kv.Tx) error { fn(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	const doomed, kept = "x/doomed record", "x/kept record"
	s := open(true)
	update(s, func(tx kv.Tx) {
		tx.Set([]byte(doomed), []byte("value"))
		tx.Set([]byte(kept), []byte("value"))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(false) // the engine has written its log into a table
	if !inTables(t, inner(s), dir, doomed) || !inTables(t, inner(s), dir, kept) {
		t.Fatal("the test does not find records in tables")
	}
	update(s, func(tx kv.Tx) { tx.Delete([]byte(doomed)) })
	e, ok := s.(kv.Erasing)
	if !ok {
		t.Fatal("the store can't erase")
	}
	if err := e.Erase(t.Context(), []byte("x/d"), []byte("x/e")); err != nil {
		t.Fatal(err)
	}
	err := s.View(t.Context(), func(r kv.Reader) error {
		v, err := r.Get([]byte(kept))
		if string(v) != "value" {
			t.Error("another record is gone")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil { // a table that is no longer read is removed meanwhile
		t.Fatal(err)
	}
	if inTables(t, inner(s), dir, doomed) {
		t.Error("the value is still in a table")
	}
}

// inTables reports whether a table of the engine holds a text.
func inTables(t *testing.T, s *store, dir, text string) (found bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	plain := sealedfs.New(vfs.Default, s.id.files, sealedfs.Options{Salvage: true})
	for _, name := range files {
		f, err := plain.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(b, []byte(text[2:])) // tables omit common prefixes of keys
	}
	return found
}
