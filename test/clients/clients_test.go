// Package clients drives the server with the programs people have. It must
// never know more of the server than its endpoint.
package clients

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"watertight/test/harness"
)

// client runs one program against one server, with nothing of this machine's
// environment.
type client struct {
	t    *testing.T
	s    *harness.Server
	home string
}

func start(t *testing.T, tool string) client {
	t.Helper()
	harness.NeedTool(t, tool)
	return client{t, harness.Start(t), t.TempDir()}
}

// run returns what a program printed; it must succeed.
func (c client) run(name string, args ...string) string {
	c.t.Helper()
	out, err := c.command(name, args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func (c client) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.t.Context(), name, args...)
	cmd.Dir, cmd.Env = c.home, c.s.Environment(c.home)
	return cmd
}

// file writes n random bytes.
func (c client) file(name string, n int) []byte {
	c.t.Helper()
	b := make([]byte, n)
	rand.Read(b)
	if err := os.WriteFile(filepath.Join(c.home, name), b, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c client) same(name string, want []byte) {
	c.t.Helper()
	got, err := os.ReadFile(filepath.Join(c.home, name))
	if err != nil || string(got) != string(want) {
		c.t.Errorf("%s: %d bytes of %d are not the same, %v", name, len(got), len(want), err)
	}
}

// large is more than every client here sends in one piece, in bytes.
const large = 20 << 20

// TestAWSCLI is a session of the aws CLI's high-level commands.
func TestAWSCLI(t *testing.T) {
	c := start(t, "aws")
	big, small := c.file("big", large), c.file("small", 100)
	c.run("aws", "s3", "mb", "s3://cli")
	c.run("aws", "s3", "cp", "big", "s3://cli/dir/big")
	c.run("aws", "s3", "cp", "small", "s3://cli/a b/é+ü", "--metadata", "colour=blue")
	if out := c.run("aws", "s3", "ls", "--recursive", "s3://cli"); strings.Count(out, "\n") != 2 || !strings.Contains(out, "a b/é+ü") {
		t.Errorf("%s", out)
	}
	c.run("aws", "s3", "cp", "s3://cli/dir/big", "s3://cli/dir/copy")
	c.run("aws", "s3", "mv", "s3://cli/a b/é+ü", "s3://cli/moved")
	c.run("aws", "s3", "sync", "s3://cli", "all")
	c.same("all/dir/big", big)
	c.same("all/dir/copy", big)
	c.same("all/moved", small)
	if out := c.run("aws", "s3", "sync", "all", "s3://cli", "--delete"); out != "" {
		t.Errorf("nothing changed, and yet: %s", out)
	}
	// Without a region of its own the CLI presigns with SigV2, which is refused.
	c.run("aws", "configure", "set", "default.s3.signature_version", "s3v4")
	url := strings.TrimSpace(c.run("aws", "s3", "presign", "s3://cli/moved"))
	if out := c.run("curl", "-sf", url); out != string(small) {
		t.Errorf("the presigned URL gives %d bytes", len(out))
	}
	c.run("aws", "s3", "rb", "s3://cli", "--force")
}

// TestBoto3 runs testdata/boto3_session.py.
func TestBoto3(t *testing.T) {
	c := start(t, "python3")
	if err := c.command("python3", "-c", "import boto3").Run(); err != nil {
		if os.Getenv("WATERTIGHT_REQUIRE_TOOLS") != "" {
			t.Fatal("boto3 is not installed")
		}
		t.Skip("boto3 is not installed; make tools installs it")
	}
	script, err := filepath.Abs(filepath.Join("testdata", "boto3_session.py"))
	if err != nil {
		t.Fatal(err)
	}
	if out := c.run("python3", script); !strings.HasSuffix(out, "done\n") {
		t.Errorf("%s", out)
	}
}
