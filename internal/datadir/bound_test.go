package datadir_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watertight/internal/server"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/rootkey"
	"watertight/test/harness"
)

// copyPrivate copies a data directory on which no server is running.
func copyPrivate(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chmod(path, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// refused fails the test unless a server refuses the data directory, changes nothing in it,
// and says so in a sentence with these words.
func refused(t *testing.T, data, key string, words ...string) {
	t.Helper()
	before := everything(t, data)
	s, err := harness.Try(t, func(c *server.Config) { c.Data, c.RootKey = data, "file:"+key })
	if err == nil {
		s.Stop()
		t.Fatal("the data directory is served")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the refusal does not say %q: %v", w, err)
		}
	}
	if d := differences(before, everything(t, data)); len(d) > 0 {
		t.Errorf("a refused start changed %q", d)
	}
}

// TestMarkersWhileRunning: metadata and audit log of an earlier start are refused beside the
// blobs that a running server has marked since. Markers of different age, as a power failure
// leaves them, are accepted.
func TestMarkersWhileRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, key, old, crashed := filepath.Join(dir, "data"), filepath.Join(dir, "key"), filepath.Join(dir, "old"),
		filepath.Join(dir, "crashed")
	keep(t, data, key, putObjects(t, 0, 2))
	marker := filepath.Join("blobs", embedded.MarkerFile)
	copyPrivate(t, data, old)
	first, err := os.ReadFile(filepath.Join(data, "audit", embedded.MarkerFile))
	if err != nil {
		t.Fatal(err)
	}
	keep(t, data, key, func(s *harness.Server) {
		putObjects(t, 2, 4)(s)
		start, err := os.ReadFile(filepath.Join(data, marker))
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			now, err := os.ReadFile(filepath.Join(data, marker))
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("the marker is never written again: %v", err)
			}
			if !bytes.Equal(start, now) {
				break
			}
		}
		replace(t, data, old, "blobs")
	})
	refused(t, old, key, "commit", "Nothing was changed", "watertight check")
	// The marker beside the blobs is written first. A power failure comes before the other one.
	copyPrivate(t, data, crashed)
	if err := os.WriteFile(filepath.Join(crashed, "audit", embedded.MarkerFile), first, 0o600); err != nil {
		t.Fatal(err)
	}
	keep(t, crashed, key, getObjects(t, 4))
}

// TestOlderKeyring: a keyring from before another source took over is refused although the
// earlier source opens it, and everything else with it.
func TestOlderKeyring(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, key, other := filepath.Join(dir, "data"), filepath.Join(dir, "key"), filepath.Join(dir, "other")
	keep(t, data, key, putObjects(t, 0, 1))
	path := filepath.Join(data, "keyring")
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	k, err := rootkey.Open(t.Context(), "file:"+key, rootkey.Options{
		DataDir: data, Copies: []string{filepath.Join(data, "blobs"), filepath.Join(data, "audit")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Move(t.Context(), "file:"+other); err != nil {
		t.Fatal(err)
	}
	if err := k.Forget(); err != nil {
		t.Fatal(err)
	}
	newest, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, data, other, getObjects(t, 1))
	for _, dir := range []string{"", "blobs", "audit"} {
		if err := os.WriteFile(filepath.Join(data, dir, "keyring"), old, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, data, key, "older keyring", "Nothing was changed")
	if err := os.WriteFile(path, newest, 0o600); err != nil {
		t.Fatal(err)
	}
	keep(t, data, other, getObjects(t, 1))
}
