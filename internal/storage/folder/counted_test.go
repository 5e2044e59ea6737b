package folder

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// TestCounted: syncs of files and of folders are counted.
func TestCounted(t *testing.T) {
	var n atomic.Uint64
	fsys := Counted(OS(), &n)
	dir := t.TempDir()
	f, err := fsys.OpenFile(filepath.Join(dir, "a"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, err := range []error{f.Sync(), f.SyncData(), Sync(fsys, dir)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n.Load() != 3 {
		t.Errorf("%d syncs, want 3", n.Load())
	}
	if _, err := fsys.OpenFile(filepath.Join(dir, "none"), os.O_RDONLY, 0); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}
