package clients

import (
	"strings"
	"testing"
)

// TestAWSCLI is a session of the aws CLI's high-level commands.
func TestAWSCLI(t *testing.T) {
	c := start(t, "aws")
	// Debian's older ones do not know AWS_ENDPOINT_URL and would ask AWS itself.
	endpoint := []string{"--endpoint-url", c.s.Endpoint}
	run := func(args ...string) string { t.Helper(); return c.run("aws", append(endpoint, args...)...) }
	big, small := c.file("big", large), c.file("small", 100)
	run("s3", "mb", "s3://cli")
	run("s3", "cp", "big", "s3://cli/dir/big")
	c.stored("cli", "dir/big", large, true)
	run("s3", "cp", "small", "s3://cli/"+odd, "--metadata", "colour=blue")
	if colour := c.stored("cli", odd, len(small), false).Metadata["colour"]; colour != "blue" {
		t.Errorf("the colour is %q", colour)
	}
	c.lists(run("s3", "ls", "--recursive", "s3://cli"), 2, "dir/big", odd)
	c.refused("SignatureDoesNotMatch", "aws", append(endpoint, "s3", "ls", "s3://cli")...)
	run("s3", "cp", "s3://cli/dir/big", "s3://cli/dir/copy")
	run("s3", "mv", "s3://cli/"+odd, "s3://cli/moved")
	run("s3", "sync", "s3://cli", "all")
	c.same("all/dir/big", big)
	c.same("all/dir/copy", big)
	c.same("all/moved", small)
	if out := run("s3", "sync", "all", "s3://cli", "--delete"); out != "" {
		t.Errorf("a second sync without changes prints: %s", out)
	}
	// Without a configured region the CLI presigns with SigV2, which is
	// refused.
	run("configure", "set", "default.s3.signature_version", "s3v4")
	url := strings.TrimSpace(run("s3", "presign", "s3://cli/moved"))
	if out := c.run("curl", "-sf", url); out != string(small) {
		t.Errorf("the presigned URL gives %d bytes", len(out))
	}
	run("s3", "rb", "s3://cli", "--force")
	c.gone("cli")
}
