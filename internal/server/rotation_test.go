package server

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/storage/rootkey"
)

// TestSourceIsWatched: the log says once that the source of the root key is lost, and
// once that it is back.
func TestSourceIsWatched(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "root.key")
	k, err := rootkey.Open(t.Context(), "file:"+path, rootkey.Options{DataDir: dir, MayCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	s := &Server{rootKey: k, log: slog.New(slog.NewTextHandler(&said, nil))}
	look := func(lost bool, lines int) {
		t.Helper()
		for range 2 {
			s.checkSource(t.Context())
		}
		if s.sourceLost.Load() != lost || strings.Count(said.String(), "\n") != lines {
			t.Errorf("lost %v, want %v; the log:\n%s", s.sourceLost.Load(), lost, said.String())
		}
	}
	look(false, 0)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	look(true, 1)
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	look(false, 2)
}

// TestKeyringIsMended: a running server writes a lost keyring again, and the log and its health report it.
func TestKeyringIsMended(t *testing.T) {
	dir := t.TempDir()
	k, err := rootkey.Open(t.Context(), "file:"+filepath.Join(t.TempDir(), "root.key"), rootkey.Options{
		DataDir: dir, MayCreate: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	s := &Server{rootKey: k, log: slog.New(slog.NewTextHandler(&said, nil))}
	path := filepath.Join(dir, rootkey.KeyringFile)
	look := func(lost bool, want string) {
		t.Helper()
		said.Reset()
		s.mendKeyring()
		if s.ringLost.Load() != lost || (want == "") != (said.Len() == 0) ||
			!strings.Contains(said.String(), want) || want != "" && !strings.Contains(said.String(), path) {
			t.Errorf("lost %v, want %v; the log:\n%s", s.ringLost.Load(), lost, said.String())
		}
	}
	look(false, "")
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	look(false, "level=WARN")
	look(false, "")
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "in the way"), 0o700)); err != nil {
		t.Fatal(err)
	}
	look(true, "level=ERROR")
	look(true, "")
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	look(false, "level=WARN")
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, k.Text()) {
		t.Error("the keyring has changed:", err)
	}
}
