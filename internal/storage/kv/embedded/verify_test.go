package embedded

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// used makes a store that was opened several times, so that it has tables, obsolete files and a log. It
// returns the store's records.
func used(t testing.TB) (Options, map[string]string) {
	t.Helper()
	o := Options{Dir: filepath.Join(t.TempDir(), "db"), Root: seal.RingOf(seal.NewKey()), Create: true}
	want := map[string]string{}
	for round := range 4 {
		s, err := OpenPebble(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			k, v := fmt.Sprintf("key%d.%d", round%3, i), strings.Repeat(fmt.Sprint(round), 500)
			if err := s.Update(context.Background(), func(tx kv.Tx) error {
				tx.Set([]byte(k), []byte(v))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			want[k] = v
		}
		o.AtLeast = s.Durable()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return o, want
}

// everything returns a description of all files below dir.
func everything(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := []byte{}
		if !e.IsDir() {
			if text, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		rel, err := filepath.Rel(dir, path)
		out[rel] = fmt.Sprintf("%v %d %v %x", info.Mode(), info.Size(), info.ModTime(), sha256.Sum256(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func copied(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "db")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// damages returns the kinds of damage of a file of size n.
func damages(n int64) map[string]func(path string) error {
	all := map[string]func(string) error{"removed": os.Remove}
	for _, part := range []int64{0, 10, 50, 90, 98} {
		at := n * part / 100
		all[fmt.Sprintf("a bit at %d%%", part)] = func(path string) error { return flip(path, at) }
		all[fmt.Sprintf("cut at %d%%", part)] = func(path string) error { return os.Truncate(path, at) }
	}
	for back := int64(1); back < min(n, 200); back += 53 {
		at := n - back
		all[fmt.Sprintf("a bit %d from the end", back)] = func(path string) error { return flip(path, at) }
		all[fmt.Sprintf("cut %d from the end", back)] = func(path string) error { return os.Truncate(path, at) }
	}
	return all
}

func flip(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	b[0] ^= 4
	_, err = f.WriteAt(b, at)
	return err
}

// everyDamage runs fn on copies of a store, each with one damage of one file.
func everyDamage(t *testing.T, o Options, fn func(t *testing.T, o Options, file, damage string)) {
	files, err := os.ReadDir(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		all := damages(info.Size())
		if info.Size() == 0 {
			all = map[string]func(string) error{"removed": os.Remove}
		}
		for name, damage := range all {
			t.Run(file.Name()+" "+name, func(t *testing.T) {
				o := o
				o.Dir = copied(t, o.Dir)
				if err := damage(filepath.Join(o.Dir, file.Name())); err != nil {
					t.Fatal(err)
				}
				fn(t, o, file.Name(), name)
			})
		}
	}
}

// TestDamagedFiles: with any damage of a file, the store opens with all records, or reports missing records
// as damaged, or does not open and no byte is changed.
func TestDamagedFiles(t *testing.T) {
	o, want := used(t)
	everyDamage(t, o, func(t *testing.T, o Options, file, _ string) {
		before := everything(t, o.Dir)
		s, err := OpenPebble(t.Context(), o)
		if err != nil {
			if after := everything(t, o.Dir); !maps.Equal(before, after) {
				t.Errorf("refused (%v), but changed: before %v, after %v", err, before, after)
			}
			if strings.HasPrefix(file, "OPTIONS-") {
				t.Error("damage to an OPTIONS file keeps the store from opening:", err)
			}
			return
		}
		defer s.Close()
		for k, v := range want {
			got, err := get(s, k)
			if err == nil && got != v {
				t.Errorf("%s is %.20q, want %.20q", k, got, v)
			}
		}
	})
}

func get(s kv.Store, k string) (string, error) {
	v := ""
	err := s.View(context.Background(), func(r kv.Reader) error {
		b, err := r.Get([]byte(k))
		v = string(b)
		return err
	})
	return v, err
}

// TestStrangeOpenings: opening the wrong store never changes it.
func TestStrangeOpenings(t *testing.T) {
	good, _ := used(t)
	refused := errors.New("not mine")
	for name, c := range map[string]struct {
		change func(*Options)
		files  func(t *testing.T, dir string) error
		want   string
	}{
		"another root key": {func(o *Options) { o.Root = seal.RingOf(seal.NewKey()) }, nil, "root key"},
		"an older store":   {func(o *Options) { o.AtLeast++ }, nil, "newest commits"},
		"refused by Verified": {func(o *Options) {
			o.Verified = func(Found) error {
				return refused
			}
		}, nil, refused.Error()},
		"an older marker": {nil, olderMarker, ""},
		"a manifest cut after its first record": {nil, func(_ *testing.T, dir string) error {
			return each(dir, "MANIFEST-*", func(path string) error { return os.Truncate(path, 39) })
		}, ""},
		"no manifest marker": {nil, func(_ *testing.T, dir string) error {
			return each(dir, "marker.manifest*",
				os.Remove)
		}, ""},
		"no tables": {nil, func(_ *testing.T, dir string) error { return each(dir, "*.sst", os.Remove) }, ""},
		"no log": {nil, func(_ *testing.T, dir string) error {
			return each(dir, "*.log",
				os.Remove)
		}, "newest commits"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			o.Dir = copied(t, o.Dir)
			if c.change != nil {
				c.change(&o)
			}
			if c.files != nil {
				if err := c.files(t, o.Dir); err != nil {
					t.Fatal(err)
				}
			}
			before := everything(t, o.Dir)
			s, err := OpenPebble(t.Context(), o)
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v does not say %q", err, c.want)
			}
			if after := everything(t, o.Dir); !maps.Equal(before, after) {
				t.Errorf("changed: before %v, after %v", before, after)
			}
		})
	}
	o := good
	o.Dir, o.Create = filepath.Join(t.TempDir(), "none"), false
	if _, err := OpenPebble(t.Context(), o); err == nil {
		t.Error("a store was made although Create is false")
	}
}

func each(dir, pattern string, do func(string) error) error {
	all, err := filepath.Glob(filepath.Join(dir, pattern))
	if len(all) == 0 {
		return fmt.Errorf("no %s, %v", pattern, err)
	}
	for _, path := range all {
		err = errors.Join(err, do(path))
	}
	return err
}

// olderMarker names a manifest of an earlier start, which is there.
func olderMarker(_ *testing.T, dir string) error {
	old := ""
	err := each(dir, "MANIFEST-*", func(path string) error {
		text, err := os.ReadFile(path)
		old = filepath.Join(dir, "MANIFEST-000001")
		return errors.Join(err, os.WriteFile(old, text[:39], 0o600))
	})
	return errors.Join(err, each(dir, "marker.manifest*", func(path string) error {
		n := strings.LastIndex(path, "MANIFEST-")
		return os.Rename(path, path[:n]+filepath.Base(old))
	}))
}

func located(t testing.TB, o Options) place {
	t.Helper()
	at, err := locate(o)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestFoundAndMarker(t *testing.T) {
	o, _ := used(t)
	var f Found
	o.Verified = func(found Found) error {
		f = found
		err := f.Store.View(t.Context(), func(r kv.Reader) error { _, err := r.Get([]byte("key0.1")); return err })
		if uerr := f.Store.Update(t.Context(), func(tx kv.Tx) error {
			tx.Set([]byte("x"), nil)
			return nil
		}); uerr == nil {
			t.Error("a store that is only inspected takes an update")
		}
		return err
	}
	err := verified(t.Context(), o, located(t, o))
	if err != nil || f.New || f.Commit != o.AtLeast || f.OldFormat() {
		t.Fatal(f, err)
	}
	dir := t.TempDir()
	if _, err := ReadMarker(folder.OS(), dir, o.Root); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := WriteMarker(folder.OS(), dir, f.Marker); err != nil {
		t.Fatal(err)
	}
	m, err := ReadMarker(folder.OS(), dir, o.Root)
	if err != nil || m.ID != f.ID || m.Commit != f.Commit || len(m.keys) != 1 {
		t.Error(m, err)
	}
	if _, err := ReadMarker(folder.OS(), dir, seal.RingOf(seal.NewKey())); !errors.Is(err, ErrMarker) {
		t.Error("another root key:", err)
	}
	for i := range f.Marker {
		bad := append([]byte{}, f.Marker...)
		bad[i] ^= 1
		if _, ok := parseMarker(bad, o.Root); ok {
			t.Errorf("a marker with byte %d changed is accepted", i)
		}
		if _, ok := parseMarker(f.Marker[:i], o.Root); ok {
			t.Errorf("a marker truncated at %d is accepted", i)
		}
	}
}
