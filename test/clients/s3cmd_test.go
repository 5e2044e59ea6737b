package clients

import (
	"net/url"
	"testing"
)

// TestS3cmd is a session of s3cmd, which has its own code for signatures and checks.
func TestS3cmd(t *testing.T) {
	c := start(t, "s3cmd")
	endpoint, err := url.Parse(c.s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	host := endpoint.Host
	c.text(".s3cfg",
		"[default]\nhost_base = "+host+"\nhost_bucket = "+host+
			"\nuse_https = False\nbucket_location = us-east-1\nmultipart_chunk_size_mb = 6\n")
	big, small := c.file("big", large), c.file("small", 100)
	c.run("s3cmd", "mb", "s3://s3cmd")
	c.run("s3cmd", "put", "big", "s3://s3cmd/dir/big")
	c.stored("s3cmd", "dir/big", large, true)
	c.run("s3cmd", "put", "small", "s3://s3cmd/"+odd, "--add-header=x-amz-meta-colour:blue")
	if colour := c.stored("s3cmd", odd, 100, false).Metadata["colour"]; colour != "blue" {
		t.Errorf("the colour is %q", colour)
	}
	c.lists(c.run("s3cmd", "ls", "--recursive", "s3://s3cmd"), 2, "s3://s3cmd/dir/big", "s3://s3cmd/"+odd)
	c.refused("SignatureDoesNotMatch", "s3cmd", "ls", "s3://s3cmd")
	c.run("s3cmd", "info", "s3://s3cmd/dir/big")
	c.run("s3cmd", "cp", "s3://s3cmd/dir/big", "s3://s3cmd/copy")
	c.run("s3cmd", "mv", "s3://s3cmd/"+odd, "s3://s3cmd/moved")
	c.run("s3cmd", "get", "s3://s3cmd/copy", "back")
	c.same("back", big)
	c.run("s3cmd", "sync", "s3://s3cmd", "all/")
	c.same("all/dir/big", big)
	c.same("all/moved", small)

	c.run("s3cmd", "del", "s3://s3cmd/moved")
	c.run("s3cmd", "del", "--recursive", "--force", "s3://s3cmd/dir")
	c.lists(c.run("s3cmd", "ls", "--recursive", "s3://s3cmd"), 1, "s3://s3cmd/copy")
	c.run("s3cmd", "rb", "--recursive", "--force", "s3://s3cmd")
	c.gone("s3cmd")
}
