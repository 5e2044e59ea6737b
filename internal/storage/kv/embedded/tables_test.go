package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// tablesOf opens a store on disk whose records are in tables. With enough false it opens the store for
// reading only, so that no compaction replaces the files.
func tablesOf(t *testing.T, enough bool) (s kv.Store, files []string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "meta")
	o := Options{Dir: dir, Root: seal.RingOf(seal.NewKey()), Create: true}
	for range 3 { // each start writes the log into a table
		var err error
		if s, err = OpenPebble(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		fill(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	o.Enough = func(int64) bool { return enough }
	s, err := OpenPebble(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	files, err = filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return s, files
}

func fill(t *testing.T, s kv.Store) {
	t.Helper()
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for n := range 200 {
			tx.Set(fmt.Appendf(nil, "k%d", n), bytes.Repeat([]byte("value"), 100))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// badTables returns the files that VerifyTables reports, and checks that it reads none twice.
func badTables(t *testing.T, s kv.Store) (bad []string, size int64) {
	t.Helper()
	err := s.(kv.Verified).VerifyTables(t.Context(), func(n int64) error { size += n; return nil },
		func(file string, why error) error {
			if why == nil || slices.Contains(bad, file) {
				t.Errorf("%s: %v", file, why)
			}
			bad = append(bad, file)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return bad, size
}

// TestVerifyTables: damage on the disk is found although the store's cache has the right blocks.
func TestVerifyTables(t *testing.T) {
	flip := func(at func(size int) int) func(t *testing.T, path string, b []byte) {
		return func(t *testing.T, path string, b []byte) {
			b[at(len(b))] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, path string, b []byte)
	}{
		{"the first byte", flip(func(int) int { return 0 })},
		{"a value", flip(func(n int) int { return n / 3 })},
		{"the last byte", flip(func(n int) int { return n - 1 })},
		{"cut", func(t *testing.T, path string, b []byte) {
			if err := os.Truncate(path, int64(len(b)/2)); err != nil {
				t.Fatal(err)
			}
		}},
		{"empty", func(t *testing.T, path string, _ []byte) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		}},
		{"gone", func(t *testing.T, path string, _ []byte) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, files := tablesOf(t, false)
			if bad, size := badTables(t, s); len(bad) > 0 || size == 0 {
				t.Fatalf("%q of a store that is whole, %d bytes", bad, size)
			}
			for _, path := range files {
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				test.damage(t, path, b)
			}
			if bad, _ := badTables(t, s); len(bad) != len(files) {
				t.Errorf("%q of %q", bad, files)
			}
		})
	}
}

// TestVerifyTablesEnds: it ends with its context and with the first error of read and bad.
func TestVerifyTablesEnds(t *testing.T) {
	s, files := tablesOf(t, false)
	enough := errors.New("enough")
	read, bad := func(int64) error { return nil }, func(string, error) error { return enough }
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.(kv.Verified).VerifyTables(ended, read, bad); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	n := 0
	stop := func(int64) error {
		if n++; n > 3 {
			return enough
		}
		return nil
	}
	called := func(f string, why error) error { t.Error(f, why); return nil }
	if err := s.(kv.Verified).VerifyTables(t.Context(), stop, called); !errors.Is(err, enough) {
		t.Error(err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.(kv.Verified).VerifyTables(t.Context(), read, bad); !errors.Is(err, enough) {
		t.Error(err)
	}
}

// TestVerifyTablesBesideErasing: files that the engine replaces meanwhile are not reported.
func TestVerifyTablesBesideErasing(t *testing.T) {
	s, _ := tablesOf(t, true)
	done := make(chan error, 1)
	go func() {
		var err error
		for n := 0; n < 20 && err == nil; n++ {
			err = errors.Join(s.Update(t.Context(), func(tx kv.Tx) error {
				tx.Set([]byte("k1"), fmt.Append(nil, n))
				return nil
			}), s.(kv.Erasing).Erase(t.Context(), []byte("k"), []byte("l")))
		}
		done <- err
	}()
	for {
		if bad, _ := badTables(t, s); len(bad) > 0 {
			t.Errorf("%q are reported", bad)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}
