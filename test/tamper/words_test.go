package tamper

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"watertight/internal/datadir"
)

// harms are ways in which a file may be damaged.
func harms() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		"a bit in the middle": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"a bit in the header": func(b []byte) []byte { b[min(len(b)-1, 20)] ^= 1; return b },
		"cut":                 func(b []byte) []byte { return b[:len(b)*2/3] },
		"zeros":               func(b []byte) []byte { clear(b); return b },
		"empty":               func([]byte) []byte { return nil },
		"missing":             nil,
	}
}

// TestWordsOfDamage: a refusal of a damaged file of the metadata, and what check says of it, name the file in
// words of this program. What the engine says is in the log.
func TestWordsOfDamage(t *testing.T) {
	c := chronicleOf(t, t.TempDir())
	b, last := newBench(t, c), len(c.moments)-1
	engines := []string{
		"pebble", "objstorage", "sstable", "sealedfs", "corruption detail", "backing file", "L6", "InternalError",
	}
	// Without its newest log, a store is only known to be older.
	named := func(text, path string) bool {
		return strings.Contains(text, path) || strings.Contains(text, "lost its newest")
	}
	plain := func(t *testing.T, text string) {
		t.Helper()
		for _, word := range engines {
			if strings.Contains(text, word) {
				t.Errorf("an operator reads %q: %s", word, text)
			}
		}
	}
	for _, path := range c.moments[last].files("meta/") {
		if c.moments[last][path] == "" || strings.Contains(path, "OPTIONS") {
			continue
		}
		for _, how := range slices.Sorted(maps.Keys(harms())) {
			t.Run(fmt.Sprint(path, " ", how), func(t *testing.T) {
				i := c.moments[last].copyOf()
				if harm := harms()[how]; harm != nil {
					i[path] = string(harm([]byte(i[path])))
				} else {
					delete(i, path)
				}
				v := b.check(t, i, "none")
				plain(t, v.refused)
				if v.refused != "" && !named(v.refused, path) {
					t.Errorf("the refusal does not name %s: %s", path, v.refused)
				}
				in, err := datadir.Check(t.Context(), datadir.Options{
					Data: filepath.Join(b.dir, "data"), RootKey: "file:" + filepath.Join(b.dir, "root.key"),
					Region: region,
				}, false)
				if err != nil {
					t.Fatal(err)
				}
				all := strings.Join(in.Findings, "\n")
				plain(t, all)
				if v.refused != "" && !named(all, path) {
					t.Errorf("check does not name %s: %s", path, all)
				}
			})
		}
	}
}
