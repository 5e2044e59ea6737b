package server_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

// starts returns a function that starts a server, which ends at once, on the same data directory each time,
// and returns the credentials that it showed.
func starts(t *testing.T, c server.Config) func(fail error) (server.FirstStart, error) {
	return func(fail error) (shown server.FirstStart, err error) {
		t.Helper()
		c.Show = func(s *server.Server) error {
			shown = s.First()
			return fail
		}
		s, err := server.Build(t.Context(), c)
		if err != nil {
			return shown, err
		}
		if s.First().SecretAccessKey != "" {
			t.Error("the secret is still in memory after it was printed")
		}
		return shown, s.Close(t.Context())
	}
}

func config(dir string) server.Config {
	return server.Config{
		Data: filepath.Join(dir, "data"), Listen: []string{"127.0.0.1:0"}, Region: "us-east-1",
		RootKey: "file:" + filepath.Join(dir, "root.key"),
	}
}

// TestKeyIsShownBeforeItLasts: however often a first start is interrupted, the key of the account that is
// stored in the end was printed, exactly once.
func TestKeyIsShownBeforeItLasts(t *testing.T) {
	c := config(t.TempDir())
	start := starts(t, c)
	// The first one ends with a store and no account: a file is where the
	// blobs should be.
	blocked := filepath.Join(c.Data, "blobs")
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if shown, err := start(nil); err == nil || shown.SecretAccessKey != "" {
		t.Fatalf("the first start was not interrupted: %v", err)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	nobody := errors.New("nobody reads it")
	if _, err := start(nobody); !errors.Is(err, nobody) {
		t.Fatalf("the key was not shown, and the start ends with %v", err)
	}
	made, err := start(nil)
	if err != nil || !made.Created || made.SecretAccessKey == "" {
		t.Fatalf("the first account: %+v, %v", made.Created, err)
	}
	again, err := start(nil)
	if err != nil || again.Created || again.SecretAccessKey != "" || again.AccountID != made.AccountID {
		t.Errorf("the next start shows %+v, %v", again, err)
	}
	if _, err := start(nobody); !errors.Is(err, nobody) {
		t.Errorf("a later start prints a key: %v", err)
	}
}

// TestFilesOfNoStoreChangeNoKey: no file next to the store, and no file that a refused start leaves, makes
// a start give the root user another key or print one.
func TestFilesOfNoStoreChangeNoKey(t *testing.T) {
	dir := t.TempDir()
	c := config(dir)
	start := starts(t, c)
	made, err := start(nil)
	if err != nil {
		t.Fatal(err)
	}
	works := func() {
		t.Helper()
		s := harness.Start(t, func(h *server.Config) {
			h.Data, h.RootKey, h.Root = c.Data, c.RootKey, server.RootCredentials{}
		})
		defer s.Stop()
		_, err := s.Client(harness.Credentials{AccessKeyID: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey}).
			ListBuckets(t.Context(), &s3.ListBucketsInput{})
		if err != nil {
			t.Errorf("the root user's key: %v", err)
		}
	}
	works()
	for _, name := range []string{"first-start", "first", "unshown", "reset-root", "reset", "init"} {
		if err := os.WriteFile(filepath.Join(c.Data, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if shown, err := start(nil); err != nil || shown.Created || shown.SecretAccessKey != "" {
		t.Errorf("with strange files the start shows %+v, %v", shown, err)
	}
	works()
	// Each folder is missing at one start, and is then put back.
	for _, name := range []string{"meta", "audit", "blobs"} {
		aside := filepath.Join(dir, name)
		if err := os.Rename(filepath.Join(c.Data, name), aside); err != nil {
			t.Fatal(err)
		}
		start(nil) // it may be refused or not
		if err := os.RemoveAll(filepath.Join(c.Data, name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(aside, filepath.Join(c.Data, name)); err != nil {
			t.Fatal(err)
		}
		if name == "meta" {
			works()
		}
	}
}

// TestRefusedFirstStartLeavesNoStore: invalid settings are reported before any file is made.
func TestRefusedFirstStartLeavesNoStore(t *testing.T) {
	for name, root := range map[string]server.RootCredentials{
		"a short secret":    {AccessKeyID: harness.AccessKeyID, SecretAccessKey: "short"},
		"half a pair":       {AccessKeyID: harness.AccessKeyID},
		"a strange account": {AccountID: "12"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t.TempDir())
			c.Root = root
			if _, err := starts(t, c)(nil); err == nil || strings.Contains(err.Error(), "short\"") {
				t.Errorf("%s: %v", name, err)
			}
			for _, path := range []string{filepath.Join(c.Data, "meta"), strings.TrimPrefix(c.RootKey, "file:")} {
				if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s: %s was made", name, path)
				}
			}
		})
	}
}

// TestSuppliedSecretStaysUnsaid: a secret that the operator supplied is not returned for printing.
func TestSuppliedSecretStaysUnsaid(t *testing.T) {
	for supplied, root := range map[bool]server.RootCredentials{
		true:  {AccessKeyID: harness.AccessKeyID, SecretAccessKey: harness.SecretAccessKey},
		false: {AccountID: "111122223333"},
	} {
		t.Run(fmt.Sprintf("supplied %v", supplied), func(t *testing.T) {
			c := config(t.TempDir())
			c.Root = root
			shown, err := starts(t, c)(nil)
			if err != nil || shown.Supplied != supplied || (shown.SecretAccessKey == "") != supplied {
				t.Errorf("supplied %v: supplied %v, %v", supplied, shown.Supplied, err)
			}
		})
	}
}

// TestDataOfOthers: a data directory that others may change is refused; one that a group of this process
// may change is accepted. The socket is always in the data directory, however long the path is.
func TestDataOfOthers(t *testing.T) {
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	c := config(filepath.Join(t.TempDir(), strings.Repeat("long-", 40)))
	start := starts(t, c)
	if _, err := start(nil); err != nil {
		t.Fatal(err)
	}
	for i, test := range []struct {
		path string
		mode os.FileMode
		fine bool
	}{
		{"", 0o777, false}, {"", os.ModeSticky | 0o777, false}, {"", 0o702, false}, {"", 0o755, true},
		{"", os.ModeSetgid | 0o770, true},
		{"blobs", 0o777, false}, {"meta", 0o777, false}, {"audit", 0o707, false}, {"meta", 0o770, true},
		{"lock", 0o666, false}, {"lock", 0o660, true},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			path := filepath.Join(c.Data, test.path)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := start(nil); (err == nil) != test.fine {
				t.Errorf("%s of mode %v: %v", test.path, test.mode, err)
			}
			os.Chmod(path, info.Mode())
		})
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("left in the shared folder: %v, %v", left, err)
	}
}
