package segment

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"watertight/internal/storage/folder"
)

// TestFailedSyncOfOthers: a sync that fails may lose what others wrote before, and the next one succeeds without it. So
// extents that were taken before are not committed, whoever's sync failed and whenever their bytes were written.
func TestFailedSyncOfOthers(t *testing.T) {
	for name, c := range map[string]struct {
		early, late int // bytes before and after the failed sync
		fail        func(e *Engine, w *Writer, name string, p Place) error
		commit      func(*Writer) error
	}{
		"a commit's":       {100, 0, failCommit, (*Writer).Commit},
		"half the bytes":   {60, 40, failCommit, (*Writer).Commit},
		"bytes afterwards": {0, 100, failCommit, (*Writer).Commit},
		"many":             {100, 0, failCommit, func(w *Writer) error { return CommitAll([]*Writer{w}) }},
		"of marks":         {100, 0, failMarks, (*Writer).Commit},
		"of a repair":      {100, 0, failRepair, (*Writer).Commit},
	} {
		t.Run(name, func(t *testing.T) {
			turn := make(chan error, 1)
			e := openIn(t, t.TempDir(), slow{folder.OS(), turn}, &room{left: 1 << 40})
			turn <- nil
			first, p := put(t, e, random(5000))
			other, err := e.Create(100)
			if err != nil {
				t.Fatal(err)
			}
			w, err := e.Create(int64(c.early + c.late))
			if err != nil {
				t.Fatal(err)
			}
			if c.early > 0 {
				w.Write(random(c.early))
			}
			turn <- unix.EIO
			if err := c.fail(e, other, first, p); !errors.Is(err, unix.EIO) {
				t.Fatalf("the sync: %v", err)
			}
			if c.late > 0 {
				w.Write(random(c.late))
			}
			turn <- nil
			if err := c.commit(w); err == nil {
				t.Error("bytes are committed that a failed sync may have lost")
			}
		})
	}
}

func failCommit(_ *Engine, w *Writer, _ string, _ Place) error {
	w.Write(random(100))
	return w.Commit()
}

func failMarks(e *Engine, w *Writer, _ string, _ Place) error {
	w.Abort()
	return e.SyncMarks()
}

func failRepair(e *Engine, _ *Writer, name string, p Place) error {
	whole, err := e.Open(p, name, true)
	if err != nil {
		return err
	}
	return errors.Join(e.Repair(p, name, whole), whole.Close())
}
