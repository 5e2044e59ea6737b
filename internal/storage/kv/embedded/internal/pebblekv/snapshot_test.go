package pebblekv

import (
	"log/slog"
	"testing"
)

// TestSnapshotsAreClosed: of the snapshots that ended, the engine holds few, and none after
// somebody asked for its backlog, erased a range, or closed it.
func TestSnapshotsAreClosed(t *testing.T) {
	e, err := Open(Options{
		Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Failed: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	count := func() int { return e.db.Metrics().Snapshots.Count }
	end := func(n int) {
		t.Helper()
		for range n {
			if err := e.Snapshot().Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	open := e.Snapshot()
	end(3*heldSnapshots + 5)
	if n := count(); n != 6 {
		t.Errorf("%d snapshots", n)
	}
	e.Backlog()
	if n := count(); n != 1 {
		t.Errorf("%d snapshots after a look at the backlog", n)
	}
	end(5)
	if err := e.Purge(t.Context(), []byte("a"), []byte("b")); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 1 {
		t.Errorf("%d snapshots after a purge", n)
	}
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	end(5)
	if err := e.Close(); err != nil { // Pebble complains about snapshots that are open
		t.Error(err)
	}
}
