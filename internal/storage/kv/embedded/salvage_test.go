package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/storage/seal"
)

// salvagedFrom salvages the records in dir.
func salvagedFrom(t *testing.T, o Options, marks ...Mark) Salvaged {
	t.Helper()
	before := everything(t, o.Dir)
	s, err := Salvage(t.Context(), o, marks)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range everything(t, o.Dir) {
		if before[k] != v {
			t.Errorf("%s was changed", k)
		}
	}
	return s
}

func mark(t *testing.T, o Options) Mark {
	t.Helper()
	var m Mark
	o.Verified = func(f Found) error {
		m, _ = parseMarker(f.Marker, o.Root)
		return nil
	}
	if err := verified(t.Context(), o, located(t, o)); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSalvage: one damage of a table never loses more than the blocks that it touches, and recovered records
// are right.
func TestSalvage(t *testing.T) {
	o, want := used(t)
	m := mark(t, o)
	everyDamage(t, o, func(t *testing.T, o Options, file, damage string) {
		s := salvagedFrom(t, o, m)
		most := 0 // records that may be missing
		switch filepath.Ext(file) {
		case ".sst", ".log":
			most = 40 // a chunk of 4 KiB is part of two blocks of 8 KiB, or the log's last frame
			if damage == "removed" || strings.HasPrefix(damage, "cut") {
				most = len(want)
			}
		}
		missing := 0
		for k, v := range want {
			got, ok := s.Records[k]
			switch {
			case !ok:
				missing++
			case string(got) != v && most == 0:
				t.Errorf("%s is %.10q, want %.10q", k, got, v)
			case string(got) != v: // an older one, since the newer is damaged
				missing++
			}
		}
		if missing > most {
			t.Errorf("%d of %d records are missing; damage %v", missing, len(want), s.Damage)
		}
		for k := range s.Records {
			if _, ok := want[k]; !ok {
				t.Errorf("%q never existed", k)
			}
		}
	})
}

// TestSalvageOfManyDamages: with bits flipped everywhere, everything outside of the
// damaged blocks is recovered.
func TestSalvageOfManyDamages(t *testing.T) {
	o, want := used(t)
	m := mark(t, o)
	o.Dir = copied(t, o.Dir)
	if err := each(o.Dir, "[M0]*", func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		for at := int64(10 << 10); at < info.Size(); at += 40 << 10 {
			if err := flip(path, at); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s := salvagedFrom(t, o, m)
	if len(s.Damage) == 0 || len(s.Records) < len(want)/3 {
		t.Errorf("%d of %d records, damage %v", len(s.Records), len(want), s.Damage)
	}
	if _, err := Salvage(t.Context(), Options{Dir: o.Dir, Root: seal.RingOf(seal.NewKey())}, nil); err == nil {
		t.Error("another root key opens it")
	}
}
