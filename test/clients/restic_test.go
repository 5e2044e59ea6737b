package clients

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestRestic backs a tree up twice, checks every byte of the repository and restores
// both snapshots.
func TestRestic(t *testing.T) {
	c := start(t, "restic")
	c.extra = func(string) []string {
		return []string{
			"RESTIC_REPOSITORY=s3:" + c.s.Endpoint + "/restic/backups", "RESTIC_PASSWORD=a password",
			"RESTIC_CACHE_DIR=" + c.home + "/cache",
		}
	}
	big, small := c.file("tree/dir/big", large), c.file("tree/"+odd, 100)
	for i := range 100 {
		c.text(fmt.Sprint("tree/many/", i), fmt.Sprint("file ", i))
	}
	c.run("restic", "init") // makes the bucket, too
	c.run("restic", "backup", "tree")
	changed := c.file("tree/dir/big", large/2)
	c.run("restic", "backup", "tree")
	c.refused("Access Denied", "restic", "snapshots", "--no-lock")
	c.run("restic", "check", "--read-data")
	if out := c.run("restic", "snapshots", "--json"); strings.Count(out, `"short_id"`) != 2 {
		t.Errorf("not two snapshots: %s", out)
	}
	c.run("restic", "restore", "latest", "--target", "second", "--verify")
	c.same("second/tree/dir/big", changed)
	c.same("second/tree/"+odd, small)
	c.same("second/tree/many/99", []byte("file 99"))

	// The last one is forgotten, and its bytes are deleted.
	before := c.bytes("restic")
	c.run("restic", "forget", "latest", "--prune")
	if after := c.bytes("restic"); after > before-large/3 {
		t.Errorf("pruning left %d of %d bytes", after, before)
	}
	c.run("restic", "check", "--read-data")
	c.run("restic", "restore", "latest", "--target", "first", "--verify")
	c.same("first/tree/dir/big", big)
}

// bytes returns the total size of everything that a bucket lists.
func (c client) bytes(bucket string) (n int64) {
	c.t.Helper()
	pages := s3.NewListObjectsV2Paginator(c.s.S3, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		for _, o := range page.Contents {
			n += *o.Size
		}
	}
	return n
}
