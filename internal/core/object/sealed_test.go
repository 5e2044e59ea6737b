package object

import (
	"errors"
	"strings"
	"testing"
	"time"

	"watertight/internal/core/change/record"
	"watertight/internal/core/keys"
	"watertight/internal/storage/kv"
)

// TestSealed: the bytes of every blob that a version has are known, also of parts, of payloads
// that versions share, and under each kind of key.
func TestSealed(t *testing.T) {
	s := newScrubbing(t)
	time.Sleep(2 * time.Millisecond)
	to := time.Now()
	s.mustPut("large", "overwritten")
	s.mustPut("parts", "overwritten")
	if done, err := s.rollback(RollbackInput{To: to}); err != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	o := s.operator()
	var names []string
	err := s.store.View(t.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan([]byte(blobPrefix), record.After([]byte(blobPrefix))) {
			if err != nil {
				return err
			}
			names = append(names, strings.TrimPrefix(string(p.Key), blobPrefix))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := o.Sealed(t.Context(), append(names, "nobody's"))
	if err != nil || all[len(names)] != nil {
		t.Fatalf("%v, %v", all, err)
	}
	unknown, customers := 0, 0
	for i, c := range all[:len(names)] {
		if c == nil {
			unknown++
			continue
		}
		c.Read = func(int64) error { return nil }
		switch err := o.bytes.Verify(t.Context(), *c); {
		case errors.Is(err, keys.ErrCustomerKey):
			customers++
		case err != nil || c.At.Blob != names[i]:
			t.Errorf("%s: %+v, %v", names[i], c, err)
		}
	}
	if unknown != 1 || customers != 1 || len(names) != s.written {
		t.Errorf("of %d blobs %d are unknown, %d under a customer's key", len(names), unknown, customers)
	}
}
