package folder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"watertight/internal/storage/folder"
)

// noLinks is a file system without hard links.
type noLinks struct{ folder.FS }

func (noLinks) Link(string, string) error { return errors.ErrUnsupported }

// TestCreate: a file gets its name only as a whole, no other file is replaced, and nothing else stays.
func TestCreate(t *testing.T) {
	for name, fsys := range map[string]folder.FS{"links": folder.OS(), "no links": noLinks{folder.OS()}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := folder.Create(fsys, path, []byte("first"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := folder.Create(fsys, path, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
				t.Errorf("a second file: %v", err)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != "first" {
				t.Errorf("%q, %v", b, err)
			}
			if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
				t.Error(all, err)
			}
		})
	}
}
