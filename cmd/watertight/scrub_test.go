package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// ran runs a command and returns its exit code and both outputs.
func ran(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(process{t.Context(), &o, &e, func(string) string { return "" }}, args)
	return code, o.String(), e.String()
}

// put stores an object of the test's bucket.
func put(t *testing.T, s *harness.Server, key string, size int) {
	t.Helper()
	_, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("photos"), Key: &key, Body: bytes.NewReader(bytes.Repeat([]byte("watertight "), size/11+1)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func makeBucket(t *testing.T, s *harness.Server) {
	t.Helper()
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("photos")}); err != nil {
		t.Fatal(err)
	}
}

// blobFiles returns the files of blobs below a data directory.
func blobFiles(t *testing.T, data string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(data, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && len(d.Name()) == 32 {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestScrub: a scrub of a running server finds damage, moves it into quarantine, and exits with 4; then
// the same without a server.
func TestScrub(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	put(t, s, "small", 10)
	put(t, s, "large", 1_200_000)
	code, out, _ := ran(t, "scrub", "--data", s.Data, "--rate", "0")
	if code != exitOK || !strings.Contains(out, "2 versions") || !strings.Contains(out, "\n0 findings\n") {
		t.Fatalf("%d: %s", code, out)
	}
	files := blobFiles(t, s.Data)
	if len(files) != 1 {
		t.Fatal(files)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[70_000] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = ran(t, "scrub", "--data", s.Data, "--no-quarantine")
	if code != exitDamaged || !strings.Contains(out, "damaged: s3://photos/large version null: from byte 65536 on") ||
		strings.Contains(out, "quarantine") {
		t.Errorf("%d: %s", code, out)
	}
	code, out, errs := ran(t, "scrub", "--data", s.Data, "--json")
	if code != exitDamaged || !strings.Contains(errs, "something is bad") {
		t.Errorf("%d: %s", code, errs)
	}
	var line struct {
		Finding  *operator.Finding
		Scrubbed *operator.Scrubbed
	}
	for text := range strings.Lines(out) {
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(text, err)
		}
	}
	if f := line.Finding; f == nil || f.Problem != "damaged" || f.Bucket != "photos" || f.Key != "large" ||
		f.VersionID != "null" || !f.Quarantined || f.Blob != filepath.Base(files[0]) {
		t.Errorf("%+v", f)
	}
	if d := line.Scrubbed; d == nil || d.Versions != 2 || d.Findings != 1 || d.Quarantined != 1 || d.Apart != 1 {
		t.Errorf("%+v", d)
	}
	if _, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{
		Bucket: aws.String("photos"), Key: aws.String("large"), Range: aws.String("bytes=0-9"),
	}, func(o *s3.Options) { o.RetryMaxAttempts = 1 }); err == nil {
		t.Error("a blob in quarantine is served")
	}
	if _, err := os.Stat(files[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(s.Data, "blobs", "quarantine", filepath.Base(files[0]))); err != nil {
		t.Error(err)
	}

	key := "file:" + filepath.Join(filepath.Dir(s.Data), "root.key")
	code, _, errs = ran(t, "scrub", "--data", s.Data, "--offline", "--root-key", key)
	if code != exitFailure || !strings.Contains(errs, "in use by a server") {
		t.Errorf("with a running server: %d: %s", code, errs)
	}
	s.Stop()
	code, _, errs = ran(t, "scrub", "--data", s.Data)
	if code != exitFailure || !strings.Contains(errs, "no server answers") {
		t.Errorf("without a server: %d: %s", code, errs)
	}
	for range 2 {
		code, out, errs = ran(t, "scrub", "--data", s.Data, "--offline", "--root-key", key)
		if code != exitDamaged || !strings.Contains(out, "damaged: s3://photos/large") {
			t.Errorf("offline: %d: %s%s", code, out, errs)
		}
	}
	b[70_000] ^= 1 // the operator restores the good file
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = ran(t, "scrub", "--data", s.Data, "--offline", "--root-key", key)
	if code != exitOK || !strings.Contains(out, "\n1 blobs are in quarantine\n") ||
		!strings.Contains(out, "after a stop\n0 findings\n") {
		t.Errorf("after the repair: %d: %s", code, out)
	}
}

// TestScrubOfFiles: a scrub verifies the keyring, the markers and their copies. A running server repairs
// its keyrings, and a store with damaged markers does not open.
func TestScrubOfFiles(t *testing.T) {
	running, stopped := harness.Start(t), harness.Start(t)
	stopped.Stop()
	beside := []string{"scrub", "--data", running.Data}
	offline := []string{"scrub", "--offline", "--data", stopped.Data, "--root-key", keySource(stopped)}
	for name, c := range map[string]struct {
		data, want string
		scrub      []string
	}{
		"keyring":        {stopped.Data, "damaged", offline},
		"blobs/keyring":  {stopped.Data, "damaged", offline},
		"audit/keyring":  {stopped.Data, "damaged", offline},
		"blobs/store.id": {running.Data, "damaged", beside},
		"audit/store.id": {running.Data, "missing", beside},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(c.data, name)
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err = os.Remove(path); c.want == "damaged" {
				err = os.WriteFile(path, []byte("damaged"), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			code, out, _ := ran(t, c.scrub...)
			if code != exitDamaged || !strings.Contains(out, c.want+": "+name+": ") ||
				!strings.Contains(out, "\n1 findings\n") {
				t.Errorf("%d: %s", code, out)
			}
			if err := os.WriteFile(path, good, 0o600); err != nil {
				t.Fatal(err)
			}
			if code, out, _ := ran(t, c.scrub...); code != exitOK {
				t.Errorf("after the repair: %d: %s", code, out)
			}
		})
	}
}

// TestScrubShowsProgress: without a terminal, progress is printed in lines if it was asked for.
func TestScrubShowsProgress(t *testing.T) {
	s := harness.Start(t, func(*server.Config) {})
	makeBucket(t, s)
	put(t, s, "large", 300_000)
	code, _, errs := ran(t, "scrub", "--data", s.Data, "--rate", "200000", "--progress")
	if code != exitOK || !strings.Contains(errs, "versions, ") {
		t.Errorf("%d: %s", code, errs)
	}
	if code, _, _ := ran(t, "scrub", "--data", s.Data, "--rate", "-1"); code != exitUsage {
		t.Error("a negative rate:", code)
	}
}

// TestScrubReadsMetadata: a scrub finds damage of metadata on the disk, although the running server
// still has the records in memory.
func TestScrubReadsMetadata(t *testing.T) {
	first := harness.Start(t)
	makeBucket(t, first)
	put(t, first, "small", 10_000)
	first.Stop()
	s := harness.Start(t, func(c *server.Config) { c.Data, c.RootKey = first.Data, keySource(first) })
	if !strings.HasPrefix(get(t, s, "small"), "watertight ") {
		t.Fatal("the object is not served")
	}
	must(t, "scrub", "--data", s.Data)
	tables, err := filepath.Glob(filepath.Join(s.Data, "meta", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, path := range tables {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/3] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, out, _ := ran(t, "scrub", "--data", s.Data)
	if code != exitDamaged || strings.Count(out, "metadata: meta/") != len(tables) {
		t.Errorf("%d: %s", code, out)
	}
	code, out, _ = ran(t, "scrub", "--data", s.Data, "--json")
	if code != exitDamaged || !strings.Contains(out, `"Problem":"metadata","File":"`+filepath.Base(tables[0])+`"`) {
		t.Errorf("%d: %s", code, out)
	}
}
