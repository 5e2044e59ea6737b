// Package conformance runs independent suites of tests, for S3 and for HTTP caches, against
// a server. It must never know more about the server than its endpoint.
package conformance

import (
	"bufio"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"watertight/internal/server"
	"watertight/test/harness"
)

var only = flag.String("only", "", "run the suite's tests that this regular expression finds")

// How long one test of the suite, and all of them, may take.
const (
	patience     = 2 * time.Minute
	flowPatience = 15 * time.Minute
)

// exception is why a test of the suite does not pass here.
type exception struct{ kind, reason string }

// kinds of exceptions. Tests of kind notRun are left out; every other one must
// fail, so that the list stays true.
var kinds = map[string]string{
	"admin": notRun, // calls the admin API of the gateway the suite was made for
	"aws":   "",     // recorded from AWS, or said by AWS's pages, otherwise
	words:   "",     // the right code with another message than the suite's
	"safer": "",     // AWS is silent, and this is the safer reading
	"later": "",     // a feature that is not built yet
	"racy":  notRun, // fails or passes with the clock, the load of the machine or by chance
}

const (
	notRun = "not run"
	words  = "words"
)

// TestS3 runs every test of the suite's full flow by its name, each with separate
// buckets.
func TestS3(t *testing.T) { run(t, "s3") }

// TestIAM and TestS3IAM are the suite's groups of IAM and STS, and of what users'
// policies allow of S3.
func TestIAM(t *testing.T)   { run(t, "iam") }
func TestS3IAM(t *testing.T) { run(t, "s3-iam") }

// TestS3Flow runs the suite's full flow at once, on one server: some of its tests
// can't be run by a name.
func TestS3Flow(t *testing.T) {
	need(t)
	want := regexp.MustCompile(*only)
	names := slices.DeleteFunc(readNames(t, "s3-flow"), func(name string) bool { return !want.MatchString(name) })
	if len(names) == 0 {
		t.Skip("-only finds none of its tests")
	}
	text, _ := suite(t, flowPatience, "full-flow", start(t)) // others of its tests fail, as TestS3 says
	for _, name := range names {
		if !strings.Contains(text, "PASS "+name+"\n") {
			t.Errorf("%s does not pass", name)
		}
	}
}

func need(t *testing.T) {
	t.Helper()
	if !harness.ToolsRequired() && *only == "" {
		t.Skip("takes minutes; make conformance runs it")
	}
	harness.NeedTool(t, "versitygw")
}

func run(t *testing.T, list string) {
	need(t)
	want := regexp.MustCompile(*only)
	exceptions := readExceptions(t, list)
	for _, name := range readNames(t, list) {
		e, excepted := exceptions[name]
		delete(exceptions, name)
		if !want.MatchString(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if kinds[e.kind] == notRun && excepted {
				t.Skip(e.reason)
			}
			t.Parallel()
			failure := one(t, name, start(t))
			switch {
			case excepted && failure == "":
				t.Errorf("passes, although it is listed as an exception: %s", e.reason)
			case !excepted && failure != "":
				t.Error(failure)
			case e.kind == words:
				s := start(t)
				s.Endpoint = translator(t, s.Endpoint)
				if failure := one(t, name, s); failure != "" {
					t.Errorf("fails by more than its words: %s", failure)
				}
			}
		})
	}
	for name := range exceptions {
		t.Errorf("%s is listed as an exception, and no test of the suite has that name", name)
	}
}

// suiteAccount is the account in the suite's ARNs.
const suiteAccount = "000000000000"

// start runs a server for a test of the suite.
func start(t *testing.T) *harness.Server {
	t.Helper()
	return harness.Start(t, func(c *server.Config) { c.Root.AccountID = suiteAccount })
}

// one runs a test of the suite and returns what failed.
func one(t *testing.T, name string, s *harness.Server) string {
	text, err := suite(t, patience, name, s)
	if err == nil && strings.Contains(text, "PASS") && !strings.Contains(text, "FAIL") {
		return ""
	}
	return text
}

// suite runs the tests that the suite has under a name, and returns their output.
func suite(t *testing.T, patience time.Duration, name string, s *harness.Server) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "versitygw", "test", "-a", s.AccessKeyID, "-s", s.SecretAccessKey, "-e", s.Endpoint,
		name, "-vs")
	home := t.TempDir()
	cmd.Dir, cmd.Env = home, s.Environment(home)
	out, err := cmd.CombinedOutput()
	return regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(string(out), ""), err
}

func lines(t *testing.T, file string, each func(line string)) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if line := strings.TrimSpace(s.Text()); line != "" && line[0] != '#' {
			each(line)
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}

func readNames(t *testing.T, list string) (names []string) {
	t.Helper()
	lines(t, list+".txt", func(line string) { names = append(names, line) })
	return names
}

// readExceptions reads lines of a kind, a name and a reason.
func readExceptions(t *testing.T, list string) map[string]exception {
	t.Helper()
	all := map[string]exception{}
	lines(t, list+"-exceptions.txt", func(line string) {
		f := strings.SplitN(line, " ", 3)
		if _, ok := kinds[f[0]]; !ok || len(f) != 3 || all[f[1]].kind != "" {
			t.Fatalf("not an exception, or a second one for the same test: %q", line)
		}
		all[f[1]] = exception{f[0], f[2]}
	})
	return all
}
