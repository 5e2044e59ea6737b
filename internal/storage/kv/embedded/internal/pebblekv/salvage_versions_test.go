package pebblekv

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"watertight/internal/storage/kv/embedded/internal/engine"
)

// TestSalvageFindsTheNewest: a table may have several values of a key, of which open snapshots need the
// older ones. Pebble puts those into blocks of their own. The newest one of each key is found.
func TestSalvageFindsTheNewest(t *testing.T) {
	o := Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Failed: func(err error) { t.Error(err) }}
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	const keys, versions = 50, 5
	value := func(k, v int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d of %d;", v, k), 20) }
	var held []engine.Snapshot
	for v := range versions {
		b := e.Batch()
		for k := range keys {
			put := value(k, v)
			copy(b.Set(fmt.Appendf(nil, "k%03d", k), len(put)), put)
		}
		if err := b.Apply(); err != nil {
			t.Fatal(err)
		}
		if err := b.Wait(); err != nil {
			t.Fatal(err)
		}
		b.Close()
		held = append(held, e.Snapshot())
	}
	if err := e.db.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, s := range held {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(o.Dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range logs { // they have everything, too
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
	}
	newest := map[string]Found{}
	damage, err := Salvage(t.Context(), o, func(f Found) error {
		if was, ok := newest[string(f.Key)]; !ok || was.Sequence < f.Sequence {
			newest[string(f.Key)] = f
		}
		return nil
	})
	if err != nil || len(damage) > 0 {
		t.Fatal(damage, err)
	}
	for k := range keys {
		if f := newest[fmt.Sprintf("k%03d", k)]; !bytes.Equal(f.Value, value(k, versions-1)) {
			t.Errorf("key %d: %.20q", k, f.Value)
		}
	}
}
