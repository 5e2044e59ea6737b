package kvtest

import (
	"testing"

	"watertight/internal/storage/kv"
)

// unchanged tests that kv.Unchanged is never true for another value than the one that a View
// finds, whatever the store caches.
func unchanged(t *testing.T, s kv.Store) {
	put(t, s, "a", "1", "b", "2", "empty", "")
	knows := func(pairs ...string) bool {
		t.Helper()
		var records []*kv.Copy
		for i := 0; i < len(pairs); i += 2 {
			for range 3 {
				get(t, s, pairs[i]) // so that the store caches it
			}
			records = append(records, &kv.Copy{Key: []byte(pairs[i]), Value: []byte(pairs[i+1])})
		}
		return kv.Unchanged(t.Context(), s, records)
	}
	knows("a", "1", "b", "2", "empty", "") // may be true or false
	never := func(pairs ...string) {
		t.Helper()
		if knows(pairs...) {
			t.Errorf("%q is reported as unchanged", pairs)
		}
	}
	never("a", "2")
	never("a", "1", "b", "3")
	never("empty", "1")
	never("absent", "")
	put(t, s, "b", "3")
	never("a", "1", "b", "2")
	update(t, s, func(tx kv.Tx) error {
		tx.Delete([]byte("a"))
		tx.Set([]byte("b"), []byte("4"))
		inside := kv.Through(t.Context(), tx)
		if kv.Unchanged(inside, s, []*kv.Copy{{Key: []byte("b"), Value: []byte("3")}}) {
			t.Error("a transaction's own write is not seen")
		}
		return nil
	})
	never("a", "1")
	never("b", "3")

	// One copy is compared again and again, while its record and others are written.
	c := &kv.Copy{Key: []byte("b"), Value: []byte("4")}
	gone := &kv.Copy{Key: []byte("a")}
	for i := range 40 {
		value := []string{"4", "4", "5", ""}[i%4]
		put(t, s, "b", value, "other", value)
		if i%8 < 4 {
			put(t, s, "a", "1")
		} else {
			update(t, s, func(tx kv.Tx) error { tx.Delete([]byte("a")); return nil })
		}
		for range 3 {
			get(t, s, "b")
			get(t, s, "a")
			if kv.Unchanged(t.Context(), s, []*kv.Copy{c}) && value != "4" {
				t.Errorf("round %d: %q is reported as unchanged", i, value)
			}
			if kv.Unchanged(t.Context(), s, []*kv.Copy{gone}) && i%8 < 4 {
				t.Errorf("round %d: a record is reported as absent", i)
			}
		}
	}
}
