package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// TestAccounts makes an account through the operator's socket, uses it, and
// replaces its root key.
func TestAccounts(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long-", 30))
	for name, change := range map[string]func(*server.Config){
		"plain":       func(*server.Config) {},
		"a long path": func(c *server.Config) { c.Data = long },
	} {
		t.Run(name, func(t *testing.T) {
			s := harness.Start(t, change)
			command := func(want int, args ...string) string {
				t.Helper()
				var out, errs bytes.Buffer
				if code := run(process{t.Context(), &out, &errs, func(string) string { return "" }},
					append(args, "--data", s.Data)); code != want {
					t.Fatalf("%q exits with %d: %s", args, code, &errs)
				}
				return out.String() + errs.String()
			}
			works := func(a operator.NewAccount) bool {
				_, err := harness.Client(s.Endpoint, harness.Credentials{
					AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey,
				}).ListBuckets(t.Context(), &s3.ListBucketsInput{})
				return err == nil
			}
			var made, reset operator.NewAccount
			if err := json.Unmarshal([]byte(command(exitOK, "account", "create", "--name", "second")),
				&made); err != nil || made.Name != "second" || len(made.AccountID) != 12 {
				t.Fatalf("%+v, %v", made, err)
			}
			if !works(made) {
				t.Error("the new account's key does not work")
			}
			var all []operator.Account
			if err := json.Unmarshal([]byte(command(exitOK, "account", "list", "--json")),
				&all); err != nil || len(all) != 2 {
				t.Errorf("%+v, %v", all, err)
			}
			if table := command(exitOK, "account", "list"); strings.Count(table, "\n") != 3 ||
				!strings.Contains(table, made.AccountID) {
				t.Errorf("%s", table)
			}
			if err := json.Unmarshal([]byte(command(exitOK, "account", "reset-root", "--account", made.AccountID)),
				&reset); err != nil {
				t.Fatal(err)
			}
			if works(made) || !works(reset) {
				t.Errorf("after the reset the old key works: %v, the new one: %v", works(made), works(reset))
			}
			if said := command(exitFailure, "account", "reset-root", "--account",
				"000000000000"); !strings.Contains(said, "no account 000000000000") {
				t.Errorf("%s", said)
			}
			if said := command(exitFailure, "account", "create", "--name",
				"a\x01b"); !strings.Contains(said, "printable") {
				t.Errorf("%s", said)
			}
			s.Stop()
			if said := command(exitFailure, "account", "list"); !strings.Contains(said, "no server answers") {
				t.Errorf("%s", said)
			}
		})
	}
}

// TestSocketIsPrivate: only the owner may connect to the operator's socket.
func TestSocketIsPrivate(t *testing.T) {
	s := harness.Start(t)
	info, err := os.Stat(filepath.Join(s.Data, "operator.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
