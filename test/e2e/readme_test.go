package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/test/harness"
)

// TestREADME runs the session out of the README as a new user would type it.
func TestREADME(t *testing.T) {
	harness.NeedTool(t, "aws")
	harness.NeedTool(t, "curl")
	out := runBlock(t, "session")
	for _, want := range []string{
		"make_bucket: backups", "upload: ./dump.sql to s3://backups/2026/dump.sql", "dump.sql\n",
		"download: s3://backups/2026/dump.sql to ./restored.sql", `"AES256"`, `"BlockPublicAcls": true`, `"RestrictPublicBuckets": true`,
		"403\n", "delete: s3://backups/2026/dump.sql", "remove_bucket: backups",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the session did not print %q; it printed:\n%s", want, out)
		}
	}
}

// runBlock runs a block of the README and returns what it printed.
func runBlock(t *testing.T, name string) string {
	t.Helper()
	s, home := harness.Start(t), t.TempDir()
	return runScript(t, block(t, name), home, s.Environment(home))
}

// block is a block of the README.
func block(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- "+name+": this block is run by a test -->\n```sh\n")
	script, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatalf("README.md has no block %q", name)
	}
	return script
}

// runScript runs what a user would type in a folder.
func runScript(t *testing.T, script, home string, environment []string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-o", "pipefail")
	cmd.Dir, cmd.Env = home, environment
	cmd.Stdin = strings.NewReader(endpointFor(t, environment) + script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// endpointFor makes an older aws CLI, as Debian 12 has it, go where
// AWS_ENDPOINT_URL points: it does not know the variable (new in 1.29 and 2.13)
// and would ask AWS itself.
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

// TestLeastPrivilege: a stolen key, and then a stolen session of a role, can do
// one thing and nothing else.
func TestLeastPrivilege(t *testing.T) {
	harness.NeedTool(t, "aws")
	s, home := harness.Start(t), t.TempDir()
	out := runScript(t, block(t, "least privilege")+block(t, "least privilege by a role"), home, s.Environment(home))
	for _, want := range []string{
		`:user/avatars"`, "upload: ./me.png to s3://company-user-avatars/me.png", "no reading\n", "no listing\n", "no deleting\n", "no other bucket\n", "no users\n",
		`:role/avatars"`, "the key puts nothing\n", `:assumed-role/avatars/app"`, "upload: ./me.png to s3://company-user-avatars/by-role.png",
		"the role reads nothing\n", "the role lists nothing\n", "the role deletes nothing\n", "the role has no other bucket\n", "the role sees no users\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the session did not print %q; it printed:\n%s", want, out)
		}
	}
	if out, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("company-user-avatars")}); err != nil || len(out.Contents) != 2 {
		t.Errorf("the bucket holds %+v, %v", out, err)
	}
}

// TestNoLongLivedKeys: an administrator sets up what a pipeline needs, and the
// pipeline has a token and nothing else.
func TestNoLongLivedKeys(t *testing.T) {
	harness.NeedTool(t, "aws")
	i := harness.StartIssuer(t, "token.actions.githubusercontent.com")
	s := harness.Start(t, i.Trusted)
	home := t.TempDir()
	out := runScript(t, block(t, "no long-lived keys")+"echo account=$account", home, append(s.Environment(home), "thumbprint="+i.Thumbprint))
	_, account, _ := strings.Cut(strings.TrimSpace(out), "account=")
	// pipeline runs with the token of a branch, and without the keys that a test's
	// environment has; the CLI keeps sessions in the home folder.
	pipeline := func(branch, before string) string {
		t.Helper()
		home := t.TempDir()
		text := i.Token("RS256", i.Claims(map[string]any{"aud": "sts.amazonaws.com", "sub": "repo:company/shop:ref:refs/heads/" + branch}))
		if err := os.WriteFile(filepath.Join(home, "token"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		bare := slices.DeleteFunc(s.Environment(home), func(v string) bool {
			return strings.HasPrefix(v, "AWS_ACCESS_KEY_ID=") || strings.HasPrefix(v, "AWS_SECRET_ACCESS_KEY=")
		})
		return runScript(t, before+block(t, "in the pipeline"), home, append(bare, "account="+account))
	}
	out = pipeline("main", "")
	for _, want := range []string{"arn:aws:sts::" + account + ":assumed-role/release/", "upload: ./release.txt to s3://releases/v1", "no reading\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("the pipeline did not print %q; it printed:\n%s", want, out)
		}
	}
	if out := pipeline("somebody-elses", "set +e\n"); !strings.Contains(out, "InvalidIdentityToken") || strings.Contains(out, "upload: ./release.txt to") {
		t.Errorf("another branch: %s", out)
	}
}

// TestLockItDown: one slip, or two, open nothing.
func TestLockItDown(t *testing.T) {
	harness.NeedTool(t, "aws")
	harness.NeedTool(t, "curl")
	out := runBlock(t, "lock it down")
	for _, want := range []string{
		"because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access", "refused\n", "refused by the account\n", "no public uploads\n", "True\tTrue\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the session did not print %q; it printed:\n%s", want, out)
		}
	}
	if n := strings.Count(out, "a stranger gets 403\n"); n != 2 || strings.Contains(out, "a stranger gets 200") {
		t.Errorf("a stranger was refused %d times of 2:\n%s", n, out)
	}
}
