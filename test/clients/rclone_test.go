package clients

import "testing"

// TestRclone is a session of rclone: it copies trees, checks them by their MD5s
// without a line of configuration.
func TestRclone(t *testing.T) {
	c := start(t, "rclone")
	c.extra = func(secret string) []string {
		return []string{
			"RCLONE_CONFIG=" + c.home + "/rclone.conf", "RCLONE_CONFIG_WT_TYPE=s3", "RCLONE_CONFIG_WT_PROVIDER=Other",
			"RCLONE_CONFIG_WT_ENDPOINT=" + c.s.Endpoint,
			"RCLONE_CONFIG_WT_REGION=" + c.s.Region, "RCLONE_CONFIG_WT_ACCESS_KEY_ID=" + c.s.AccessKeyID,
			"RCLONE_CONFIG_WT_SECRET_ACCESS_KEY=" + secret,
			"RCLONE_CONFIG_WT_UPLOAD_CUTOFF=8M", "RCLONE_CONFIG_WT_CHUNK_SIZE=5M", "RCLONE_CONFIG_WT_COPY_CUTOFF=8M",
			"RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1",
		}
	}
	c.text("rclone.conf", "") // rclone prints a notice if it is missing
	big, small := c.file("tree/dir/big", large), c.file("tree/"+odd, 100)
	c.file("tree/empty", 0)
	c.run("rclone", "mkdir", "wt:rclone")
	c.run("rclone", "copy", "tree", "wt:rclone/tree")
	c.stored("rclone", "tree/dir/big", large, true)
	c.stored("rclone", "tree/"+odd, 100, false)
	c.lists(c.run("rclone", "lsf", "-R", "--files-only", "wt:rclone"), 3, "tree/dir/big", "tree/"+odd, "tree/empty")
	c.refused("SignatureDoesNotMatch", "rclone", "lsf", "wt:rclone")
	c.run("rclone", "check", "tree", "wt:rclone/tree")
	c.run("rclone", "check", "--download", "tree", "wt:rclone/tree")

	c.run("rclone", "copyto", "wt:rclone/tree/dir/big", "wt:rclone/copy") // on the server, in parts
	c.stored("rclone", "copy", large, true)
	c.run("rclone", "moveto", "wt:rclone/tree/"+odd, "wt:rclone/moved")
	c.run("rclone", "copy", "wt:rclone", "back")
	c.same("back/copy", big)
	c.same("back/tree/dir/big", big)
	c.same("back/moved", small)
	if out := c.run("rclone", "cat", "--offset", "1000000", "--count", "100",
		"wt:rclone/copy"); out != string(big[1000000:1000100]) {
		t.Errorf("a range of %d bytes is not the same", len(out))
	}

	c.text("tree/dir/big", "changed")
	c.run("rclone", "sync", "tree", "wt:rclone/tree")
	c.run("rclone", "check", "tree", "wt:rclone/tree")
	c.run("rclone", "delete", "wt:rclone/tree")
	c.lists(c.run("rclone", "lsf", "-R", "--files-only", "wt:rclone"), 2, "copy", "moved")
	c.run("rclone", "purge", "wt:rclone")
	c.gone("rclone")
}
