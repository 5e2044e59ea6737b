package payload

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
)

// blobs writes n of them and settles them.
func blobs(t *testing.T, s *Store, n int) (names []string, all []Location) {
	t.Helper()
	for range n {
		at, _, err := s.Write(t.Context(), authz.Grant{}, Source{
			Body: bytes.NewReader(random(InlineMax + 1)), Size: InlineMax + 1, Binding: []byte("b"),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Settle(at)
		names, all = append(names, at.Blob), append(all, at)
	}
	return names, all
}

// pointedAt returns a function that says that these blobs have records.
func pointedAt(names ...string) Live {
	return func(_ context.Context, asked []string) ([]bool, error) {
		out := make([]bool, len(asked))
		for i, n := range asked {
			out[i] = slices.Contains(names, n)
		}
		return out, nil
	}
}

func TestSweep(t *testing.T) {
	s, dir := open(t)
	now := time.Now()
	names, all := blobs(t, s, 2)
	flying, _, err := s.Write(t.Context(), authz.Grant{}, Source{
		Body: bytes.NewReader(random(InlineMax + 1)), Size: InlineMax + 1, Binding: []byte("b"),
	})
	if err != nil {
		t.Fatal(err)
	}
	live := pointedAt(names[0])
	sweep := func(now time.Time, want Swept) {
		t.Helper()
		got, err := s.Sweep(t.Context(), now, live)
		if err != nil || got != want {
			t.Errorf("swept %+v, want %+v, %v", got, want, err)
		}
	}
	sweep(now, Swept{SetAside: 1})
	if len(files(t, dir)) != 3 {
		t.Error("a blob was removed at once")
	}
	sweep(now.Add(Grace-time.Minute), Swept{})
	// Once the record exists again, a sweep or a read puts the blob back.
	live = pointedAt(names...)
	sweep(now.Add(2*Grace), Swept{PutBack: 1})
	live = pointedAt(names[0])
	sweep(now, Swept{SetAside: 1})
	if _, err := readAll(t, s, all[1], 0, all[1].Size); err != nil {
		t.Error("an orphan that has a record after all:", err)
	}
	sweep(now, Swept{SetAside: 1})
	sweep(now.Add(Grace), Swept{Removed: 1})
	if left := files(t, dir); len(left) != 2 {
		t.Errorf("%d files are left", len(left))
	}
	if _, err := s.get(all[1], keys.Choice{}, nil, "b"); !errors.Is(err, ErrGone) {
		t.Errorf("the orphan: %v", err)
	}
	s.Settle(flying)
	no := func(context.Context, []string) ([]bool, error) { return nil, errors.New("no answer") }
	if _, err := s.Sweep(t.Context(), now.Add(9*Grace), no); err == nil || len(files(t, dir)) != 2 {
		t.Error("the sweep ran without knowing the records")
	}
}

// TestSweepOfAStrangeStore: with metadata that knows none of the blobs, none is ever erased. With the
// right metadata again, all are found.
func TestSweepOfAStrangeStore(t *testing.T) {
	s, dir := open(t)
	names, all := blobs(t, s, fewOrphans+1)
	now := time.Now()
	for i := range 5 {
		w, err := s.Sweep(t.Context(), now.Add(time.Duration(i)*Grace), pointedAt())
		if err != nil || w.Removed != 0 || i > 0 && w.Kept != len(names) {
			t.Fatalf("%+v, %v", w, err)
		}
	}
	if n := len(files(t, dir)); n != len(names) {
		t.Fatalf("%d of %d are left", n, len(names))
	}
	for _, at := range all[:len(all)/2] {
		if _, err := readAll(t, s, at, 0, at.Size); err != nil {
			t.Error(err)
		}
	}
	if w, err := s.Sweep(t.Context(), now.Add(9*Grace), pointedAt(names...)); err != nil || w.Removed != 0 ||
		w.PutBack != len(all)-len(all)/2 {
		t.Errorf("%+v, %v", w, err)
	}
}
