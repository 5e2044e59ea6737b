package clients

import (
	"bytes"
	"strings"
	"testing"
)

// TestMC is a session of the MinIO client, which uses individually signed chunks
// wherever it can.
func TestMC(t *testing.T) {
	c := start(t, "mc")
	c.extra = func(secret string) []string {
		scheme, host, _ := strings.Cut(c.s.Endpoint, "://")
		return []string{
			"MC_HOST_wt=" + scheme + "://" + c.s.AccessKeyID + ":" + secret + "@" + host,
			"MC_CONFIG_DIR=" + c.home + "/mc",
		}
	}
	big, small := c.file("tree/dir/big", large), c.file("tree/"+odd, 100)
	c.run("mc", "mb", "wt/mc-client")
	c.run("mc", "cp", "tree/dir/big", "wt/mc-client/dir/big")
	c.stored("mc-client", "dir/big", large, true)
	c.run("mc", "cp", "--attr", "colour=blue", "tree/"+odd, "wt/mc-client/"+odd)
	if colour := c.stored("mc-client", odd, 100, false).Metadata["colour"]; colour != "blue" {
		t.Errorf("the colour is %q", colour)
	}
	c.lists(c.run("mc", "ls", "--recursive", "wt/mc-client"), 2, "dir/big", odd)
	c.refused("Access Denied", "mc", "ls", "wt/mc-client")
	c.run("mc", "stat", "wt/mc-client/dir/big")
	c.run("mc", "cp", "wt/mc-client/dir/big", "wt/mc-client/copy")
	c.run("mc", "mv", "wt/mc-client/"+odd, "wt/mc-client/moved")
	if out := c.run("mc", "cat", "wt/mc-client/moved"); out != string(small) {
		t.Errorf("%d bytes are not the same", len(out))
	}
	c.run("mc", "mirror", "wt/mc-client", "back")
	c.same("back/copy", big)
	c.same("back/dir/big", big)
	c.same("back/moved", small)
	c.run("mc", "rm", "wt/mc-client/moved")
	c.lists(c.run("mc", "ls", "--recursive", "wt/mc-client"), 2, "copy", "dir/big")
	streams(c, big, small)
	c.run("mc", "rb", "--force", "wt/mc-client")
	c.gone("mc-client")
}

// streams uploads data of unknown length, and with checksums that mc computes while it
// sends.
func streams(c client, big, small []byte) {
	for key, body := range map[string][]byte{"piped": big, "piped small": small} {
		cmd := c.command("mc", "pipe", "wt/mc-client/"+key)
		cmd.Stdin = bytes.NewReader(body)
		if out, err := cmd.CombinedOutput(); err != nil {
			c.t.Errorf("mc pipe: %v\n%s", err, out)
			continue
		}
		if out := c.run("mc", "cat", "wt/mc-client/"+key); out != string(body) {
			c.t.Errorf("%s: %d bytes are not the same", key, len(out))
		}
	}
	for _, algorithm := range []string{"CRC32", "CRC32C", "SHA1", "SHA256"} {
		c.run("mc", "cp", "--checksum", algorithm, "tree/dir/big", "wt/mc-client/"+algorithm)
		if out := c.run("mc", "cat", "wt/mc-client/"+algorithm); out != string(big) {
			c.t.Errorf("%s: %d bytes are not the same", algorithm, len(out))
		}
	}
}
