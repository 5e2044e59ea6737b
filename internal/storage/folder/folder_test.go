package folder

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// watchedFS tells which files and folders are synced.
type watchedFS struct {
	FS
	synced func(path string)
}

func (w watchedFS) OpenFile(path string, flag int, mode fs.FileMode) (File, error) {
	f, err := w.FS.OpenFile(path, flag, mode)
	return watchedFile{f, w.synced}, err
}

type watchedFile struct {
	File
	synced func(path string)
}

func (f watchedFile) Sync() error {
	f.synced(f.Name())
	return f.File.Sync()
}

func TestEveryNewNameIsSynced(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "there"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"there":       nil,
		"there/a":     {"there"},
		"b":           {"."},
		"there/c/d/e": {"there", "there/c", "there/c/d"},
	} {
		t.Run(path, func(t *testing.T) {
			var synced []string
			watched := watchedFS{OS(), func(d string) {
				rel, err := filepath.Rel(dir, d)
				if err != nil {
					t.Error(err)
				}
				synced = append(synced, rel)
			}}
			if err := Make(watched, filepath.Join(dir, path), 0o700); err != nil || !slices.Equal(synced, want) {
				t.Errorf("%s: synced %v, want %v; %v", path, synced, want, err)
			}
		})
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if Make(OS(), filepath.Join(dir, "file"), 0o700) == nil ||
		Make(OS(), filepath.Join(dir, "file", "x"), 0o700) == nil {
		t.Error("a file is accepted as a folder")
	}
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"one", "another"} {
		t.Run(text, func(t *testing.T) {
			if err := Replace(OS(), path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(path); string(b) != text || err != nil {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != fs.FileMode(0o600) {
		t.Error(info, err)
	}
	if err := os.Mkdir(filepath.Join(filepath.Dir(path), "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if Replace(OS(), filepath.Join(filepath.Dir(path), "d"), nil, 0o600) == nil {
		t.Error("a folder was replaced")
	}
	if left, err := filepath.Glob(path + "*.new"); len(left) != 0 || err != nil {
		t.Error(left, err)
	}
}
