package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// command runs watertight and returns what it printed.
func command(t *testing.T, dir string, args ...string) (out, errs string, err error) {
	t.Helper()
	var o, e strings.Builder
	cmd := exec.Command("watertight", args...)
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "WATERTIGHT_DATA=" + filepath.Join(dir, "data")}
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// TestRotateRootKey: the operator moves the root key to another file, and the old one is refused. A
// rotation that was interrupted by a kill continues at the next start.
func TestRotateRootKey(t *testing.T) {
	dir := t.TempDir()
	n := 0
	start := func(key string) started {
		t.Helper()
		n++
		log := filepath.Join(dir, "log"+string(rune('a'+n)))
		f, err := os.Create(log)
		if err != nil {
			t.Fatal(err)
		}
		said := func() string { return await(t, log, "msg=serving") }
		return begin(t, dir, f, said, "--root-key", "file:"+key)
	}
	newKey := filepath.Join(dir, "new.key")
	s := start(filepath.Join(dir, "root.key"))
	out, errs, err := command(t, dir, "rootkey", "rotate", "--to", "file:"+newKey)
	if err != nil || !strings.Contains(errs, "Start the server with it from now on") {
		t.Fatal(errs, err)
	}
	for _, want := range []string{
		"Source: file:" + newKey, "Rotation to generation 2: ended", "data keys of objects",
		"keys of the store's records",
		"Generation 1 stays for 1 files of the audit log",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if out, _, err := command(t, dir, "health"); err != nil || !strings.Contains(out, "root key source: yes") {
		t.Error(out, err)
	}
	stop := func(s started, sig os.Signal) {
		s.Process.Signal(sig)
		s.Wait()
	}
	stop(s, syscall.SIGTERM)
	if _, errs, err := command(t, dir, "serve", "--listen", "127.0.0.1:0", "--cdn-listen", "none", "--root-key",
		"file:"+filepath.Join(dir, "root.key")); err == nil || !strings.Contains(errs, "new.key") {
		t.Errorf("with the old key: %s %v", errs, err)
	}
	s = start(newKey)
	rotating := exec.Command("watertight", "rootkey", "rotate", "--data", filepath.Join(dir, "data"))
	if err := rotating.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(30 * time.Millisecond) // any duration will do
	stop(s, syscall.SIGKILL)
	rotating.Wait()
	start(newKey)
	if _, errs, err := command(t, dir, "rootkey", "rotate"); err != nil {
		t.Fatal(errs, err)
	}
	out, _, err = command(t, dir, "rootkey", "status", "--json")
	var k operator.RootKey
	if err != nil || json.Unmarshal([]byte(out), &k) != nil {
		t.Fatal(out, err)
	}
	if current := k.Generations[0]; k.Rotation.Ended.IsZero() || k.Rotation.Generation != current.Number ||
		!current.Current || current.Number < 3 || !k.Reachable || len(k.Locks) != 1 {
		t.Errorf("%+v", k)
	}
}

// TestStartMendsTheKeyring: a start replaces a damaged or missing copy of the keyring and names it in
// the log. It does not mention undamaged ones.
func TestStartMendsTheKeyring(t *testing.T) {
	data, key := filepath.Join(t.TempDir(), "data"), "file:"+filepath.Join(t.TempDir(), "root.key")
	for _, place := range []string{"", "keyring", "blobs/keyring", "audit/keyring"} {
		t.Run("harmed: "+place, func(t *testing.T) {
			path := filepath.Join(data, place)
			if place != "" {
				if err := os.Truncate(path, 50); err != nil {
					t.Fatal(err)
				}
			}
			var log bytes.Buffer
			s := harness.Start(t, func(c *server.Config) {
				c.Data, c.RootKey, c.Logger = data, key, slog.New(slog.NewTextHandler(&log, nil))
			})
			s.Stop()
			warned := strings.Count(log.String(), "level=WARN msg=\"the keyring")
			if place == "" && warned != 0 ||
				place != "" && (warned != 1 || !strings.Contains(log.String(), "file="+path)) {
				t.Errorf("the log:\n%s", log.String())
			}
		})
	}
}
