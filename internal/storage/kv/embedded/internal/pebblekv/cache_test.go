package pebblekv

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestBlocksStayInMemory: when both memtables have their full size, blocks of tables that were read are
// still in the cache.
func TestBlocksStayInMemory(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	d := newDisk(vfs.NewMem(), Options{Dir: "db", Failed: func(err error) { t.Error(err) }})
	db, err := pebble.Open("db", tune(log, d))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	key := []byte("k")
	large := make([]byte, memTable/2-(1<<20)) // two fill a memtable, and one alone is put into one
	for range 6 {
		if err := errors.Join(db.Set(key, []byte("value"), pebble.NoSync), db.Set([]byte("l"), large, pebble.NoSync),
			db.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	if size := db.Metrics().MemTable; size.Size+size.ZombieSize != 2*memTable {
		t.Fatalf("memtables have %d bytes and %d: not the state that this test is about", size.Size, size.ZombieSize)
	}
	_, done, err := db.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	done.Close()
	if m := db.Metrics().BlockCache; m.Count == 0 {
		t.Error("the block that was read is not in the cache")
	}
}
