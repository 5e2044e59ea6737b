package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/server"
	"watertight/test/harness"
)

// TestKeyringIsMissing: without the keyring and its copies, everything would seem to be damaged. Every
// command and the start say that the keyring is missing. With a copy from a backup, all data is back.
func TestKeyringIsMissing(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	put(t, s, "large", 200_000)
	dir := t.TempDir()
	must(t, "backup", filepath.Join(dir, "backups"), "--data", s.Data)
	s.Stop()
	for _, folder := range []string{"", "blobs", "audit"} {
		if err := os.Remove(filepath.Join(s.Data, folder, "keyring")); err != nil {
			t.Fatal(err)
		}
	}
	before := filesOf(t, s.Data)
	phrase := filepath.Join(dir, "phrase")
	if err := os.WriteFile(phrase, []byte("twelve characters and more"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{
		keySource(s), "file:" + filepath.Join(dir, "none"), "passphrase:file:" + phrase,
		"vault:http://127.0.0.1:1/transit/key",
	} {
		for _, command := range [][]string{
			{"check"}, {"recover", "--to", filepath.Join(dir, "to")}, {"scrub", "--offline"}, {"audit", "export"},
			{"audit", "accept-loss", "--reason", "test"},
		} {
			code, out, errs := ran(t, append(command, "--data", s.Data, "--root-key", source)...)
			if code != exitFailure || !strings.Contains(errs, "the keyring is missing") {
				t.Errorf("%s with %s: %d: %s%s", command, source, code, out, errs)
			}
		}
		start := func(c *server.Config) { c.Data, c.RootKey = s.Data, source }
		if _, err := harness.Try(t, start); err == nil || !strings.Contains(err.Error(), "the keyring is missing") {
			t.Errorf("a start with %s: %v", source, err)
		}
	}
	after := filesOf(t, s.Data)
	for name := range before {
		if string(before[name]) != string(after[name]) {
			t.Errorf("%s was changed", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("there are %d files, before %d", len(after), len(before))
	}
	text, err := os.ReadFile(filepath.Join(dir, "backups", "backups", "000001", "keyring"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Data, "keyring"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	r := harness.Start(t, func(c *server.Config) { c.Data, c.RootKey = s.Data, keySource(s) })
	if !strings.HasPrefix(get(t, r, "large"), "watertight ") {
		t.Error("the object can't be read with the keyring of the backup")
	}
}
