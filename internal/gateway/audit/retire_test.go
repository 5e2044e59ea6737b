package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"watertight/internal/storage/folder"
)

// bounded logs n reads with limits, in files of a few events.
func bounded(t *testing.T, dir string, s *fakeStore, limits Limits, n int) {
	t.Helper()
	l, err := Open(Options{Dir: dir, Root: testRoot(), Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	l.journal.limit, l.journal.reserve = headerSize+3000, 64<<10
	w, err := l.begin(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		begin(l, "GetObject", fmt.Sprint(i)).Finish(Outcome{})
		if _, _, err := w.round(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if err := w.retire(t.Context(), time.Now()); err != nil {
			t.Log(err)
		}
	}
	if err := w.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestLimitsAreKept limits a log by bytes and by time, with and without an archive. An event names the
// removed files, the remaining log verifies, and with an archive no event is missing.
func TestLimitsAreKept(t *testing.T) {
	for name, limits := range map[string]Limits{
		"bytes":            {MaxBytes: 12_000},
		"bytes, archived":  {MaxBytes: 12_000, Archive: "yes"},
		"time, archived":   {Keep: time.Nanosecond, Archive: "yes"},
		"everything stays": {},
	} {
		t.Run(name, func(t *testing.T) {
			dir, s := t.TempDir(), newStore()
			if limits.Archive != "" {
				limits.Archive = filepath.Join(t.TempDir(), "archive")
			}
			const n = 40
			bounded(t, dir, s, limits, n)
			bounded(t, dir, s, limits, 1) // starts without the removed files
			files, err := list(folder.OS(), dir)
			if err != nil {
				t.Fatal(err)
			}
			size := int64(0)
			for _, f := range files {
				info, err := os.Stat(filepath.Join(dir, fileName(f)))
				if err != nil {
					t.Fatal(err)
				}
				size += info.Size()
			}
			kept, _ := readAll(t, dir)
			gone := 0
			for _, e := range kept {
				if e.EventName == "AuditFilesMissing" {
					t.Error("a start reports the removed files as missing")
				}
				if strings.HasPrefix(e.EventName, "AuditFile") {
					gone++
				}
			}
			switch {
			case limits == Limits{}:
				if files[0] != 1 || gone != 0 {
					t.Errorf("files from %d on, %d events of removals", files[0], gone)
				}
				return
			case files[0] == 1 || gone == 0:
				t.Fatalf("no file was removed: %d bytes", size)
			case limits.MaxBytes > 0 && size > limits.MaxBytes+4000:
				t.Errorf("%d bytes stay", size)
			}
			if limits.Archive == "" {
				return
			}
			archived, _ := readAll(t, limits.Archive)
			var got []string
			for _, e := range slices.Concat(archived, kept) {
				if e.RequestID != "" {
					got = append(got, e.RequestID)
				}
			}
			if len(got) != n+1 || got[0] != "0" || got[n-1] != fmt.Sprint(n-1) {
				t.Errorf("archive and log contain %v", got)
			}
		})
	}
}

// TestDamagedFileIsNotTakenAway: a file that cannot be verified or archived stays.
func TestDamagedFileIsNotTakenAway(t *testing.T) {
	for name, harm := range map[string]func(dir, archive string) error{
		"damaged": func(dir, _ string) error {
			path := filepath.Join(dir, fileName(1))
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b[len(b)-1] ^= 1
			return os.WriteFile(path, b, 0o600)
		},
		"another in the archive": func(dir, archive string) error {
			b, err := os.ReadFile(filepath.Join(dir, fileName(2)))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(archive, fileName(1)), b, 0o600)
		},
		"no archive": func(_, archive string) error {
			if err := os.Remove(archive); err != nil {
				return err
			}
			return os.WriteFile(archive, nil, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, archive, s := t.TempDir(), t.TempDir(), newStore()
			bounded(t, dir, s, Limits{}, 20)
			if err := harm(dir, archive); err != nil {
				t.Fatal(err)
			}
			bounded(t, dir, s, Limits{MaxBytes: 4000, Archive: archive}, 3)
			if _, err := os.Stat(filepath.Join(dir, fileName(1))); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}
