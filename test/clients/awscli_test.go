package clients

import (
	"strings"
	"testing"
)

// TestAWSCLI is a session of the aws CLI's high-level commands.
func TestAWSCLI(t *testing.T) {
	c := start(t, "aws")
	big, small := c.file("big", large), c.file("small", 100)
	c.run("aws", "s3", "mb", "s3://cli")
	c.run("aws", "s3", "cp", "big", "s3://cli/dir/big")
	c.stored("cli", "dir/big", large, true)
	c.run("aws", "s3", "cp", "small", "s3://cli/"+odd, "--metadata", "colour=blue")
	if colour := c.stored("cli", odd, len(small), false).Metadata["colour"]; colour != "blue" {
		t.Errorf("the colour is %q", colour)
	}
	c.lists(c.run("aws", "s3", "ls", "--recursive", "s3://cli"), 2, "dir/big", odd)
	c.refused("SignatureDoesNotMatch", "aws", "s3", "ls", "s3://cli")
	c.run("aws", "s3", "cp", "s3://cli/dir/big", "s3://cli/dir/copy")
	c.run("aws", "s3", "mv", "s3://cli/"+odd, "s3://cli/moved")
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
	c.gone("cli")
}
