package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

// TestRestoreWithAnchor: a backup is refused in place of the store that its anchor knows, and
// accepted by the restore that names the anchor.
func TestRestoreWithAnchor(t *testing.T) {
	dir := t.TempDir()
	anchor, backups := filepath.Join(dir, "anchor"), filepath.Join(dir, "backups")
	s := harness.Start(t, func(c *server.Config) { c.Anchor = anchor })
	put := func(s *harness.Server, key string) {
		t.Helper()
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("photos"), Key: &key, Body: strings.NewReader("a holiday"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("photos")}); err != nil {
		t.Fatal(err)
	}
	put(s, "beach")
	key := keySource(s)
	if out, errs, err := command(t, dir, "backup", backups, "--data", s.Data); err != nil {
		t.Fatal(out, errs, err)
	}
	put(s, "hills")
	out, errs, err := command(t, dir, "health", "--data", s.Data)
	if err != nil || !strings.Contains(out, "\nanchor: ") {
		t.Error(out, errs, err)
	}
	s.Stop()
	at := func(data string) func(*server.Config) {
		return func(c *server.Config) { c.Data, c.RootKey, c.Anchor = data, key, anchor }
	}
	for _, step := range [][]string{{"plain"}, {"accepted", "--anchor", anchor}} {
		data, more := step[0], step[1:]
		to := filepath.Join(dir, data)
		out, errs, err := command(t, dir, append([]string{
			"restore", backups, "--data", to, "--root-key", key,
		}, more...)...)
		if err != nil {
			t.Fatal(out, errs, err)
		}
		if data == "plain" {
			if _, err := harness.Try(t, at(to)); err == nil || !strings.Contains(err.Error(), "anchor") {
				t.Errorf("the restored backup is served, although the anchor knows a newer store: %v", err)
			}
			if err := os.RemoveAll(to); err != nil {
				t.Fatal(err)
			}
		}
	}
	s = harness.Start(t, at(filepath.Join(dir, "accepted")))
	if got := get(t, s, "beach"); got != "a holiday" {
		t.Error(got)
	}
	if _, _, err := command(t, dir, "restore", backups, "--verify-only", "--anchor", anchor); err == nil {
		t.Error("--verify-only takes --anchor")
	}
}
