package embedded

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// fullElsewhere is a disk on which writes to other folders fail.
type fullElsewhere struct {
	vfs.FS
	dir  string
	full atomic.Bool
}

func (f *fullElsewhere) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if f.full.Load() && filepath.Dir(name) != f.dir {
		return nil, syscall.ENOSPC
	}
	return f.FS.Create(name, c)
}

// TestCopy: a copy is a separate store with everything that was durable before. A failed copy does not
// affect the store.
func TestCopy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "meta")
	fs := &fullElsewhere{FS: vfs.Default, dir: dir}
	o := Options{Dir: dir, Root: seal.RingOf(seal.NewKey()), Create: true, fs: fs}
	s, err := OpenPebble(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	set := func(s kv.Store, value string) {
		t.Helper()
		err := s.Update(t.Context(), func(tx kv.Tx) error { tx.Set([]byte("k"), []byte(value)); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	get := func(s kv.Store) (value string) {
		t.Helper()
		err := s.View(t.Context(), func(r kv.Reader) error {
			v, err := r.Get([]byte("k"))
			value = string(v)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	set(s, "before")
	fs.full.Store(true)
	c := s.(Copied)
	if err := c.Copy(t.Context(), filepath.Join(t.TempDir(), "full")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("onto a full disk: %v", err)
	}
	fs.full.Store(false)
	if w, ok := s.(kv.Writing); !ok || !w.Writes() {
		t.Error("the store stopped writing")
	}
	to := filepath.Join(t.TempDir(), "copy")
	if err := c.Copy(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	set(s, "after")
	o.Dir, o.Create = to, false
	err = Check(t.Context(), Options{Dir: to, Root: o.Root, Verified: func(f Found) error {
		if got := get(f.Store); got != "before" {
			t.Errorf("the copy has %q", got)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	other, err := OpenPebble(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	set(other, "elsewhere")
	if get(s) != "after" || other.Close() != nil {
		t.Error("the copy and the store share changes")
	}
}
