package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/server"
	"watertight/test/harness"
)

// TestEdgeCommands: the operator enrolls an edge, whose credential only its owner can read, and
// removes it.
func TestEdgeCommands(t *testing.T) {
	o := console{t, harness.Start(t)}
	file := filepath.Join(t.TempDir(), "berlin.json")
	enroll := func(more ...string) []string {
		return append([]string{"edge", "enroll", "--account", o.account(), "--out", file}, more...)
	}
	o.run(exitUsage, enroll("--name", "berlin")...)
	o.run(exitFailure, enroll("--name", "berlin", "--distribution", "E0000000000000")...)
	if _, err := os.Stat(file); err == nil {
		t.Error("a refused edge leaves a file")
	}
	o.says(exitOK, "berlin is in "+file, enroll("--name", "berlin", "--all")...)
	o.run(exitFailure, enroll("--name", "paris", "--all")...) // the file exists
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	c, err := server.StoreOf("https://store.example", file)
	if err != nil || !strings.HasPrefix(c.Credential.AccessKeyID, "WTED") {
		t.Errorf("%v, %v", c, err)
	}
	o.says(exitOK, "berlin|"+c.Credential.AccessKeyID+"|all|not since the server started", "edge", "list")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run(process{t.Context(), &out, &out, os.Getenv}, []string{
		"edge", "--origin", "https://store.example", "--credential", file,
	}); code != exitFailure || !strings.Contains(out.String(), "can be read by others") {
		t.Errorf("it exits with %d: %s", code, &out)
	}
	o.says(exitOK, "the edge berlin is removed", "edge", "remove", "berlin")
	o.says(exitFailure, "There is no edge berlin", "edge", "remove", "berlin")
}
