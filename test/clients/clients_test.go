// Package clients tests the server with the client programs that people use, each in
// a separate file. It must never know more about the server than its endpoint.
package clients

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"watertight/test/harness"
)

// client runs one program against one server, without this machine's environment.
type client struct {
	t      *testing.T
	s      *harness.Server
	home   string
	secret string
	// extra returns what the program needs in its environment, for a secret.
	extra func(secret string) []string
}

func start(t *testing.T, tool string) client {
	t.Helper()
	harness.NeedTool(t, tool)
	s := harness.Start(t)
	return client{t, s, t.TempDir(), s.SecretAccessKey, func(string) []string { return nil }}
}

// run returns what a program printed; it must succeed.
func (c client) run(name string, args ...string) string {
	c.t.Helper()
	out, err := c.command(name, args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// patience is how long a program may retry a request that is always refused.
const patience = 2 * time.Minute

// refused runs a command that just succeeded, now with a wrong secret; it must fail,
// and its output must contain one of these words.
func (c client) refused(words, name string, args ...string) {
	c.t.Helper()
	c.run(name, args...)
	c.secret += "x"
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	cmd := c.commandContext(ctx, name, args...)
	out, err := cmd.CombinedOutput()
	if failed := (*exec.ExitError)(nil); !errors.As(err, &failed) || ctx.Err() != nil ||
		!strings.Contains(string(out), words) {
		c.t.Errorf("%s %q with a wrong secret: %v, does not say %q:\n%s", name, args, err, words, out)
	}
}

func (c client) command(name string, args ...string) *exec.Cmd {
	return c.commandContext(c.t.Context(), name, args...)
}

func (c client) commandContext(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	// If a name is repeated, the last value counts.
	cmd.Dir, cmd.Env = c.home, append(append(c.s.Environment(c.home), "AWS_SECRET_ACCESS_KEY="+c.secret),
		c.extra(c.secret)...)
	return cmd
}

// file writes a file of n random bytes.
func (c client) file(name string, n int) []byte {
	c.t.Helper()
	b := random(n)
	c.text(name, string(b))
	return b
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func (c client) text(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.home, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		c.t.Fatal(err)
	}
}

func (c client) same(name string, want []byte) {
	c.t.Helper()
	got, err := os.ReadFile(filepath.Join(c.home, name))
	if err != nil || !bytes.Equal(got, want) {
		c.t.Errorf("%s: %d bytes of %d are not the same, %v", name, len(got), len(want), err)
	}
}

// stored compares an object with what another, trusted client reads.
func (c client) stored(bucket, key string, size int, inParts bool) *s3.HeadObjectOutput {
	c.t.Helper()
	out, err := c.s.S3.HeadObject(c.t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		c.t.Fatalf("%s: %v", key, err)
	}
	if *out.ContentLength != int64(size) || strings.Contains(*out.ETag, "-") != inParts {
		c.t.Errorf("%s: %d bytes with ETag %s, want %d, in parts: %v", key, *out.ContentLength, *out.ETag, size,
			inParts)
	}
	return out
}

// gone checks that a bucket no longer exists.
func (c client) gone(bucket string) {
	c.t.Helper()
	_, err := c.s.S3.HeadBucket(c.t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)})
	if refusal := smithy.APIError(nil); !errors.As(err, &refusal) || refusal.ErrorCode() != "NotFound" {
		c.t.Errorf("the bucket still exists: %v", err)
	}
}

// lists checks that a listing has these words and no other lines.
func (c client) lists(out string, lines int, words ...string) {
	c.t.Helper()
	if got := strings.Count(strings.TrimSpace(out), "\n") + 1; got != lines {
		c.t.Errorf("%d lines, want %d:\n%s", got, lines, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			c.t.Errorf("not listed: %q in\n%s", w, out)
		}
	}
}

const (
	large = 20 << 20  // bytes; more than every client here sends in one piece
	odd   = "a b/é+ü" // a key that has to be escaped on the way
)
