package server

import (
	"bytes"
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
