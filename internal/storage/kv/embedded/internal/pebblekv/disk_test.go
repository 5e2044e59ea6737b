package pebblekv

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// shortFS is a file system with limited room.
type shortFS struct {
	vfs.FS
	free uint64
}

func (f shortFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.free}, nil
}

type countedFile struct {
	vfs.File
	n *int
}

func (f countedFile) Preallocate(int64, int64) error { *f.n++; return nil }

// TestLogTakesNoScarceRoom: a log preallocates room only if there is plenty, because deletions and the
// first account need the rest.
func TestLogTakesNoScarceRoom(t *testing.T) {
	const chunk = 1 << 20
	for free, want := range map[uint64]int{0: 0, chunk: 0, 15 * chunk: 0, 16 * chunk: 1, 1 << 40: 1} {
		t.Run(fmt.Sprint(free), func(t *testing.T) {
			n := 0
			f := &logFile{countedFile{vfs.NewMemFile(nil), &n}, &disk{FS: shortFS{vfs.NewMem(), free}}, "meta"}
			if err := f.Preallocate(0, chunk); err != nil || n != want {
				t.Errorf("%d bytes free: %d times, %v", free, n, err)
			}
		})
	}
}

// reusing counts the logs that are overwritten.
type reusing struct {
	vfs.FS
	n *atomic.Int32
}

func (f reusing) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.n.Add(1)
	return f.FS.ReuseForWrite(from, to, c)
}

// TestPurgesOverlap: the end of a purge does not let Pebble overwrite logs while another purge is in
// progress.
func TestPurgesOverlap(t *testing.T) {
	var reused atomic.Int32
	e, err := Open(Options{
		Dir: "meta", FS: reusing{vfs.NewMem(), &reused}, Logger: slog.New(slog.DiscardHandler),
		Failed: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	turn := func() (n int32) { // Pebble begins new logs
		t.Helper()
		before := reused.Load()
		for range 2 * keptLogs {
			if err := e.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		return reused.Load() - before
	}
	if turn() == 0 {
		t.Fatal("Pebble overwrites no log, so this test proves nothing")
	}
	e.disk.purges.Add(1) // another purge, which takes long
	if err := e.Purge(t.Context(), []byte("a"), []byte("b")); err != nil {
		t.Fatal(err)
	}
	if n := turn(); n != 0 {
		t.Errorf("%d logs were written over while a purge was under way", n)
	}
	e.disk.purges.Add(-1)
	if turn() == 0 {
		t.Error("logs are never written over again")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
