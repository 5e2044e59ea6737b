package kv

import (
	"context"
	"testing"
)

// look reads a key in a View of its own.
func look(t *testing.T, s Store, ctx context.Context, key string) (value string) {
	t.Helper()
	err := s.View(ctx, func(r Reader) error {
		v, err := r.Get([]byte(key))
		value = string(v)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func write(t *testing.T, s Store, key string) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx Tx) error { tx.Set([]byte(key), []byte("other")); return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestRely: a transaction runs again where what its witness saw was written
// since, before it began or while it ran, and only there.
func TestRely(t *testing.T) {
	read := func(key string) func(*testing.T, Store, context.Context) {
		return func(t *testing.T, s Store, ctx context.Context) { look(t, s, ctx, key) }
	}
	scan := func(t *testing.T, s Store, ctx context.Context) {
		err := s.View(ctx, func(r Reader) error {
			for _, err := range r.Scan([]byte("k"), []byte("n")) {
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		saw     func(*testing.T, Store, context.Context)
		written string
		runs    int
	}{
		"read, then written":      {read("k"), "k", 2},
		"absent, then written":    {read("l"), "l", 2},
		"another key":             {read("k"), "l", 1},
		"scanned, then written":   {scan, "m", 2},
		"beside what was scanned": {scan, "n", 1},
		"nothing was seen":        {func(*testing.T, Store, context.Context) {}, "k", 1},
		"seen under another ctx":  {func(t *testing.T, s Store, _ context.Context) { look(t, s, t.Context(), "k") }, "k", 1},
	} {
		for when, during := range map[string]bool{"before": false, "during": true} {
			t.Run(name+", "+when, func(t *testing.T) {
				s := benches()["memory"]().open(t)
				defer s.Close()
				write(t, s, "k")
				w := Witnessed(t.Context())
				c.saw(t, s, w)
				if !during {
					write(t, s, c.written)
				}
				runs := 0
				err := s.Update(t.Context(), func(tx Tx) error {
					if runs++; runs == 1 {
						if err := tx.Rely(w); err != nil {
							return err
						}
						if during {
							write(t, s, c.written)
						}
					}
					tx.Set([]byte("mine"), []byte("1"))
					return nil
				})
				if err != nil || runs != c.runs {
					t.Errorf("%d runs, want %d: %v", runs, c.runs, err)
				}
			})
		}
	}
}

// TestRelyOnTheOldest: of several states that were seen, the oldest counts.
func TestRelyOnTheOldest(t *testing.T) {
	s := benches()["memory"]().open(t)
	defer s.Close()
	w := Witnessed(t.Context())
	look(t, s, w, "a")
	write(t, s, "a")
	look(t, s, w, "b")
	runs := 0
	err := s.Update(t.Context(), func(tx Tx) error {
		if runs++; runs == 1 {
			if err := tx.Rely(w); err != nil {
				return err
			}
		}
		tx.Set([]byte("mine"), nil)
		return nil
	})
	if err != nil || runs != 2 {
		t.Error(runs, err)
	}
}

// TestRelyIsOfOneStore, and of one witness.
func TestRelyIsOfOneStore(t *testing.T) {
	s, other := benches()["memory"]().open(t), benches()["memory"]().open(t)
	defer s.Close()
	defer other.Close()
	foreign, first, second := Witnessed(t.Context()), Witnessed(t.Context()), Witnessed(t.Context())
	look(t, other, foreign, "a")
	look(t, s, first, "a")
	look(t, s, second, "a")
	for name, all := range map[string][]*Witness{"another store's": {foreign}, "two": {first, second}} {
		err := s.Update(t.Context(), func(tx Tx) (err error) {
			for _, w := range all {
				err = tx.Rely(w)
			}
			return err
		})
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestThrough: Views under a transaction's context read what it reads, its own
// writes included, and depend on it.
func TestThrough(t *testing.T) {
	s, other := benches()["memory"]().open(t), benches()["memory"]().open(t)
	defer s.Close()
	defer other.Close()
	write(t, s, "k")
	runs := 0
	err := s.Update(t.Context(), func(tx Tx) error {
		ctx := Through(t.Context(), tx)
		if v := look(t, s, ctx, "k"); v != "other" {
			t.Error(v)
		}
		if v := look(t, other, ctx, "k"); v != "" {
			t.Error("another store's", v)
		}
		tx.Set([]byte("own"), []byte("mine"))
		if v := look(t, s, ctx, "own"); v != "mine" {
			t.Error(v)
		}
		if runs++; runs == 1 {
			write(t, s, "k")
		}
		return nil
	})
	if err != nil || runs != 2 {
		t.Error(runs, err)
	}
}
