package known_test

import (
	"context"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/known"
	"watertight/internal/storage/kv"
)

type cache = known.Cache[string, string]

func newCache() cache {
	return known.New(1<<20, func(k, v string) int64 { return int64(len(k) + len(v)) })
}

// pair returns what follows from the records a and b, by the cache if it knows.
func pair(t require, c cache, ctx context.Context, s kv.Store) (value string, cached bool) {
	if v, ok := c.Get(ctx, s, "pair"); ok {
		return v, true
	}
	v, err := c.Find(ctx, s, "pair", func(r *known.Reader) (string, bool, error) {
		a, err := r.Get([]byte("a"))
		b, err2 := r.Get([]byte("b"))
		return string(a) + "+" + string(b), true, errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, false
}

type require interface{ Fatal(...any) }

func set(t require, ctx context.Context, s kv.Store, key, value string) {
	err := s.Update(ctx, func(tx kv.Tx) error {
		if value == "" {
			tx.Delete([]byte(key))
		} else {
			tx.Set([]byte(key), []byte(value))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNeverStale: whatever is written between, a value is what follows from the newest records.
func TestNeverStale(t *testing.T) {
	s := coretest.Store(t)
	rapid.Check(t, func(r *rapid.T) {
		c, a, b := newCache(), "", ""
		set(r, t.Context(), s, "a", a)
		set(r, t.Context(), s, "b", b)
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.IntRange(0, 4).Draw(r, "step") {
			case 0:
				a = rapid.SampledFrom([]string{"", "1", "2"}).Draw(r, "a")
				set(r, t.Context(), s, "a", a)
			case 1:
				b = rapid.SampledFrom([]string{"", "1", "2"}).Draw(r, "b")
				set(r, t.Context(), s, "b", b)
			default:
				if got, _ := pair(r, c, t.Context(), s); got != a+"+"+b {
					r.Fatalf("%q, want %q", got, a+"+"+b)
				}
			}
		}
	})
}

// TestKept: what is read repeatedly is kept, also of records that do not exist, and asked for
// without memory. It is not used inside a transaction, nor kept there.
func TestKept(t *testing.T) {
	s, c := coretest.Store(t), newCache()
	set(t, t.Context(), s, "a", "1")
	for range 3 {
		pair(t, c, t.Context(), s)
	}
	if v, cached := pair(t, c, t.Context(), s); !cached || v != "1+" {
		t.Errorf("%q, cached: %v", v, cached)
	}
	if n := testing.AllocsPerRun(100, func() { c.Get(t.Context(), s, "pair") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		tx.Set([]byte("b"), []byte("own"))
		if v, cached := pair(t, c, kv.Through(t.Context(), tx), s); cached || v != "1+own" {
			t.Errorf("in a transaction: %q, cached: %v", v, cached)
		}
		return errors.New("no commit")
	})
	if err == nil {
		t.Fatal("it committed")
	}
	if v, _ := pair(t, c, t.Context(), s); v != "1+" {
		t.Errorf("after a transaction that did not commit: %q", v)
	}
}

// TestNotKept: neither what find does not want to be kept, nor what follows from a scan.
func TestNotKept(t *testing.T) {
	for name, c := range map[string]struct {
		scan, keep, kept bool
	}{"kept": {false, true, true}, "not wanted": {false, false, false}, "scanned": {true, true, false}} {
		t.Run(name, func(t *testing.T) {
			s, of := coretest.Store(t), newCache()
			set(t, t.Context(), s, "a", "1")
			for range 3 {
				_, err := of.Find(t.Context(), s, "k", func(r *known.Reader) (string, bool, error) {
					if c.scan {
						for range r.Scan([]byte("a"), []byte("b")) {
						}
					}
					v, err := r.Get([]byte("a"))
					return string(v), c.keep, err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if _, ok := of.Get(t.Context(), s, "k"); ok != c.kept {
				t.Errorf("kept: %v", ok)
			}
		})
	}
}

// TestWitnessed: a transaction that relies on a witness depends on what the cache compared.
func TestWitnessed(t *testing.T) {
	s, c := coretest.Store(t), newCache()
	set(t, t.Context(), s, "a", "1")
	for range 3 {
		pair(t, c, t.Context(), s)
	}
	w := kv.Witnessed(t.Context())
	if _, cached := pair(t, c, w, s); !cached {
		t.Fatal("not cached")
	}
	set(t, t.Context(), s, "b", "2") // it did not exist
	runs := 0
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		if runs++; runs == 1 {
			if err := tx.Rely(w); err != nil {
				return err
			}
		}
		tx.Set([]byte("mine"), []byte("1"))
		return nil
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs: %v", runs, err)
	}
}
