package datadir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"watertight/internal/datadir"
	"watertight/test/harness"
)

// TestPipesInsteadOfFiles: a pipe in the place of any file is not waited for. check finds it or
// is refused, and recover saves what is in the other files.
func TestPipesInsteadOfFiles(t *testing.T) {
	dir := t.TempDir()
	data, key := filepath.Join(dir, "data"), filepath.Join(dir, "root.key")
	parts := []string{"meta", "audit", "blobs"}
	keep(t, data, key, populate(t))
	keep(t, data, key, func(*harness.Server) {})
	good := filepath.Join(dir, "good")
	replace(t, data, good, parts...)
	c := datadir.Options{Data: data, RootKey: "file:" + key}
	err := filepath.WalkDir(good, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(good, path)
		if err != nil {
			return err
		}
		t.Run(rel, func(t *testing.T) {
			replace(t, good, data, parts...)
			pipe := filepath.Join(data, rel)
			if err := errors.Join(os.Remove(pipe), unix.Mkfifo(pipe, 0o600)); err != nil {
				t.Fatal(err)
			}
			_, err := datadir.Check(t.Context(), c, true) // what matters is that it returns
			to := filepath.Join(t.TempDir(), "to")
			if _, rerr := datadir.Recover(t.Context(), c, to); rerr != nil && err == nil {
				t.Errorf("check reads it, and recover does not: %v", rerr)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
