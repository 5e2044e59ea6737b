package sealedfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/kv/embedded/internal/sealedfs"
	"watertight/internal/storage/seal"
)

// quiet is a pebble.Logger whose fatal errors end the goroutine of the test.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Errorf(format, a...)) }

func options(fs vfs.FS) *pebble.Options {
	return &pebble.Options{
		FS: fs, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest, MemTableSize: 64 << 10,
		BytesPerSync: 64 << 10, WALBytesPerSync: 64 << 10,
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}},
	}
}

// open opens the store in dir through a new FS.
func open(t testing.TB, inner vfs.FS, key seal.Key, dir string) *pebble.DB {
	t.Helper()
	db, err := pebble.Open(dir, options(sealedfs.New(inner, key, sealedfs.Options{})))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func record(i int) (key, value []byte) {
	value = fmt.Appendf(nil, "secret-value-%05d-%s", i, bytes.Repeat([]byte("v"), i%700))
	return fmt.Appendf(nil, "secret-key-%05d", i), value
}

func fill(t testing.TB, db *pebble.DB, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		k, v := record(i)
		if err := db.Set(k, v, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
}

// check compares the store with records 0 to n.
func check(r pebble.Reader, n int) error {
	it, err := r.NewIter(nil)
	if err != nil {
		return err
	}
	i := 0
	for ok := it.First(); ok; ok = it.Next() {
		k, v := record(i)
		if !bytes.Equal(it.Key(), k) || !bytes.Equal(it.Value(), v) {
			return errors.Join(fmt.Errorf("record %d is %q", i, it.Key()), it.Close())
		}
		i++
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	if i != n {
		return fmt.Errorf("%d records, want %d", i, n)
	}
	return nil
}

func wants(t testing.TB, db *pebble.DB, n int) {
	t.Helper()
	if err := check(db, n); err != nil {
		t.Fatal(err)
	}
}

// TestPebble runs the engine on sealed files, in memory and on the disk.
func TestPebble(t *testing.T) {
	for name, inner := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": vfs.Default} {
		t.Run(name, func(t *testing.T) {
			dir, key := t.TempDir(), seal.NewKey()
			if err := inner.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			store, copied := inner.PathJoin(dir, "store"), inner.PathJoin(dir, "copy")
			db := open(t, inner, key, store)
			fill(t, db, 0, 1000)
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
			fill(t, db, 1000, 2000)
			if err := db.Compact(context.Background(), []byte("a"), []byte("z"), false); err != nil {
				t.Fatal(err)
			}
			fill(t, db, 2000, 2100)
			wants(t, db, 2100)
			if err := db.Checkpoint(copied, pebble.WithFlushedWAL()); err != nil {
				t.Fatal(err)
			}
			fill(t, db, 2100, 2200)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			for path, n := range map[string]int{store: 2200, copied: 2100} {
				o := options(sealedfs.New(inner, key, sealedfs.Options{}))
				o.ReadOnly = true
				db, err := pebble.Open(path, o)
				if err != nil {
					t.Fatal(path, err)
				}
				wants(t, db, n)
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				db = open(t, inner, key, path)
				wants(t, db, n)
				fill(t, db, n, n+300)
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				db = open(t, inner, key, path)
				wants(t, db, n+300)
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			other := sealedfs.New(inner, seal.NewKey(), sealedfs.Options{})
			if _, err := pebble.Open(store, options(other)); err == nil {
				t.Error("the store opens with another key")
			}
		})
	}
}
