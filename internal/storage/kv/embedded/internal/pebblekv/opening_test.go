package pebblekv

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// brokenFS fails to make or to write files.
type brokenFS struct {
	vfs.FS
	broken *atomic.Pointer[fault]
}

// fault names files by a part of their names.
type fault struct{ made, written string }

func (f brokenFS) refuses(name string) bool {
	part := f.broken.Load().made
	return part != "" && strings.Contains(f.PathBase(name), part)
}

func (f brokenFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if f.refuses(name) {
		return nil, unix.ENOSPC
	}
	file, err := f.FS.Create(name, c)
	if part := f.broken.Load().written; part != "" && strings.Contains(name, part) && err == nil {
		file = fullFile{file}
	}
	return file, err
}

type fullFile struct{ vfs.File }

func (fullFile) Write([]byte) (int, error) { return 0, unix.ENOSPC }
func (fullFile) Sync() error               { return unix.ENOSPC }

func (f brokenFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if f.refuses(to) {
		return nil, unix.ENOSPC
	}
	return f.FS.ReuseForWrite(from, to, c)
}

func (f brokenFS) Rename(from, to string) error {
	if f.refuses(to) {
		return unix.ENOSPC
	}
	return f.FS.Rename(from, to)
}

// TestOpeningFails: an opening that fails after the log was replayed returns the error, and does not end the process.
// Later, the engine opens with everything that was written.
func TestOpeningFails(t *testing.T) {
	for name, c := range map[string]struct {
		fault
		rounds int // before the log is replayed, an opening that fails takes a second
	}{
		"the new log":            {fault{made: ".log"}, 20},
		"the options":            {fault{made: ".dbtmp"}, 20},
		"their name":             {fault{made: "OPTIONS-"}, 20},
		"the bytes of options":   {fault{written: ".dbtmp"}, 20},
		"the bytes of a table":   {fault{written: ".sst"}, 1},
		"a table":                {fault{made: ".sst"}, 1},
		"the manifest":           {fault{made: "MANIFEST-"}, 1},
		"the manifest's marker":  {fault{made: "marker."}, 1},
		"the bytes of manifests": {fault{written: "MANIFEST-"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			files := brokenFS{vfs.NewMem(), new(atomic.Pointer[fault])}
			o := Options{Dir: "meta", FS: files, Logger: slog.New(slog.DiscardHandler), Failed: func(error) {}}
			for i := range c.rounds {
				files.broken.Store(&fault{})
				e, err := Open(o)
				if err != nil {
					t.Fatal(err)
				}
				b := e.Batch()
				copy(b.Set(fmt.Append(nil, "key", i), 5), "value")
				if err := errors.Join(b.Apply(), b.Wait()); err != nil {
					t.Fatal(err)
				}
				e.disk.fail(unix.ENOSPC)
				if err := e.Close(); !errors.Is(err, unix.ENOSPC) {
					t.Fatal(err)
				}
				files.broken.Store(&c.fault)
				if _, err := Open(o); err == nil {
					t.Fatal("it opened")
				}
			}
			files.broken.Store(&fault{})
			e, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			s := e.Snapshot()
			defer s.Close()
			for i := range c.rounds {
				v, done, err := s.Get(fmt.Append(nil, "key", i))
				if err != nil || string(v) != "value" {
					t.Fatalf("key %d: %q, %v", i, v, err)
				}
				done.Close()
			}
		})
	}
}
