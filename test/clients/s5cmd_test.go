package clients

import (
	"strings"
	"testing"
)

// TestS5cmd is a session of s5cmd, which does many things at once and deletes a
// thousand keys in one request.
func TestS5cmd(t *testing.T) {
	c := start(t, "s5cmd")
	// One retry: a request that is always refused need not be sent eleven times.
	flags := []string{"--endpoint-url", c.s.Endpoint, "--retry-count", "1"}
	run := func(args ...string) string { t.Helper(); return c.run("s5cmd", append(flags, args...)...) }
	big, small := c.file("tree/dir/big", large), c.file("tree/"+odd, 100)
	run("mb", "s3://s5cmd")
	run("cp", "--part-size", "6", "--concurrency", "3", "tree/dir/big", "s3://s5cmd/dir/big")
	c.stored("s5cmd", "dir/big", large, true)
	run("cp", "--metadata", "colour=blue", "tree/"+odd, "s3://s5cmd/"+odd)
	if colour := c.stored("s5cmd", odd, 100, false).Metadata["colour"]; colour != "blue" {
		t.Errorf("the colour is %q", colour)
	}
	c.lists(run("ls", "s3://s5cmd/*"), 2, "dir/big", odd)
	c.refused("SignatureDoesNotMatch", "s5cmd", append(flags, "ls", "s3://s5cmd/*")...)
	if out := run("head", "s3://s5cmd/dir/big"); !strings.Contains(out, `"size":20971520`) {
		t.Errorf("head says %s", out)
	}

	run("cp", "s3://s5cmd/dir/big", "s3://s5cmd/copy")
	run("mv", "s3://s5cmd/"+odd, "s3://s5cmd/moved")
	run("cp", "--part-size", "6", "s3://s5cmd/copy", "back") // in ranges
	c.same("back", big)
	if out := run("cat", "s3://s5cmd/moved"); out != string(small) {
		t.Errorf("%d bytes are not the same", len(out))
	}
	run("sync", "s3://s5cmd/*", "all/")
	c.same("all/dir/big", big)
	c.same("all/copy", big)
	c.same("all/moved", small)
	run("sync", "--delete", "tree/", "s3://s5cmd/")
	c.lists(run("ls", "s3://s5cmd/*"), 2, "dir/big", odd)
	if out := run("sync", "--delete", "tree/", "s3://s5cmd/"); out != "" {
		t.Errorf("a second sync without changes prints: %s", out)
	}

	// Commands from a file run all at once.
	var puts strings.Builder
	for _, name := range strings.Fields("a b c d e f g h") {
		puts.WriteString("cp tree/dir/big s3://s5cmd/many/" + name + "\n")
	}
	c.text("commands", puts.String())
	run("run", "commands")
	c.lists(run("ls", "s3://s5cmd/many/*"), 8, "a", "h")
	if out := run("du", "s3://s5cmd/many/*"); !strings.HasPrefix(out, "167772160 bytes in 8 objects") {
		t.Errorf("du says %s", out)
	}
	run("rm", "s3://s5cmd/*")
	run("rb", "s3://s5cmd")
	c.gone("s5cmd")
}
