package tamper

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// check fails the test if an edited image leads to a wrong answer.
func (b *bench) check(t *testing.T, i image, anchor string) verdict {
	t.Helper()
	v := b.serve(i, anchor)
	for _, w := range v.wrong {
		t.Error(w)
	}
	return v
}

// TestEachOlderFile puts each file of each earlier moment back by itself.
func TestEachOlderFile(t *testing.T) {
	c := chronicleOf(t, t.TempDir())
	b, last := newBench(t, c), len(c.moments)-1
	for n, old := range c.moments[:last] {
		for _, path := range old.files(parts()...) {
			if old[path] == c.moments[last][path] || strings.HasPrefix(path, "blobs/") && n > 0 {
				continue
			}
			t.Run(fmt.Sprint(n, " ", path), func(t *testing.T) {
				i := c.moments[last].copyOf()
				i[path] = old[path]
				b.check(t, i, "none")
			})
		}
	}
}

// TestOlderFolders mixes folders of earlier moments with those of the last one, in every way.
// With an anchor, a whole old copy is refused, too.
func TestOlderFolders(t *testing.T) {
	c := chronicleOf(t, t.TempDir())
	b, last := newBench(t, c), len(c.moments)-1
	for n, old := range c.moments[:last] {
		for chosen := 1; chosen < 1<<len(parts()); chosen++ {
			var of []string
			for at, p := range parts() {
				if chosen>>at&1 == 1 {
					of = append(of, p)
				}
			}
			t.Run(fmt.Sprint(n, of), func(t *testing.T) {
				i := c.moments[last].copyOf()
				maps.DeleteFunc(i, func(path, _ string) bool { return in(path, of) })
				for path, text := range old {
					if in(path, of) {
						i[path] = text
					}
				}
				whole := slices.Contains(of, "meta/") && slices.Contains(of, "blobs/") && slices.Contains(of, "audit/")
				if !whole {
					b.check(t, i, "none")
				}
				if v := b.check(t, i, b.anchor(t)); whole && v.refused == "" {
					t.Error("a whole old copy is served although there is an anchor")
				}
			})
		}
	}
}

// TestNamesAreSealed: no file has a name of a bucket, an object or a user in plain.
func TestNamesAreSealed(t *testing.T) {
	c := chronicleOf(t, t.TempDir())
	for n, i := range c.moments {
		for path, text := range i {
			for _, name := range []string{"middle-kept", "small-gone", "user0", "user1", c.users.gone[0]} {
				if strings.Contains(text, name) {
					t.Errorf("moment %d: %s has %q in plain", n, path, name)
				}
			}
		}
	}
}

// records reads a store's records with Pebble alone, as an attacker without the root key would.
func records(dir string) (out map[string][]byte, err error) {
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, ErrorIfNotExists: true, Logger: silent{}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	i, err := db.NewIter(nil)
	if err != nil {
		return nil, err
	}
	out = map[string][]byte{}
	for ok := i.First(); ok; ok = i.Next() {
		out[string(i.Key())] = bytes.Clone(i.Value())
	}
	return out, i.Close()
}

// silent is a logger for Pebble that logs nothing and does not end the process.
type silent struct{}

// Infof implements pebble.Logger.
func (silent) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (silent) Errorf(string, ...any) {}

// Fatalf implements pebble.Logger.
func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// TestRawPebble: nobody can put back or remove records of users, buckets and objects with
// Pebble alone, without the root key. Pebble can't read the files. A start refuses what Pebble
// leaves when it tries to write there, and a store that it makes anew in their place.
func TestRawPebble(t *testing.T) {
	c := chronicleOf(t, t.TempDir())
	last := len(c.moments) - 1
	for name, prefixes := range map[string][]string{
		"the deleted access key":        {"i/"},
		"the bucket that was public":    {"b/", "s/", "h/"},
		"the deleted objects":           {"c/", "v/", "d/", "r/"},
		"all that is not the store's":   {"a/", "b/", "c/", "d/", "h/", "i/", "o/", "r/", "s/", "v/"},
		"everything, by the old values": {""},
	} {
		for _, anew := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", anew), func(t *testing.T) {
				b := newBench(t, c)
				old := filepath.Join(t.TempDir(), "old")
				c.moments[0].write(t, old)
				was, err := records(filepath.Join(old, "meta"))
				if err == nil {
					t.Errorf("Pebble reads %d records without a key", len(was))
				}
				dir := filepath.Join(t.TempDir(), "data")
				c.moments[last].write(t, dir)
				if anew {
					if err := os.RemoveAll(filepath.Join(dir, "meta")); err != nil {
						t.Fatal(err)
					}
				}
				write(t, filepath.Join(dir, "meta"), was, prefixes)
				v := b.check(t, read(t, dir), "none")
				if anew && v.refused == "" {
					t.Error("a store that Pebble made is served")
				}
			})
		}
	}
}

// write puts back old records under prefixes, and removes the others there. If there are none,
// it invents one of each.
func write(t *testing.T, dir string, was map[string][]byte, prefixes []string) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Logf("Pebble gave up: %v", p)
		}
	}()
	db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}})
	if err != nil {
		t.Logf("Pebble does not open it: %.200v", err)
		return
	}
	for _, p := range prefixes {
		if p != "" {
			err = errors.Join(err, db.DeleteRange([]byte(p), append([]byte(p), 0xff), pebble.Sync))
		}
		err = errors.Join(err, db.Set([]byte(p+"invented"), []byte("invented"), pebble.Sync))
		for key, value := range was {
			if strings.HasPrefix(key, p) && !strings.HasPrefix(key, "\x00") {
				err = errors.Join(err, db.Set([]byte(key), value, pebble.Sync))
			}
		}
	}
	if err = errors.Join(err, db.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
}
