package kvtest

import (
	"context"
	"testing"

	"watertight/internal/storage/kv"
)

// look reads a key in a separate View.
func look(t *testing.T, s kv.Store, ctx context.Context, key string) (value string) {
	t.Helper()
	err := s.View(ctx, func(r kv.Reader) error {
		v, err := r.Get([]byte(key))
		value = string(v)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// saw describes what a witness sees in a test.
type saw func(*testing.T, kv.Store, context.Context)

func sees(key string) saw {
	return func(t *testing.T, s kv.Store, ctx context.Context) { look(t, s, ctx, key) }
}

func compares(key string) saw {
	return func(t *testing.T, s kv.Store, ctx context.Context) {
		t.Helper()
		err := s.View(ctx, func(r kv.Reader) error {
			_, err := kv.Same(r, []byte(key), []byte("other"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// findsUnchanged compares a record with kv.Unchanged, which may not know it.
func findsUnchanged(key, value string) saw {
	return func(t *testing.T, s kv.Store, ctx context.Context) {
		look(t, s, t.Context(), key)
		look(t, s, t.Context(), key) // so that the store caches the value
		if !kv.Unchanged(ctx, s, []*kv.Copy{{Key: []byte(key), Value: []byte(value)}}) {
			look(t, s, ctx, key)
		}
	}
}

func scans(t *testing.T, s kv.Store, ctx context.Context) {
	err := s.View(ctx, func(r kv.Reader) error {
		for _, err := range r.Scan([]byte("k"), []byte("n")) {
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rely tests that a transaction runs again exactly if something that its witness saw was
// written since, before the transaction began or while it ran.
func rely(t *testing.T, open Open) {
	for name, c := range map[string]struct {
		saw     saw
		written string
		runs    int
	}{
		"read, then written":      {sees("k"), "k", 2},
		"absent, then written":    {sees("l"), "l", 2},
		"compared, then written":  {compares("k"), "k", 2},
		"unchanged, then written": {findsUnchanged("k", "old"), "k", 2},
		"another key":             {sees("k"), "l", 1},
		"scanned, then written":   {scans, "m", 2},
		"beside what was scanned": {scans, "n", 1},
		"nothing was seen":        {func(*testing.T, kv.Store, context.Context) {}, "k", 1},
		"seen under another ctx": {func(t *testing.T, s kv.Store, _ context.Context) {
			look(t, s, t.Context(),
				"k")
		}, "k", 1},
	} {
		for when, during := range map[string]bool{"before": false, "during": true} {
			t.Run(name+", "+when, func(t *testing.T) {
				s := open(t)
				put(t, s, "k", "old")
				w := kv.Witnessed(t.Context())
				c.saw(t, s, w)
				if !during {
					put(t, s, c.written, "new")
				}
				runs := 0
				err := s.Update(t.Context(), func(tx kv.Tx) error {
					if runs++; runs == 1 {
						if err := tx.Rely(w); err != nil {
							return err
						}
						if during {
							put(t, s, c.written, "new")
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

// relyOnTheOldest tests that, if a witness saw several states, the oldest counts.
func relyOnTheOldest(t *testing.T, s kv.Store) {
	w := kv.Witnessed(t.Context())
	look(t, s, w, "a")
	put(t, s, "a", "new")
	look(t, s, w, "b")
	runs := 0
	err := s.Update(t.Context(), func(tx kv.Tx) error {
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

// relyOnOneStore tests that a transaction can rely on only one witness, of its own store.
func relyOnOneStore(t *testing.T, open Open) {
	s, other := open(t), open(t)
	foreign, first, second := kv.Witnessed(t.Context()), kv.Witnessed(t.Context()), kv.Witnessed(t.Context())
	look(t, other, foreign, "a")
	look(t, s, first, "a")
	look(t, s, second, "a")
	for name, all := range map[string][]*kv.Witness{"another store's": {foreign}, "two": {first, second}} {
		t.Run(name, func(t *testing.T) {
			err := s.Update(t.Context(), func(tx kv.Tx) (err error) {
				for _, w := range all {
					err = tx.Rely(w)
				}
				return err
			})
			if err == nil {
				t.Error("taken")
			}
		})
	}
}

// through tests that Views under a transaction's context read what the transaction reads,
// including its own writes, and that the transaction depends on what they read.
func through(t *testing.T, open Open) {
	s, other := open(t), open(t)
	put(t, s, "k", "other")
	runs := 0
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		ctx := kv.Through(t.Context(), tx)
		want(t, look(t, s, ctx, "k"), "other")
		if v := look(t, other, ctx, "k"); v != "" {
			t.Error("another store's", v)
		}
		tx.Set([]byte("own"), []byte("mine"))
		want(t, look(t, s, ctx, "own"), "mine")
		if runs++; runs == 1 {
			put(t, s, "k", "other")
		}
		return nil
	})
	if err != nil || runs != 2 {
		t.Error(runs, err)
	}
}

// durable tests that what a View sees has a number up to Durable, that every later View
// sees what was committed, and that no commit appears after one with a larger number was
// durable.
func durable(t *testing.T, s kv.Store) {
	done := make(chan error)
	const each = 50
	for i := range 4 {
		go func() {
			var err error
			for n := 0; n < each && err == nil; n++ {
				err = s.Update(t.Context(), func(tx kv.Tx) error {
					tx.Set([]byte{'a' + byte(i), byte(n)}, []byte{1})
					return nil
				})
			}
			done <- err
		}()
	}
	seen := map[string]uint64{} // the number of each commit
	for left := 4; left > 0; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			left--
		default:
		}
		before := s.Durable()
		err := s.View(t.Context(), func(r kv.Reader) error {
			for p, err := range r.Scan(nil, nil) {
				if err != nil {
					return err
				}
				old, known := seen[string(p.Key)]
				if known && old != p.Commit {
					t.Errorf("%x: commit %d became %d", p.Key, old, p.Commit)
				}
				seen[string(p.Key)] = p.Commit
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		complete(t, s, before, seen)
	}
}

// complete checks that seen has every commit up to a durable one.
func complete(t *testing.T, s kv.Store, upTo uint64, seen map[string]uint64) {
	t.Helper()
	err := s.View(t.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan(nil, nil) {
			if err != nil {
				return err
			}
			if _, ok := seen[string(p.Key)]; !ok && p.Commit <= upTo {
				t.Errorf("commit %d became visible after %d was durable", p.Commit, upTo)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
