package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"watertight/internal/server"
	"watertight/test/harness"
)

// flipByte changes a byte of a file.
func flipByte(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_, rerr := f.ReadAt(b, at)
	b[0] ^= 1
	_, werr := f.WriteAt(b, at)
	if err := errors.Join(rerr, werr, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestScrubOfSegments: a damaged object in a segment goes into quarantine, is not served, and is
// back once a good copy is there.
func TestScrubOfSegments(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	put(t, s, "other", 100_000)
	put(t, s, "middle", 200_000)
	put(t, s, "third", 100_000)
	const begin = (2 + (100_000+32+64+4095)/4096) * 4096
	segment := filepath.Join(s.Data, "blobs", "segments", "00000001.seg")
	flipByte(t, segment, begin+64+70_000)
	code, out, _ := ran(t, "scrub", "--data", s.Data, "--rate", "0")
	if code != exitDamaged || !strings.Contains(out, "damaged: s3://photos/middle version null: from byte 65536 on") {
		t.Fatalf("%d: %s", code, out)
	}
	apart, err := filepath.Glob(filepath.Join(s.Data, "blobs", "quarantine", "s*"))
	if err != nil || len(apart) != 1 {
		t.Fatal(apart, err)
	}
	if text := get(t, s, "middle"); strings.HasPrefix(text, "watertight ") {
		t.Error("an object in quarantine is served")
	}
	for _, key := range []string{"other", "third"} {
		if text := get(t, s, key); !strings.HasPrefix(text, "watertight ") {
			t.Errorf("%s is not served: %.100s", key, text)
		}
	}
	if code, out, _ := ran(t, "scrub", "--data", s.Data, "--rate", "0"); code != exitDamaged {
		t.Errorf("again: %d: %s", code, out)
	}
	flipByte(t, apart[0], 70_000)
	if code, out, _ := ran(t, "scrub", "--data", s.Data, "--rate", "0"); code != exitOK {
		t.Errorf("with a good copy: %d: %s", code, out)
	}
	if text := get(t, s, "middle"); !strings.HasPrefix(text, "watertight ") {
		t.Errorf("it is not served: %.100s", text)
	}
	if _, err := os.Stat(apart[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy: %v", err)
	}
}

// TestCompactedAndRestored: objects that compaction has moved are served, by the server, after a
// start, and from a backup.
func TestCompactedAndRestored(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	const objects, size = 136, 1_000_000
	key := func(i int) string { return fmt.Sprintf("k%03d", i) }
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := n; i < objects; i += 4 {
				put(t, s, key(i), size)
				if i%8 != 0 {
					remove(t, s, key(i))
				}
			}
		})
	}
	wg.Wait()
	first := filepath.Join(s.Data, "blobs", "segments", "00000001.seg")
	put(t, s, "last", size)
	gone := false
	for end := time.Now().Add(2 * time.Minute); !gone && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		_, err := os.Stat(first)
		gone = errors.Is(err, fs.ErrNotExist)
	}
	if !gone {
		t.Fatalf("the first segment stays: %s", s.Logs.String())
	}
	served := func(s *harness.Server) {
		t.Helper()
		for i := 0; i < objects; i += 8 {
			if text := get(t, s, key(i)); !strings.HasPrefix(text, "watertight ") || len(text) < size {
				t.Errorf("%s is not served: %.100s", key(i), text)
			}
		}
	}
	served(s)
	must(t, "scrub", "--data", s.Data, "--rate", "0")
	dir := filepath.Join(t.TempDir(), "backups")
	must(t, "backup", dir, "--data", s.Data)
	data := filepath.Join(t.TempDir(), "data")
	must(t, "restore", dir, "--data", data, "--root-key", keySource(s))
	s.Stop()
	must(t, "check", "--data", s.Data, "--root-key", keySource(s), "--read-data")
	must(t, "check", "--data", data, "--root-key", keySource(s), "--read-data")
	to := filepath.Join(t.TempDir(), "recovered")
	must(t, "recover", "--data", s.Data, "--to", to, "--root-key", keySource(s))
	for _, d := range []string{s.Data, data, to} {
		r := harness.Start(t, func(c *server.Config) { c.Data, c.RootKey = d, keySource(s) })
		served(r)
		put(t, r, "new", 100_000)
		r.Stop()
	}
}
