package pebblekv

import (
	"fmt"
	"log/slog"
	"testing"
)

// TestFindOfNothingReadsNoBlock: to find that a key does not exist takes the filters alone, also
// in the last level. Keys that exist are found, in whatever order.
func TestFindOfNothingReadsNoBlock(t *testing.T) {
	e, err := Open(Options{
		Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Failed: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const keys = 2000
	key := func(i int) []byte { return fmt.Appendf(nil, "key %06d", i) }
	b := e.Batch()
	for i := range keys {
		copy(b.Set(key(2*i), 1000), key(2*i))
	}
	if err := b.Apply(); err != nil {
		t.Fatal(err)
	}
	if err := b.Wait(); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if err := e.Purge(t.Context(), []byte("key"), []byte("kez")); err != nil { // into the last level
		t.Fatal(err)
	}
	s := e.Snapshot()
	i, err := s.Iterator()
	if err != nil {
		t.Fatal(err)
	}
	i.Find(key(1)) // reads the filters
	before := e.db.Metrics().BlockCache
	for n := range keys {
		if i.Find(key(2*n + 1)) {
			t.Fatalf("%s is found", key(2*n+1))
		}
	}
	after := e.db.Metrics().BlockCache
	if reads := after.Misses - before.Misses; reads > keys/20 {
		t.Errorf("%d keys that do not exist took %d reads of blocks", keys, reads)
	}
	for n := keys - 1; n >= 0; n-- {
		if !i.Find(key(2 * n)) {
			t.Fatalf("%s is not found", key(2*n))
		}
		if v, err := i.Value(); err != nil || len(v) != 1000 || string(v[:10]) != string(key(2*n)) {
			t.Fatalf("%s has %.10q, %v", key(2*n), v, err)
		}
	}
	if !i.Seek(key(7), key(12)) || string(i.Key()) != string(key(8)) || !i.Next() || !i.Find(key(100)) ||
		i.Find(key(101)) {
		t.Error("scans and finds with one iterator")
	}
	if err := i.Err(); err != nil {
		t.Error(err)
	}
	if err := i.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
