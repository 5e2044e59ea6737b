package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"watertight/internal/server"
)

// TestEachFlagIsDocumented: each flag of serve has an environment variable named
// after it, and a line in docs/FLAGS.md with its default. Each line there has a flag.
func TestEachFlagIsDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "FLAGS.md"))
	if err != nil {
		t.Fatal(err)
	}
	var c commands
	parser, err := kong.New(&c, kong.Vars{
		"passvar": "PASS", "data": "~/.local/share/watertight", "rootkey": "file:~/.config/watertight/root.key",
	})
	if err != nil {
		t.Fatal(err)
	}
	documented := 0
	for _, command := range parser.Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, f := range command.Flags {
			variable := "WATERTIGHT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
			if !reflect.DeepEqual(f.Envs, []string{variable}) {
				t.Errorf("--%s: its variables are %q, want %s", f.Name, f.Envs, variable)
			}
			_, rest, found := strings.Cut(string(page), "| `--"+f.Name)
			line, _, _ := strings.Cut(rest, "\n")
			if !found || !strings.Contains(line, "`"+variable+"`") {
				t.Errorf("docs/FLAGS.md has no line on --%s and %s", f.Name, variable)
			}
			if f.HasDefault && !f.IsBool() && !strings.Contains(line, "Default: `"+f.Default+"`") {
				t.Errorf("docs/FLAGS.md: the default of --%s is %s; the line is %s", f.Name, f.Default, line)
			}
			documented++
		}
	}
	if lines := strings.Count(string(page), "\n| `--"); documented < 10 || lines != documented {
		t.Errorf("serve has %d flags, and docs/FLAGS.md %d", documented, lines)
	}
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	occupied := filepath.Join(dir, "file")
	if err := os.WriteFile(occupied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	key := "--root-key=file:" + filepath.Join(dir, "root.key")
	for i, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--help"}, exitOK},
		{[]string{"serve", "--help"}, exitOK},
		{[]string{"version"}, exitOK},
		{nil, exitUsage},
		{[]string{"no-such-command"}, exitUsage},
		{[]string{"serve", "--no-such-flag"}, exitUsage},
		{[]string{"serve", "--max-connections=many"}, exitUsage},
		{[]string{"serve", "--trusted-proxy=nonsense", "--data=" + dir, key}, exitUsage},
		{[]string{"serve", "--data=" + occupied, key}, exitFailure},
		{[]string{"serve", "--listen=0.0.0.0:0", "--data=" + filepath.Join(dir, "data"), key}, exitFailure},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			var out, errs bytes.Buffer
			p := process{ctx: t.Context(), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }}
			if got := run(p, c.args); got != c.want {
				t.Errorf("%q: exit code %d, want %d; standard error: %s", c.args, got, c.want, errs.String())
			}
			if silent := errs.Len() == 0; silent != (c.want == exitOK) {
				t.Errorf("%q: standard error has %q", c.args, errs.String())
			}
			if c.want != exitOK && out.Len() > 0 {
				t.Errorf("%q: a failure writes to standard output: %s", c.args, out.String())
			}
		})
	}
}

// TestLoggerHidesSecrets: the value of an attribute with the name of a secret is hidden in both formats,
// also in groups. Other values are not.
func TestLoggerHidesSecrets(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			var b bytes.Buffer
			l := newLogger(&b, "info", format)
			for _, name := range []string{
				"secret", "password", "passphrase", "token", "signature", "authorization", "key",
			} {
				l.Info("x", name, "TELLTALE")
				l.Info("x", slog.Group("g", name, "TELLTALE"))
				l.With(name, "TELLTALE").WithGroup("h").Info("x", "address", "shown")
			}
			if strings.Contains(b.String(), "TELLTALE") {
				t.Errorf("%s: %s", format, b.String())
			}
			if !strings.Contains(b.String(), "shown") {
				t.Errorf("%s: everything is hidden", format)
			}
			b.Reset()
			newLogger(&b, "error", format).Info("quiet")
			if b.Len() != 0 {
				t.Errorf("%s: below the level: %s", format, b.String())
			}
		})
	}
}

// TestValuesOfTheEnvironment: if a variable was filled from a file, the trailing
// newline is not part of the credential.
func TestValuesOfTheEnvironment(t *testing.T) {
	env := map[string]string{
		"WATERTIGHT_ACCOUNT_ID": "123412341234\n", "WATERTIGHT_ROOT_ACCESS_KEY_ID": "AKIAGIVEN\r\n",
		"WATERTIGHT_ROOT_SECRET_ACCESS_KEY": " a secret\n",
	}
	s := serve{Data: "d", RootKey: "file:k"}
	c, err := s.config(process{ctx: t.Context(), getenv: func(name string) string { return env[name] }}, io.Discard)
	if want := (server.RootCredentials{
		AccountID: "123412341234", AccessKeyID: "AKIAGIVEN", SecretAccessKey: " a secret",
	}); err != nil || c.Root != want {
		t.Errorf("%+v, %v", c.Root, err)
	}
}
