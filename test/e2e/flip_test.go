package e2e

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

// flips is how many bytes of a data directory are flipped, one at a time, each before a separate
// start. The tests of kv and payload flip every byte of a value and of a blob; this one flips bytes
// in all kinds of files.
const flips = 60

// TestFlippedDisk flips a byte somewhere in the data directory of a stopped
// server. Either the next start is refused, or a read fails, or the byte did not
// matter: no wrong data is ever served, and none is silently lost.
func TestFlippedDisk(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "flipped")
	stored := map[string][]byte{"small": randomBody(500), "large": randomBody(40_000)}
	for key, body := range stored {
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: &key, Body: bytes.NewReader(body),
		}); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop()
	type place struct {
		file string
		at   int64
	}
	var places []place
	err := filepath.WalkDir(s.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		rel, err := filepath.Rel(s.Data, path)
		for range flips / 4 {
			n, _ := rand.Int(rand.Reader, big.NewInt(info.Size()))
			places = append(places, place{rel, n.Int64()})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	refused, failed, harmless := 0, 0, 0
	for range flips {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(places))))
		p := places[n.Int64()]
		data := filepath.Join(t.TempDir(), "data")
		if err := os.CopyFS(data, os.DirFS(s.Data)); err != nil {
			t.Fatal(err)
		}
		flip(t, filepath.Join(data, p.file), p.at)
		again, err := harness.Try(t, func(c *server.Config) {
			c.Data, c.RootKey = data, "file:"+filepath.Join(filepath.Dir(s.Data), "root.key")
		})
		if err != nil {
			refused++
			continue
		}
		wrong := 0
		for key, want := range stored {
			t.Run(key, func(t *testing.T) {
				got, err := readObject(t.Context(), again.S3, aws.String("flipped"), key)
				switch {
				case err == nil && !bytes.Equal(got, want):
					t.Errorf("%s byte %d flipped: %s is served with other content", p.file, p.at, key)
				case err != nil:
					wrong++
					var re *awshttp.ResponseError
					if errors.As(err, &re) && re.HTTPStatusCode() == 404 {
						t.Errorf("%s byte %d flipped: %s is missing without an error: %v", p.file, p.at, key, err)
					}
				}
			})
		}
		again.Stop()
		if wrong > 0 {
			failed++
		} else {
			harmless++
		}
	}
	t.Logf("%d starts refused, %d reads failed, %d bytes that did not matter", refused, failed, harmless)
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 0x20
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSmallObjectsFiles flips bytes of a small object that is just too large to be stored
// inline, in its segment, and reads it through the running server.
func TestSmallObjectsFiles(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "file-flips")
	body := randomBody(17_000)
	if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("k"), Body: bytes.NewReader(body),
	}); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(s.Data, "blobs", "segments", "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q, %v", found, err)
	}
	const begin = 2*4096 + 64 // of its bytes
	for at := int64(begin); at < begin+17_016; at += 97 {
		flip(t, found[0], at)
		if got, err := readObject(t.Context(), s.S3, bucket, "k"); err == nil || len(got) > 0 {
			t.Errorf("byte %d flipped: %d bytes were served, %v", at, len(got), err)
		}
		flip(t, found[0], at)
	}
	if got, err := readObject(t.Context(), s.S3, bucket, "k"); err != nil || !bytes.Equal(got, body) {
		t.Errorf("after the repair: %v", err)
	}
	if !strings.Contains(s.Logs.String(), "corrupt") {
		t.Error("the log does not mention the damage")
	}
}
