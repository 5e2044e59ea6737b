package kvtest

import (
	"testing"

	"watertight/internal/storage/kv"
)

// lock writes something and takes a guard.
func lock(name string, mode kv.Mode) func(kv.Tx) error {
	return func(tx kv.Tx) error {
		tx.Set([]byte("elsewhere"), nil)
		return tx.Lock([]byte(name), mode)
	}
}

// conflicts commits something else while a transaction runs for the first
// time, and counts how often it runs.
func conflicts(t *testing.T, s kv.Store) {
	scan := func(from, to string, limit int) func(kv.Tx) error {
		return func(tx kv.Tx) error {
			n := 0
			for _, err := range tx.Scan([]byte(from), []byte(to)) {
				if err != nil {
					return err
				}
				if n++; n == limit {
					break
				}
			}
			return nil
		}
	}
	read := func(key string) func(kv.Tx) error {
		return func(tx kv.Tx) error { _, err := tx.Get([]byte(key)); return err }
	}
	set := func(key string) func(kv.Tx) error {
		return func(tx kv.Tx) error { tx.Set([]byte(key), []byte("other")); return nil }
	}
	remove := func(key string) func(kv.Tx) error {
		return func(tx kv.Tx) error { tx.Delete([]byte(key)); return nil }
	}
	for _, c := range []struct {
		name       string
		mine, rest func(kv.Tx) error
		runs       int
	}{
		{"read, then written", read("b"), set("b"), 2},
		{"read, then deleted", read("b"), remove("b"), 2},
		{"absent, then written", read("bb"), set("bb"), 2},
		{"another key written", read("b"), set("c"), 1},
		{"phantom", scan("a", "z", 0), set("bb"), 2},
		{"phantom in an empty range", scan("x", "z", 0), set("y"), 2},
		{"deleted in the range", scan("a", "z", 0), remove("c"), 2},
		{"before the range", scan("b", "z", 0), set("a"), 1},
		{"at the end of the range", scan("a", "c", 0), set("c"), 1},
		{"beyond what was visited", scan("a", "z", 2), set("bb"), 1},
		{"the last one visited", scan("a", "z", 2), set("b"), 2},
		{"before the last one visited", scan("a", "z", 2), set("aa"), 2},
		{"a blind write", set("b"), set("b"), 1},
		{"shared guards", lock("g", kv.Shared), lock("g", kv.Shared), 1},
		{"shared, then exclusive", lock("g", kv.Shared), lock("g", kv.Exclusive), 2},
		{"exclusive twice", lock("g", kv.Exclusive), lock("g", kv.Exclusive), 2},
		{"other guards", lock("g", kv.Exclusive), lock("h", kv.Exclusive), 1},
	} {
		put(t, s, "a", "1", "b", "2", "c", "3")
		update(t, s, func(tx kv.Tx) error { tx.Delete([]byte("bb")); return nil })
		runs := 0
		update(t, s, func(tx kv.Tx) error {
			runs++
			if err := c.mine(tx); err != nil {
				return err
			}
			if runs == 1 {
				update(t, s, c.rest)
			}
			tx.Set([]byte("mine"), nil)
			return nil
		})
		if runs != c.runs {
			t.Errorf("%s: ran %d times", c.name, runs)
		}
	}
}

// writeSkew runs two transactions that each read what the other writes.
func writeSkew(t *testing.T, s kv.Store) {
	put(t, s, "alice", "on call", "bob", "on call")
	leave := func(who, other string, between func()) func(kv.Tx) error {
		return func(tx kv.Tx) error {
			v, err := tx.Get([]byte(other))
			if err != nil {
				return err
			}
			between()
			if string(v) == "on call" {
				tx.Set([]byte(who), []byte("off"))
			}
			return nil
		}
	}
	first := true
	update(t, s, leave("alice", "bob", func() {
		if first {
			first = false
			update(t, s, leave("bob", "alice", func() {}))
		}
	}))
	want(t, all(t, s), "alice=on call bob=off")
}
