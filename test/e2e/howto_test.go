package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"watertight/internal/server"
	"watertight/test/harness"
)

// TestHowTos runs every sh block of the README and of each page of docs/howto,
// in order, as a reader would type them. The lines of the text block below must be printed, in that
// order; "..." stands for anything.
func TestHowTos(t *testing.T) {
	harness.NeedTool(t, "aws")
	harness.NeedTool(t, "curl")
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "howto", "*.md"))
	if err != nil || len(pages) < 5 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	program := harness.Build(t)
	for _, page := range append(pages, filepath.Join("..", "..", "README.md")) {
		if filepath.Base(page) == "web-identity.md" {
			continue // TestNoLongLivedKeys runs it, with an issuer and a token
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			runPage(t, page, program)
		})
	}
}

// runPage runs a page's blocks against a fresh server.
func runPage(t *testing.T, page, program string) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var config server.Config
	s := harness.Start(t, func(c *server.Config) {
		c.CDN.Listen = "127.0.0.1:0"
		config = *c
	})
	home := t.TempDir()
	ran := 0
	for _, part := range parts(string(text)) {
		switch part.server {
		case "stopped":
			s.Stop()
		case "started":
			s = harness.Start(t, func(c *server.Config) { c.Data, c.RootKey = config.Data, config.RootKey })
		}
		environment := append(s.Environment(home),
			"PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"),
			"WATERTIGHT_DATA="+config.Data, "WATERTIGHT_ROOT_KEY="+config.RootKey)
		expectLines(t, runScript(t, part.script, home, environment), part.shown)
		ran++
	}
	if ran == 0 {
		t.Error("no block of this page is run")
	}
}

// part holds the blocks of a page that run in one shell, against one server.
type part struct {
	server        string // "stopped" or "started" if the server is, before the part; else empty
	script, shown string
}

// parts splits a page where the server is stopped or started. It omits blocks after
// <!-- not run: why -->.
func parts(page string) []part {
	fence := regexp.MustCompile("(?m)^(?:<!-- (.*?) -->\n)?```(sh|text)\n((?s).*?)^```$")
	all := []part{{}}
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		if strings.HasPrefix(m[1], "not run: ") {
			continue
		}
		if what, ok := strings.CutPrefix(m[1], "server: "); ok {
			all = append(all, part{server: what})
		}
		last := &all[len(all)-1]
		if m[2] == "sh" {
			last.script += m[3]
		} else {
			last.shown += m[3]
		}
	}
	return all
}

// expectLines checks that each line of shown was printed, in this order.
func expectLines(t *testing.T, printed, shown string) {
	t.Helper()
	rest := printed
	for line := range strings.Lines(shown) {
		line = strings.TrimSuffix(line, "\n")
		pieces := strings.Split(line, "...")
		for i := range pieces {
			pieces[i] = regexp.QuoteMeta(pieces[i])
		}
		at := regexp.MustCompile("(?m)" + strings.Join(pieces, ".*")).FindStringIndex(rest)
		if at == nil {
			t.Errorf("%q was not printed, or not at this point; the output is:\n%s", line, printed)
			return
		}
		rest = rest[at[1]:]
	}
}

// block returns the sh block with this name of a page of docs/howto.
func block(t *testing.T, page, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "howto", page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- block: "+name+" -->\n```sh\n")
	script, _, ok2 := strings.Cut(rest, "\n```")
	if !ok || !ok2 {
		t.Fatalf("%s has no block %q", page, name)
	}
	return script + "\n"
}

// runScript runs a script in a folder, as if a user typed it. What a script that fails left running is ended.
func runScript(t *testing.T, script, home string, environment []string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-o", "pipefail")
	cmd.Dir, cmd.Env = home, environment
	cmd.Stdin = strings.NewReader(endpointFor(t, environment) + script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 10 * time.Second // they have its output
	out, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// endpointFor makes an older aws CLI, as Debian 12 has it, use AWS_ENDPOINT_URL. It does not know the
// variable (new in 1.29 and 2.13) and would send its requests to AWS.
func endpointFor(t *testing.T, env []string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "aws", "--version")
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("aws --version: %v\n%s", err, out)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(out), "aws-cli/%d.%d", &major, &minor); err != nil {
		t.Fatalf("aws --version: %v\n%s", err, out)
	}
	if major == 1 && minor >= 29 || major == 2 && minor >= 13 || major > 2 {
		return ""
	}
	return "aws() { command aws --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"; }\n"
}

// TestNoLongLivedKeys runs docs/howto/web-identity.md: an administrator sets up
// a pipeline's role, and the pipeline has a token and no key.
func TestNoLongLivedKeys(t *testing.T) {
	harness.NeedTool(t, "aws")
	i := harness.StartIssuer(t, "token.actions.githubusercontent.com")
	s := harness.Start(t, i.Trusted)
	home := t.TempDir()
	setUp := block(t, "web-identity.md", "administrator") + "echo account=$account"
	out := runScript(t, setUp, home, append(s.Environment(home), "thumbprint="+i.Thumbprint))
	_, account, _ := strings.Cut(strings.TrimSpace(out), "account=")
	// pipeline runs with the token of a branch, and without the keys that a test's
	// environment has; the CLI keeps sessions in the home folder.
	pipeline := func(branch, before string) string {
		t.Helper()
		home := t.TempDir()
		text := i.Token("RS256",
			i.Claims(map[string]any{"aud": "sts.amazonaws.com", "sub": "repo:company/shop:ref:refs/heads/" + branch}))
		if err := os.WriteFile(filepath.Join(home, "token"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		bare := slices.DeleteFunc(s.Environment(home), func(v string) bool {
			return strings.HasPrefix(v, "AWS_ACCESS_KEY_ID=") || strings.HasPrefix(v, "AWS_SECRET_ACCESS_KEY=")
		})
		return runScript(t, before+block(t, "web-identity.md", "pipeline"), home, append(bare, "account="+account))
	}
	out = pipeline("main", "")
	for _, want := range []string{
		"arn:aws:sts::" + account + ":assumed-role/release/", "upload: ./release.txt to s3://releases/v1",
		"no reading\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the pipeline did not print %q; it printed:\n%s", want, out)
		}
	}
	if out := pipeline("somebody-elses", "set +e\n"); !strings.Contains(out, "InvalidIdentityToken") ||
		strings.Contains(out, "upload: ./release.txt to") {
		t.Errorf("another branch: %s", out)
	}
}
