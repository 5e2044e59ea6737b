package pebblekv

import (
	"fmt"
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

// TestLogTakesNoScarceRoom: a log preallocates room only if there is plenty, because
// deletions and the first account need what is left.
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
