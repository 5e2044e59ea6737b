// Package kvtest tests what every kv.Store must do. It exists so that one call
// checks a new store against the same promises. It must never know how a store is
// made.
package kvtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"watertight/internal/storage/kv"
)

// Open returns a new, empty store that is closed when the test ends.
type Open func(t *testing.T) kv.Store

// Run tests the stores that open makes against the contract of kv.Store.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, kv.Store)
	}{
		{"Records", records},
		{"Order", order},
		{"OwnWrites", ownWrites},
		{"ScanWhileWriting", scanWhileWriting},
		{"NestedScans", nestedScans},
		{"ReservedKeys", reservedKeys},
		{"FailedUpdate", failedUpdate},
		{"PanicInUpdate", panicInUpdate},
		{"Numbers", numbers},
		{"ReadOnlyUpdate", readOnlyUpdate},
		{"LostUpdate", lostUpdate},
		{"Conflicts", conflicts},
		{"WriteSkew", writeSkew},
		{"ViewIsolation", viewIsolation},
		{"Cancelled", cancelled},
		{"Ended", ended},
		{"Closed", closed},
		{"Durable", durable},
		{"RelyOnTheOldest", relyOnTheOldest},
		{"Unchanged", unchanged},
		{"Serializable", serializable},
		{"Model", model},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
	for _, c := range []struct {
		name string
		test func(*testing.T, Open)
	}{{"Rely", rely}, {"RelyOnOneStore", relyOnOneStore}, {"Through", through}} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

func update(t *testing.T, s kv.Store, fn func(kv.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s kv.Store, pairs ...string) {
	t.Helper()
	update(t, s, func(tx kv.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			tx.Set([]byte(pairs[i]), []byte(pairs[i+1]))
		}
		return nil
	})
}

func get(t *testing.T, s kv.Store, key string) string {
	t.Helper()
	var v []byte
	err := s.View(t.Context(), func(r kv.Reader) (err error) {
		v, err = r.Get([]byte(key))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(v)
}

// list returns the keys and values of a range; "" means that there is no bound.
func list(r kv.Reader, from, to string) (string, error) {
	var f, u []byte
	if from != "" {
		f = []byte(from)
	}
	if to != "" {
		u = []byte(to)
	}
	var out []string
	for p, err := range r.Scan(f, u) {
		if err != nil {
			return "", err
		}
		out = append(out, string(p.Key)+"="+string(p.Value))
	}
	return strings.Join(out, " "), nil
}

func all(t *testing.T, s kv.Store) string {
	t.Helper()
	var out string
	err := s.View(t.Context(), func(r kv.Reader) (err error) {
		out, err = list(r, "", "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func records(t *testing.T, s kv.Store) {
	large := strings.Repeat("x", 3<<20)
	put(t, s, "a", "1", "empty", "", "large", large)
	err := s.View(t.Context(), func(r kv.Reader) error {
		for _, c := range []struct {
			key, value string
			absent     bool
		}{{"a", "1", false}, {"empty", "", false}, {"large", large, false}, {"b", "", true}, {"\xff", "", true}} {
			v, err := r.Get([]byte(c.key))
			if err != nil {
				return err
			}
			if (v == nil) != c.absent || string(v) != c.value {
				t.Errorf("%s: %d bytes, nil %v", c.key, len(v), v == nil)
			}
			same(t, r, c.key, v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx kv.Tx) error {
		tx.Delete([]byte("a"))
		tx.Delete([]byte("never"))
		tx.Set([]byte("empty"), []byte("no more"))
		tx.Delete([]byte("large"))
		return nil
	})
	want(t, all(t, s), "empty=no more")
}

// same compares a value, which may be nil, with kv.Same. It does so often, so that the
// store caches the value.
func same(t *testing.T, r kv.Reader, key string, value []byte) {
	t.Helper()
	for range 3 {
		for _, c := range []struct {
			with []byte
			want bool
		}{{value, value != nil}, {append([]byte("x"), value...), false}, {nil, value != nil && len(value) == 0}} {
			if got, err := kv.Same(r, []byte(key), c.with); err != nil || got != c.want {
				t.Errorf("%q is %d bytes, the same as %d bytes: %v, %v", key, len(value), len(c.with), got, err)
			}
		}
	}
}

func order(t *testing.T, s kv.Store) {
	put(t, s, "b", "2", "a", "1", "a\x00", "1.5", "ab", "1.7", "\xff\xff", "9", "\x01", "0")
	err := s.View(t.Context(), func(r kv.Reader) error {
		for _, c := range []struct{ from, to, want string }{
			{"", "", "\x01=0 a=1 a\x00=1.5 ab=1.7 b=2 \xff\xff=9"},
			{"a", "b", "a=1 a\x00=1.5 ab=1.7"},
			{"a\x00", "ab", "a\x00=1.5"},
			{"b", "a", ""},
			{"b", "b", ""},
			{"c", "", "\xff\xff=9"},
			{"", "a", "\x01=0"},
		} {
			got, err := list(r, c.from, c.to)
			if err != nil {
				return err
			}
			want(t, got, c.want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ownWrites(t *testing.T, s kv.Store) {
	put(t, s, "b", "old", "d", "old", "f", "old")
	update(t, s, func(tx kv.Tx) error {
		key := []byte("a")
		tx.Set(key, []byte("new"))
		key[0] = 'c' // the caller may use its buffers again
		tx.Set(key, []byte("new"))
		tx.Set([]byte("d"), []byte("new"))
		tx.Delete([]byte("f"))
		tx.Set([]byte("g"), []byte("gone"))
		tx.Delete([]byte("g"))
		tx.Delete([]byte("h"))
		tx.Set([]byte("h"), []byte(""))
		for _, c := range []struct{ from, to, want string }{
			{"", "", "a=new b=old c=new d=new h="},
			{"b", "d", "b=old c=new"},
			{"c", "g", "c=new d=new"},
			{"e", "h", ""},
		} {
			got, err := list(tx, c.from, c.to)
			if err != nil {
				return err
			}
			want(t, got, c.want)
		}
		for key, value := range map[string]string{"a": "new", "b": "old", "d": "new", "f": "", "g": "", "h": ""} {
			v, err := tx.Get([]byte(key))
			if err != nil {
				return err
			}
			same(t, tx, key, v)
			if string(v) != value || (v == nil) != (key == "f" || key == "g") {
				t.Errorf("%s: %q", key, v)
			}
		}
		return nil
	})
	want(t, all(t, s), "a=new b=old c=new d=new h=")
}

func scanWhileWriting(t *testing.T, s kv.Store) {
	put(t, s, "a", "1", "b", "2", "c", "3", "e", "5")
	update(t, s, func(tx kv.Tx) error {
		var seen []string
		for p, err := range tx.Scan(nil, nil) {
			if err != nil {
				return err
			}
			seen = append(seen, string(p.Key))
			switch string(p.Key) {
			case "a":
				tx.Delete(p.Key)
				tx.Delete([]byte("b"))
				tx.Set([]byte("0"), nil) // behind the scan
			case "c":
				tx.Set([]byte("d"), []byte("4")) // ahead of the scan
				tx.Delete(p.Key)
			}
		}
		want(t, strings.Join(seen, " "), "a c d e")
		return nil
	})
	want(t, all(t, s), "0= d=4 e=5")
}

func nestedScans(t *testing.T, s kv.Store) {
	put(t, s, "a", "1", "b", "2", "c", "3")
	err := s.View(t.Context(), func(r kv.Reader) error {
		var seen []string
		for p, err := range r.Scan(nil, nil) {
			if err != nil {
				return err
			}
			for q, err := range r.Scan(p.Key, nil) {
				if err != nil {
					return err
				}
				seen = append(seen, string(p.Key)+string(p.Value)+string(q.Key)+string(q.Value))
			}
		}
		want(t, strings.Join(seen, " "), "a1a1 a1b2 a1c3 b2b2 b2c3 c3c3")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func reservedKeys(t *testing.T, s kv.Store) {
	for _, key := range []string{"", "\x00", "\x00c", "\x00v"} {
		if err := s.Update(t.Context(), func(tx kv.Tx) error { tx.Set([]byte(key), nil); return nil }); err == nil {
			t.Errorf("Set(%q) was accepted", key)
		}
		if err := s.Update(t.Context(), func(tx kv.Tx) error { tx.Delete([]byte(key)); return nil }); err == nil {
			t.Errorf("Delete(%q) was accepted", key)
		}
		err := s.View(t.Context(), func(r kv.Reader) error { _, err := r.Get([]byte(key)); return err })
		if err == nil {
			t.Errorf("Get(%q) was accepted", key)
		}
	}
	if err := s.View(t.Context(), func(r kv.Reader) error { _, err := list(r, "\x00", ""); return err }); err == nil {
		t.Error("a scan of the reserved keys was accepted")
	}
	want(t, all(t, s), "")
}

func failedUpdate(t *testing.T, s kv.Store) {
	put(t, s, "a", "1")
	before := s.Durable()
	mine := errors.New("mine")
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		tx.Set([]byte("a"), []byte("2"))
		return mine
	})
	if !errors.Is(err, mine) || s.Durable() != before {
		t.Errorf("%v, commit %d after %d", err, s.Durable(), before)
	}
	want(t, all(t, s), "a=1")
}

func panicInUpdate(t *testing.T, s kv.Store) {
	for range 3 {
		func() {
			defer func() { recover() }()
			_ = s.Update(t.Context(), func(tx kv.Tx) error {
				tx.Set([]byte("a"), nil)
				panic("on purpose")
			})
		}()
	}
	put(t, s, "b", "1")
	want(t, all(t, s), "b=1")
}

func numbers(t *testing.T, s kv.Store) {
	start := s.Durable()
	for i := range 5 {
		put(t, s, fmt.Sprint("a", i), "", fmt.Sprint("b", i), "")
		if s.Durable() != start+uint64(i)+1 {
			t.Fatalf("commit %d after %d commits", s.Durable()-start, i+1)
		}
	}
	err := s.View(t.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan(nil, nil) {
			if err != nil {
				return err
			}
			if n := uint64(p.Key[1] - '0'); p.Commit != start+n+1 {
				t.Errorf("%s: commit %d", p.Key, p.Commit)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readOnlyUpdate(t *testing.T, s kv.Store) {
	put(t, s, "a", "1")
	before := s.Durable()
	update(t, s, func(tx kv.Tx) error {
		got, err := list(tx, "", "")
		want(t, got, "a=1")
		return errors.Join(err, tx.Lock([]byte("g"), kv.Exclusive))
	})
	if s.Durable() != before {
		t.Error("a transaction without writes was committed")
	}
}

func lostUpdate(t *testing.T, s kv.Store) {
	const writers, rounds = 8, 40
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range rounds {
				err := s.Update(t.Context(), func(tx kv.Tx) error {
					v, err := tx.Get([]byte("n"))
					tx.Set([]byte("n"), append(v, 'x'))
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := len(get(t, s, "n")); n != writers*rounds {
		t.Errorf("%d of %d increments", n, writers*rounds)
	}
}

func viewIsolation(t *testing.T, s kv.Store) {
	put(t, s, "a", "1", "b", "1")
	err := s.View(t.Context(), func(r kv.Reader) error {
		v, err := r.Get([]byte("a"))
		if err != nil || string(v) != "1" {
			t.Error(string(v), err)
		}
		v[0] = 'X' // the slice belongs to the caller
		update(t, s, func(tx kv.Tx) error {
			tx.Set([]byte("a"), []byte("2"))
			tx.Delete([]byte("b"))
			tx.Set([]byte("c"), []byte("2"))
			return nil
		})
		want(t, all(t, s), "a=2 c=2") // another view already sees it
		got, err := list(r, "", "")
		want(t, got, "a=1 b=1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func cancelled(t *testing.T, s kv.Store) {
	put(t, s, "a", "1")
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx kv.Tx) error {
		tx.Set([]byte("a"), []byte("2"))
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error("cancelled while it ran:", err)
	}
	ran := false
	err = s.Update(ctx, func(kv.Tx) error { ran = true; return nil })
	if !errors.Is(err, context.Canceled) || ran {
		t.Error("cancelled before:", err, ran)
	}
	err = s.View(ctx, func(kv.Reader) error { ran = true; return nil })
	if !errors.Is(err, context.Canceled) || ran {
		t.Error("view, cancelled before:", err, ran)
	}
	ctx, cancel = context.WithCancel(t.Context())
	err = s.View(ctx, func(r kv.Reader) error { cancel(); _, err := list(r, "", ""); return err })
	if !errors.Is(err, context.Canceled) {
		t.Error("scan, cancelled:", err)
	}
	want(t, all(t, s), "a=1")
}

func ended(t *testing.T, s kv.Store) {
	put(t, s, "a", "1")
	var r kv.Reader
	var tx kv.Tx
	if err := s.View(t.Context(), func(v kv.Reader) error { r = v; return nil }); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(v kv.Tx) error { tx = v; tx.Set([]byte("b"), nil); return nil })
	for _, late := range []kv.Reader{r, tx} {
		if _, err := late.Get([]byte("a")); err == nil {
			t.Errorf("%T: read after its end", late)
		}
		if _, err := list(late, "", ""); err == nil {
			t.Errorf("%T: scanned after its end", late)
		}
	}
	if err := tx.Lock([]byte("g"), kv.Shared); err == nil {
		t.Error("locked after its end")
	}
}

func closed(t *testing.T, s kv.Store) {
	started, finish := make(chan bool), make(chan bool)
	result := make(chan error)
	go func() {
		result <- s.Update(context.Background(), func(tx kv.Tx) error {
			close(started)
			<-finish
			tx.Set([]byte("a"), nil)
			return nil
		})
	}()
	<-started
	closing := make(chan error)
	go func() { closing <- s.Close() }()
	close(finish)
	errs := []error{<-result, <-closing}
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		t.Error(errs)
	}
	if err := s.Update(t.Context(), func(kv.Tx) error { return nil }); err == nil {
		t.Error("an update after Close")
	}
	if err := s.View(t.Context(), func(kv.Reader) error { return nil }); err == nil {
		t.Error("a view after Close")
	}
	if err := s.Close(); err == nil {
		t.Error("closed twice")
	}
}
