package rootkey

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"strings"
	"testing"
)

// TestMend: whatever happened to the files, the keyring in use is written again, and a start finds it.
func TestMend(t *testing.T) {
	d := newDirectory(t)
	k := d.made(t)
	stale := k.Text()
	g, err := k.Grow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	whole := content(t, d.o.DataDir)
	flipped := k.Text()
	flipped[len(flipped)/2] ^= 1
	other := newDirectory(t).made(t).Text()
	overwrite := func(text []byte) func(string) error {
		return func(path string) error { return os.WriteFile(path, text, 0o600) }
	}
	places := d.o.places()
	for name, harm := range map[string]func(path string) error{
		"missing": os.Remove, "flipped": overwrite(flipped), "cut": overwrite(flipped[:50]), "empty": overwrite(nil),
		"older": overwrite(stale), "another store's": overwrite(other),
		"too long":       overwrite(bytes.Repeat([]byte("k"), KeyringLimit+9)),
		"read by others": func(path string) error { return os.Chmod(path, 0o644) },
		"a link to nothing": func(path string) error {
			return errors.Join(os.Remove(path), os.Symlink("nowhere", path))
		},
	} {
		for _, harmed := range [][]string{places[:1], places[1:2], places[2:], places} {
			t.Run(name, func(t *testing.T) {
				for _, path := range harmed {
					if err := harm(path); err != nil {
						t.Fatal(err)
					}
				}
				mended, err := k.Mend()
				if err != nil || strings.Join(mended, " ") != strings.Join(harmed, " ") {
					t.Errorf("mended %q, %v; want %q", mended, err, harmed)
				}
				if mended, err := k.Mend(); err != nil || len(mended) > 0 {
					t.Errorf("mended again: %q, %v", mended, err)
				}
				if !maps.Equal(content(t, d.o.DataDir), whole) {
					t.Error("the files differ from before")
				}
				if d.must(t, d.old).Ring.Current() != g {
					t.Error("a start has another generation")
				}
			})
		}
	}
}

// TestMendFails: the error names each place that can't be written, and the others are repaired.
func TestMendFails(t *testing.T) {
	d := newDirectory(t)
	k := d.made(t)
	places := d.o.places()
	for _, path := range places {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	failing := errors.New("the disk is full")
	k.o.write = func(path string, text []byte) error {
		if path != places[2] {
			return failing
		}
		return Options{}.replace(path, text)
	}
	mended, err := k.Mend()
	if len(mended) != 1 || mended[0] != places[2] || !errors.Is(err, failing) ||
		!strings.Contains(err.Error(), places[0]+": "+failing.Error()) ||
		!strings.Contains(err.Error(), places[1]+": "+failing.Error()) {
		t.Errorf("%q, %v", mended, err)
	}
	k.o.write = nil
	if mended, err := k.Mend(); len(mended) != 2 || err != nil {
		t.Errorf("%q, %v", mended, err)
	}
}
