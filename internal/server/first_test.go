package server_test

import (
	"os"
	"path/filepath"
	"testing"

	"watertight/internal/server"
)

// TestKeyIsShown: however often a first start is cut off, the account's key is
// shown in the end, and not again once it was.
func TestKeyIsShown(t *testing.T) {
	dir := t.TempDir()
	c := server.Config{Data: filepath.Join(dir, "data"), Listen: []string{"127.0.0.1:0"}, Region: "us-east-1", RootKey: "file:" + filepath.Join(dir, "root.key")}
	start := func(shown bool) server.FirstStart {
		t.Helper()
		s, err := server.Build(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		f := s.First()
		if shown {
			if err := s.Shown(); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		return f
	}
	// The first one ends with a store and no account: a file is where the
	// blobs should be.
	blocked := filepath.Join(c.Data, "blobs")
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := server.Build(t.Context(), c); err == nil {
		s.Close(t.Context())
		t.Fatal("the first start was not cut off")
	}
	if _, err := os.Stat(filepath.Join(c.Data, "meta")); err != nil {
		t.Fatalf("the first start made no store: %v", err)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	second := start(false) // made the account, and nobody saw its key
	third := start(true)
	if !third.Created || third.SecretAccessKey == "" || third.AccountID != second.AccountID {
		t.Errorf("after a start whose key nobody saw: created %v, account %s, was %s", third.Created, third.AccountID, second.AccountID)
	}
	if third.AccessKeyID == second.AccessKeyID {
		t.Error("the key that nobody saw still works")
	}
	if f := start(false); f.Created || f.SecretAccessKey != "" {
		t.Error("the key is shown again")
	}
}
