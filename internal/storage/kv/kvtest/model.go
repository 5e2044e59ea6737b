package kvtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/storage/kv"
)

// step is one operation of a generated transaction.
type step struct {
	kind    string
	key, to string
	limit   int
	value   string
}

func steps(t *rapid.T, label string) []step {
	key := rapid.StringMatching(`[a-f][a-c]?`)
	one := rapid.Custom(func(t *rapid.T) step {
		return step{
			kind:  rapid.SampledFrom([]string{"get", "get", "scan", "set", "set", "delete", "lock"}).Draw(t, "kind"),
			key:   key.Draw(t, "key"),
			to:    rapid.OneOf(key, rapid.Just("")).Draw(t, "to"),
			limit: rapid.IntRange(0, 4).Draw(t, "limit"),
			value: rapid.StringN(0, 8, 16).Draw(t, "value"),
		}
	})
	return rapid.SliceOfN(one, 1, 8).Draw(t, label)
}

// run executes the steps in tx and returns what it saw.
func run(tx kv.Tx, todo []step) ([]string, error) {
	var saw []string
	for _, st := range todo {
		switch st.kind {
		case "get":
			v, err := tx.Get([]byte(st.key))
			if err != nil {
				return nil, err
			}
			saw = append(saw, fmt.Sprintf("%q %v", v, v == nil))
		case "scan":
			var to []byte
			if st.to != "" {
				to = []byte(st.to)
			}
			var list []string
			for p, err := range tx.Scan([]byte(st.key), to) {
				if err != nil {
					return nil, err
				}
				list = append(list, fmt.Sprintf("%q %q", p.Key, p.Value))
				if len(list) == st.limit {
					break
				}
			}
			saw = append(saw, strings.Join(list, ","))
		case "set":
			tx.Set([]byte(st.key), []byte(st.value))
		case "delete":
			tx.Delete([]byte(st.key))
		case "lock":
			if err := tx.Lock([]byte(st.key), kv.Mode(st.limit%2)); err != nil {
				return nil, err
			}
		}
	}
	return saw, nil
}

// expect executes the steps on a map.
func expect(m map[string]string, todo []step) []string {
	var saw []string
	for _, st := range todo {
		switch st.kind {
		case "get":
			v, ok := m[st.key]
			saw = append(saw, fmt.Sprintf("%q %v", v, !ok))
		case "scan":
			var list []string
			for _, k := range slices.Sorted(maps.Keys(m)) {
				if k < st.key || st.to != "" && k >= st.to {
					continue
				}
				list = append(list, fmt.Sprintf("%q %q", k, m[k]))
				if len(list) == st.limit {
					break
				}
			}
			saw = append(saw, strings.Join(list, ","))
		case "set":
			m[st.key] = st.value
		case "delete":
			delete(m, st.key)
		}
	}
	return saw
}

// reset empties the store between the cases of a property.
func reset(t *rapid.T, s kv.Store) {
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for p, err := range tx.Scan(nil, nil) {
			if err != nil {
				return err
			}
			tx.Delete(p.Key)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// model compares transactions, one after the other, with a map.
func model(t *testing.T, s kv.Store) {
	rapid.Check(t, func(t *rapid.T) {
		reset(t, s)
		m := map[string]string{}
		for i := range rapid.IntRange(1, 8).Draw(t, "transactions") {
			todo := steps(t, fmt.Sprint("transaction ", i))
			abort := rapid.IntRange(0, 3).Draw(t, "abort") == 0
			var got []string
			err := s.Update(t.Context(), func(tx kv.Tx) (err error) {
				if got, err = run(tx, todo); err == nil && abort {
					err = errAbort{}
				}
				return err
			})
			if abort != (err != nil) {
				t.Fatal(err)
			}
			state := m
			if abort {
				state = maps.Clone(m)
			}
			if want := expect(state, todo); !slices.Equal(got, want) {
				t.Fatalf("saw  %q\nwant %q", got, want)
			}
		}
		compare(t, s, m)
	})
}

type errAbort struct{}

func (errAbort) Error() string { return "aborted on purpose" }

func compare(t *rapid.T, s kv.Store, m map[string]string) {
	got := map[string]string{}
	err := s.View(t.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan(nil, []byte("~")) {
			if err != nil {
				return err
			}
			got[string(p.Key)] = string(p.Value)
		}
		return nil
	})
	if err != nil || !maps.Equal(got, m) {
		t.Fatalf("%v\nstore %q\nmodel %q", err, got, m)
	}
}

// serializable runs transactions at the same time and replays them in the
// order of their commit numbers: each must have seen what the replay sees.
func serializable(t *testing.T, s kv.Store) {
	rapid.Check(t, func(t *rapid.T) {
		reset(t, s)
		type outcome struct {
			id     int
			todo   []step
			saw    []string
			commit uint64
			err    error
		}
		const perWriter = 4
		writers := rapid.IntRange(2, 6).Draw(t, "writers")
		done := make([]outcome, writers*perWriter)
		for i := range done {
			done[i].id = i
			done[i].todo = steps(t, fmt.Sprint("transaction ", i))
		}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range perWriter {
					o := &done[w*perWriter+i]
					o.err = s.Update(t.Context(), func(tx kv.Tx) (err error) {
						o.saw, err = run(tx, o.todo)
						tx.Set(marker(w*perWriter+i), nil)
						return err
					})
				}
			})
		}
		wg.Wait()
		err := s.View(t.Context(), func(r kv.Reader) error {
			i := 0
			for p, err := range r.Scan(marker(0), nil) {
				if err != nil {
					return err
				}
				done[i].commit = p.Commit
				i++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(done, func(a, b outcome) int { return cmp.Compare(a.commit, b.commit) })
		m := map[string]string{}
		for _, o := range done {
			if want := expect(m, o.todo); o.err != nil || o.commit == 0 || !slices.Equal(o.saw, want) {
				t.Fatalf("commit %d, error %v\nsteps %+v\nsaw  %q\nwant %q", o.commit, o.err, o.todo, o.saw, want)
			}
			m[string(marker(o.id))] = ""
		}
		maps.DeleteFunc(m, func(k, _ string) bool { return k >= "~" })
		compare(t, s, m)
	})
}

// marker returns the key whose record shows a transaction's commit number.
func marker(i int) []byte { return fmt.Appendf(nil, "~%04d", i) }
