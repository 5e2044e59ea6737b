package clients

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestKopia runs kopia's own check of a provider, backs a tree up twice, verifies
// every byte, restores both snapshots and deletes one.
func TestKopia(t *testing.T) {
	c := start(t, "kopia")
	_, host, _ := strings.Cut(c.s.Endpoint, "://")
	c.extra = func(string) []string {
		return []string{"KOPIA_PASSWORD=a password", "KOPIA_CHECK_FOR_UPDATES=false",
			"KOPIA_CACHE_DIRECTORY=" + c.home + "/cache", "KOPIA_LOG_DIR=" + c.home + "/logs"}
	}
	bucket := aws.String("kopia-client")
	if _, err := c.s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err) // kopia makes none itself
	}
	repository := func(verb string) []string {
		return []string{"repository", verb, "s3", "--bucket", *bucket, "--prefix", "backups/",
			"--endpoint", host, "--region", "us-east-1", "--disable-tls"}
	}
	c.run("kopia", repository("create")...)
	// Ranges, listings and times, and writers and readers at once.
	examined := c.run("kopia", "repository", "validate-provider", "--num-storage-connections", "2",
		"--concurrency-test-duration", "2s", "--put-blob-workers", "1", "--get-blob-workers", "1",
		"--get-metadata-workers", "1")
	if !strings.Contains(examined, "All good.") {
		t.Errorf("the provider is not good: %s", examined)
	}

	big, small := c.file("tree/dir/big", large), c.file("tree/"+odd, 100)
	first := snapshot(c)
	changed := c.file("tree/dir/big", large/2)
	second := snapshot(c)
	c.refused("signature", "kopia", repository("connect")...)
	c.run("kopia", "snapshot", "verify", "--verify-files-percent", "100")
	c.run("kopia", "restore", second, "second")
	c.same("second/dir/big", changed)
	c.same("second/"+odd, small)

	c.run("kopia", "snapshot", "delete", second, "--delete")
	c.run("kopia", "maintenance", "run", "--full", "--safety", "none")
	if left := c.bytes(*bucket); left > large+large/4 {
		t.Errorf("maintenance left %d bytes of a snapshot of %d", left, large)
	}
	c.run("kopia", "snapshot", "verify", "--verify-files-percent", "100")
	c.run("kopia", "restore", first, "first")
	c.same("first/dir/big", big)
}

// snapshot returns the id of a new snapshot of the tree.
func snapshot(c client) string {
	c.t.Helper()
	cmd := c.command("kopia", "snapshot", "create", "tree", "--json", "--no-progress")
	out, err := cmd.Output()
	var made struct{ ID string }
	if err != nil || json.Unmarshal(out, &made) != nil || made.ID == "" {
		c.t.Fatalf("kopia snapshot create: %v\n%s", err, out)
	}
	return made.ID
}
