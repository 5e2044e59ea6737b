package rootkey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// directory is a data directory with folders for copies, and two key files.
type directory struct {
	o        Options
	old, new string // sources
}

func newDirectory(t *testing.T) directory {
	t.Helper()
	dir := t.TempDir()
	d := directory{old: "file:" + filepath.Join(dir, "old.key"), new: "file:" + filepath.Join(dir, "new.key")}
	d.o = Options{DataDir: filepath.Join(dir, "data"), Now: func() time.Time { return time.Unix(1000, 0) }}
	for _, sub := range []string{"blobs", "audit"} {
		path := filepath.Join(d.o.DataDir, sub)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		d.o.Copies = append(d.o.Copies, path)
	}
	return d
}

func (d directory) open(t *testing.T, source string, create bool) (*Keyring, error) {
	t.Helper()
	o := d.o
	o.MayCreate = create
	return Open(t.Context(), source, o)
}

func (d directory) must(t *testing.T, source string) *Keyring {
	t.Helper()
	k, err := d.open(t, source, false)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (d directory) made(t *testing.T) *Keyring {
	t.Helper()
	k, err := d.open(t, d.old, true)
	if err != nil || k.Migrates() {
		t.Fatal(err)
	}
	return k
}

// content returns every file under the directory.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestKeyring: every start has the same generations, whichever copy of the keyring is damaged, and a new
// generation is kept.
func TestKeyring(t *testing.T) {
	d := newDirectory(t)
	k := d.made(t)
	first := k.Ring.Current()
	g, err := k.Grow(t.Context())
	if err != nil || g.Number != 2 || k.Ring.Current() != g {
		t.Fatal(g.Number, err)
	}
	before := content(t, d.o.DataDir)
	if len(before) != 3 {
		t.Fatalf("there are %d files", len(before))
	}
	again := d.must(t, d.old)
	if got, ok := again.Ring.Of(1); again.Ring.Current() != g || !ok || got != first.Key {
		t.Error("another start has other generations")
	}
	places := d.o.places()
	for i, path := range places {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			text := []byte(before[path])
			zeroed := append(bytes.Clone(text[:60]), make([]byte, len(text)-60)...)
			for _, bad := range [][]byte{nil, text[:40], zeroed} {
				err := os.WriteFile(path, bad, 0o600)
				if bad == nil {
					err = os.Remove(path)
				}
				if err != nil {
					t.Fatal(err)
				}
				k := d.must(t, d.old)
				if k.Ring.Current() != g {
					t.Errorf("place %d: other generations", i)
				}
				if err := k.Save(t.Context()); err != nil {
					t.Fatal(err)
				}
				if !maps.Equal(content(t, d.o.DataDir), before) {
					t.Error("the copy was not repaired to the same bytes")
				}
			}
		})
	}
	for _, path := range places {
		os.Remove(path)
	}
	if _, err := d.open(t, d.old, false); err != nil {
		t.Error("without a keyring, the key file is the root key of an earlier version:", err)
	}
}

// TestNoCopyBringsAnOldLockBack: a copy is used only if the keyring is missing or damaged.
func TestNoCopyBringsAnOldLockBack(t *testing.T) {
	d := newDirectory(t)
	k := d.made(t)
	stale, err := os.ReadFile(d.o.places()[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Move(t.Context(), d.new); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.o.places()[1], stale, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.open(t, d.old, false); !errors.Is(err, ErrOtherKey) || !strings.Contains(err.Error(), d.new) {
		t.Errorf("the old source: %v", err)
	}
	if err := d.must(t, d.new).Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(d.o.places()[1]); bytes.Equal(b, stale) {
		t.Error("the stale copy is still there")
	}
}

// TestLostSource: without its source nothing opens, and no byte is changed.
func TestLostSource(t *testing.T) {
	d := newDirectory(t)
	d.made(t)
	path := strings.TrimPrefix(d.old, "file:")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	before := content(t, filepath.Dir(d.o.DataDir))
	for _, create := range []bool{false, true} {
		if _, err := d.open(t, d.old, create); err == nil || !strings.Contains(err.Error(), "missing") {
			t.Error(err)
		}
	}
	if after := content(t, filepath.Dir(d.o.DataDir)); !maps.Equal(before, after) {
		t.Error("a refused start changed something")
	}
}

// TestKilledAtEveryStep: if a rotation is killed before or after any write, the next start has every
// generation that was in use, with the old source or the new one, and the rotation can be repeated. Once it
// is complete, the old source opens nothing.
func TestKilledAtEveryStep(t *testing.T) {
	killed := errors.New("killed")
	rotate := func(ctx context.Context, k *Keyring, to string) error {
		if k.Source() != to {
			if err := k.Move(ctx, to); err != nil {
				return err
			}
		}
		g, err := k.Grow(ctx)
		if err != nil {
			return err
		}
		return k.Drop(ctx, []uint32{g.Number - 1})
	}
	for n := 0; ; n++ {
		done := false
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			d := newDirectory(t)
			first := d.made(t).Ring.Current()
			writes := 0
			d.o.write = func(path string, text []byte) error {
				writes++
				if writes == n/2+1 && n%2 == 0 {
					return killed
				}
				if err := folder.Replace(folder.OS(), path, text, 0o600); err != nil || writes != n/2+1 {
					return err
				}
				return killed
			}
			err := rotate(t.Context(), d.must(t, d.old), d.new)
			if done = err == nil; err != nil && !errors.Is(err, killed) {
				t.Fatal(err)
			}
			d.o.write = nil
			k, oldErr := d.open(t, d.old, false)
			if oldErr != nil {
				k = d.must(t, d.new)
			}
			if key, ok := k.Ring.Of(1); n < 2*9 && (!ok || key != first.Key) {
				t.Error("the first generation is missing before it was dropped")
			}
			if err := k.Save(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := rotate(t.Context(), k, d.new); err != nil {
				t.Fatal("again:", err)
			}
			if _, err := d.open(t, d.old, false); !errors.Is(err, ErrOtherKey) {
				t.Errorf("the old source: %v", err)
			}
			for _, path := range d.o.places() {
				b, err := os.ReadFile(path)
				if err != nil || strings.Contains(string(b), d.old) {
					t.Errorf("%s still names the old source, %v", path, err)
				}
			}
		})
		if done || t.Failed() {
			break
		}
	}
}

// TestForget: the parameters file of an earlier version is removed.
func TestForget(t *testing.T) {
	d := newDirectory(t)
	k := d.made(t)
	writeParameters(t, d.o.DataDir, "correct horse battery staple")
	for range 2 {
		if err := k.Forget(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(d.o.DataDir, parameterFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("they are still there")
	}
}

// FuzzKeyring: reading any file ends, and only a keyring that encodeKeyring made opens.
func FuzzKeyring(f *testing.F) {
	key := seal.Key{7}
	one := []Made{{seal.Generation{Number: 1, Key: seal.Key{1}}, time.UnixMicro(5)}}
	sound := encodeKeyring([16]byte{1}, 3, []lock{{"file:/k", []byte("wrapped")}, {"b", nil}}, key, one)
	f.Add(sound)
	f.Add(sound[:50])
	f.Add([]byte(keyringMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseKeyring(b)
		if err != nil {
			return
		}
		if len(s.locks) == 0 || len(s.locks) > maxLocks {
			t.Fatalf("%d locks", len(s.locks))
		}
		if all, err := s.open(key); err == nil && (len(all) == 0 || all[0].Number == 0) {
			t.Fatalf("it opens to %d generations", len(all))
		}
	})
}
