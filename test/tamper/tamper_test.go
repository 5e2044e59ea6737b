package tamper

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The length of the test, and one edit of it.
var (
	howMany = flag.Int("edits", 1000, "number of random edits")
	only    = flag.Int("edit", -1, "number of the only edit to try")
)

// bench serves one edited image after another.
type bench struct {
	t   *testing.T
	c   *chronicle
	dir string
}

func newBench(t *testing.T, c *chronicle) *bench {
	b := &bench{t: t, c: c, dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(b.dir, "root.key"), []byte(c.key), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// anchor returns the path of an anchor as it was at the last moment.
func (b *bench) anchor(t *testing.T) string {
	t.Helper()
	path := filepath.Join(b.dir, "anchor")
	if err := os.WriteFile(path, []byte(b.c.anchor), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// verdict is what an edit led to.
type verdict struct {
	refused string   // why the start was refused
	failed  int      // requests that were refused
	wrong   []string // what is not right
}

// advised are words of refusals that say what to do.
func advised() []string {
	return []string{
		"Nothing was changed", "watertight check", "watertight recover", "watertight audit accept-loss",
		"watertight anchor accept", "ut back", "a newer program",
	}
}

// serve serves an image, and judges the answers.
func (b *bench) serve(i image, anchor string) (v verdict) {
	data := filepath.Join(b.dir, "data")
	i.write(b.t, data)
	m, err := boot(b.t.Context(), data, anchor)
	if err != nil {
		v.refused = err.Error()
		if !slices.ContainsFunc(advised(), func(w string) bool { return strings.Contains(v.refused, w) }) {
			v.wrong = append(v.wrong, "the refusal does not say what to do: "+v.refused)
		}
		if !strings.Contains(v.refused, "Nothing was changed") {
			return v
		}
		after := read(b.t, data)
		for _, path := range i.files(parts()...) {
			if after[path] != i[path] {
				v.wrong = append(v.wrong, "the refused start changed "+path)
			}
		}
		return v
	}
	facts := b.c.observe(b.t.Context(), m)
	if err := m.end(); err != nil {
		v.failed++
	}
	for name, right := range b.c.facts {
		switch got := facts[name]; {
		case got == right:
		case strings.HasPrefix(got, refusal):
			v.failed++
		default:
			v.wrong = append(v.wrong, fmt.Sprintf("%s: %.200q, and not %.200q", name, got, right))
		}
	}
	return v
}

// TestRandomEdits: whatever is edited, the answers are right, or they are refused.
func TestRandomEdits(t *testing.T) {
	c := chronicleOf(t, t.TempDir())
	last := len(c.moments) - 1
	var mu sync.Mutex
	count, next := map[string]int{}, 0
	if *only >= 0 {
		next, *howMany = *only, *only+1
	}
	work := func(t *testing.T) {
		b := newBench(t, c)
		for {
			mu.Lock()
			n := next
			next++
			mu.Unlock()
			if n >= *howMany || t.Context().Err() != nil {
				return
			}
			e := &editor{
				r: rand.New(rand.NewPCG(uint64(n), 5)), now: c.moments[last].copyOf(), old: c.moments[:last],
			}
			var done []string
			all := edits()
			for range 1 + e.r.IntN(2)*e.r.IntN(2) {
				d := all[e.r.IntN(len(all))]
				done = append(done, d.name+": "+d.do(e))
			}
			v := b.serve(e.now, "none")
			if len(v.wrong) > 0 && v.refused == "" && e.older() {
				v = b.serve(e.now, b.anchor(t)) // an old copy of everything
				if v.refused == "" {
					v.wrong = append(v.wrong, "it is not noticed with an anchor either")
				}
			}
			mu.Lock()
			switch {
			case v.refused != "":
				count["starts refused"]++
			case v.failed > 0:
				count["with refused requests"]++
			default:
				count["with right answers only"]++
			}
			mu.Unlock()
			if *only >= 0 {
				t.Logf("%s: %+v", done, v)
			}
			for _, w := range v.wrong {
				t.Errorf("edit %d, %s: %s", n, done, w)
			}
		}
	}
	t.Run("edits", func(t *testing.T) {
		for worker := range 2 {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				work(t)
			})
		}
	})
	for _, what := range slices.Sorted(maps.Keys(count)) {
		t.Logf("%s: %d", what, count[what])
	}
}
