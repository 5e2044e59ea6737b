package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// listing returns the paths and the content of everything in a folder.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		out.WriteString(path + " " + e.Type().String())
		if e.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			out.WriteString(" " + string(b))
		}
		out.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestForeignFolder: a folder that holds something else is refused, and nothing in it changes.
func TestForeignFolder(t *testing.T) {
	const entryPath = "objects/ab/cdabcdabcdabcdabcdabcdabcdabcd"
	for _, c := range []struct{ name, path, text string }{
		{"a file", "photo.jpg", "gold"},
		{"a repository", "objects/ab/photo.jpg", "gold"},
		{"names like those of entries", entryPath, "gold"},
		{"a key", "key", "gold"},
		{"a state", "state", "gold"},
		{"another's marker", markerName, "gold"},
		{"no whole marker", markerName, marker[:4]},
		{"a folder for the marker", markerName + "/x", marker},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, c.path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			before := listing(t, dir)
			if _, err := Open(onDisk(t, dir, seal.NewKey())); err == nil {
				t.Error("accepted")
			}
			if after := listing(t, dir); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// TestOnlyEntriesAreRemoved: files in a cache's folder that are not entries stay, under any key.
func TestOnlyEntriesAreRemoved(t *testing.T) {
	dir, key := t.TempDir(), seal.NewKey()
	first := open(t, onDisk(t, dir, key))
	get(t, first, request("/a"), content(10))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	kept := []string{
		"photo.jpg", "objects/photo.jpg", "objects/ab/photo.jpg", "objects/abcd/x",
		"objects/ab/" + strings.Repeat("0", 30) + "/x",
	}
	for _, path := range kept {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("gold"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range []seal.Key{key, seal.NewKey()} {
		if err := open(t, onDisk(t, dir, k)).Close(); err != nil {
			t.Fatal(err)
		}
		for _, path := range kept {
			if b, err := os.ReadFile(filepath.Join(dir, path)); string(b) != "gold" {
				t.Error(path, err)
			}
		}
	}
	if all := files(t, dir); len(all) != len(kept)-1 {
		t.Errorf("the other key's entry is still there: %v", all)
	}
}

// TestInterruptedClaim: a folder that was being made a cache, or is a file system's own, is
// accepted.
func TestInterruptedClaim(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, markerName+".new"), []byte(marker[:3]), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Claim(dir); err != nil {
			t.Error(err)
		}
	}
}

// TestAnotherPast: a cache may know invalidations that its store does not, because the store
// was restored from a backup. Such a cache drops everything, and so does one that is cleared.
// Numbers that the store gives again are then effective.
func TestAnotherPast(t *testing.T) {
	for _, c := range []struct {
		name  string
		again func(t *testing.T, c *Cache, o Options) *Cache
	}{
		{"restart", func(t *testing.T, c *Cache, o Options) *Cache {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, o)
		}},
		{"crash", func(t *testing.T, c *Cache, o Options) *Cache {
			c.crash()
			return open(t, o)
		}},
		{"cleared", func(t *testing.T, c *Cache, _ Options) *Cache {
			c.Clear()
			if _, _, r := get(t, c, request("/a"), content(10)); r != Miss {
				t.Errorf("%v after it was cleared", r)
			}
			return c
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, key, o := t.TempDir(), seal.NewKey(), content(10)
			options := onDisk(t, dir, key)
			kept := open(t, options)
			purge(kept, 9, "/other")
			get(t, kept, request("/a"), o)
			kept = c.again(t, kept, options)
			purge(kept, 4, "/other")
			if _, _, r := get(t, kept, request("/a"), o); r != Miss {
				t.Errorf("%v of another past", r)
			}
			if _, _, r := get(t, kept, request("/a"), o); r != Hit {
				t.Errorf("%v afterwards", r)
			}
			purge(kept, 5, "/a")
			if _, _, r := get(t, kept, request("/a"), o); r != Miss {
				t.Errorf("%v after an invalidation", r)
			}
		})
	}
}

// TestTwoProcesses: a folder is one cache's until it is closed.
func TestTwoProcesses(t *testing.T) {
	o := onDisk(t, t.TempDir(), seal.NewKey())
	first, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, folder.ErrLocked) {
		t.Errorf("a second cache in the folder: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
