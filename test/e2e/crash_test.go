package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/test/harness"
)

// TestKill9 kills the server during writes. The next one must have everything that was acknowledged.
func TestKill9(t *testing.T) {
	p := harness.StartProcess(t)
	bucket := aws.String("crash")
	if _, err := p.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	stored := map[string][]byte{}
	for round := range 3 {
		const writers, before = 8, 60
		enough := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					key := fmt.Sprintf("r%d/w%d/%d", round, w, n)
					body := randomBody([]int{100, 3000, 40_000, 300_000}[n%4])
					_, err := p.S3.PutObject(ctx,
						&s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(body)},
						func(o *s3.Options) { o.RetryMaxAttempts = 1 })
					if err != nil {
						return
					}
					mu.Lock()
					stored[key] = body
					if len(stored) == before*(round+1) {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		p.Kill()
		cancel()
		wg.Wait()
		p.Restart()
		checkStored(t, p.S3, bucket, stored)
	}
}

func randomBody(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// checkStored reads every acknowledged object, and every listed one.
func checkStored(t *testing.T, c *s3.Client, bucket *string, stored map[string][]byte) {
	t.Helper()
	for key, want := range stored {
		got, err := readObject(t.Context(), c, bucket, key)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s was acknowledged; after the crash: %d of %d bytes, %v", key, len(got), len(want), err)
		}
	}
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			got, err := readObject(t.Context(), c, bucket, *o.Key)
			if err != nil || int64(len(got)) != *o.Size {
				t.Fatalf("%s is listed with %d bytes; read %d, %v", *o.Key, *o.Size, len(got), err)
			}
		}
	}
}

func readObject(ctx context.Context, c *s3.Client, bucket *string, key string) ([]byte, error) {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}
