package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// wrappedIn returns every wrapped key that a marker holds.
func wrappedIn(marker []byte) [][]byte {
	return [][]byte{marker[len(markerMagic)+24+1:][:wrappedSize], marker[markerFixed : len(marker)-markerSum]}
}

// found returns the texts that a file under dir contains.
func found(t *testing.T, dir string, texts [][]byte) (in []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) { // the engine removed it
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			if bytes.Contains(b, text) {
				in = append(in, fmt.Sprintf("%d in %s", i, filepath.Base(path)))
			}
		}
	}
	return in
}

// TestRekey: afterwards only the new generation opens the store, and no file in its folder contains a key
// that the old one wrapped.
func TestRekey(t *testing.T) {
	root := seal.RingOf(seal.NewKey())
	o := Options{Dir: filepath.Join(t.TempDir(), "db"), Root: root, Create: true}
	put := func(s kv.Store, key, value string) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx kv.Tx) error {
			tx.Set([]byte(key), []byte(value))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	var s kv.Store
	for n := range 4 {
		var err error
		if s, err = OpenPebble(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		put(s, fmt.Sprint(n), "value")
		if n < 3 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := wrappedIn(s.(Marked).Marker())
	if len(found(t, o.Dir, before)) == 0 {
		t.Fatal("the test looks in the wrong place")
	}
	fresh := seal.Generation{Number: 2, Key: seal.NewKey()}
	root.Add(fresh)
	n, err := s.(Rekeyed).Rekey(t.Context())
	if err != nil || n != len(before) {
		t.Fatalf("%d of %d were wrapped anew, %v", n, len(before), err)
	}
	if n, err := s.(Rekeyed).Rekey(t.Context()); n != 0 || err != nil {
		t.Errorf("the second time %d, %v", n, err)
	}
	put(s, "after", "value")
	marker := s.(Marked).Marker()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if in := found(t, o.Dir, before); len(in) > 0 {
		t.Errorf("still there: %v", in)
	}
	o.Root = seal.NewRing(fresh)
	if _, ok := parseMarker(marker, o.Root); !ok {
		t.Error("the marker is not of the new generation")
	}
	if s, err = OpenPebble(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.View(t.Context(), func(r kv.Reader) error {
		for _, key := range []string{"0", "1", "2", "3", "after"} {
			if v, err := r.Get([]byte(key)); err != nil || string(v) != "value" {
				t.Errorf("%s: %q, %v", key, v, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestRekeyBeside: commits continue meanwhile, also in a store in memory.
func TestRekeyBeside(t *testing.T) {
	for name, bench := range benches() {
		t.Run(name, func(t *testing.T) {
			b := bench()
			s, err := open(t.Context(), Options{Root: b.id.root}, b.id, b.start)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			written := counting(t, s)
			for n := range uint32(5) {
				b.id.root.Add(seal.Generation{Number: n + 2, Key: seal.NewKey()})
				if _, err := s.Rekey(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := <-written; n != 400 {
				t.Errorf("%d commits", n)
			}
		})
	}
}

// counting commits 400 times beside the test and sends how many of them stand.
func counting(t *testing.T, s kv.Store) <-chan uint64 {
	out := make(chan uint64, 1)
	go func() {
		var n uint64
		for range 400 {
			if err := s.Update(t.Context(), func(tx kv.Tx) error {
				v, err := tx.Get([]byte("n"))
				if err != nil {
					return err
				}
				n = 1
				if v != nil {
					n = binary.BigEndian.Uint64(v) + 1
				}
				tx.Set([]byte("n"), binary.BigEndian.AppendUint64(nil, n))
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
		out <- n
	}()
	return out
}
