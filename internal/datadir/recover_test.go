package datadir_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/datadir"
	"watertight/test/harness"
)

const smallObjects = 120

func small(i int) string { return fmt.Sprintf("content of %d %s", i, strings.Repeat("s", 300)) }

// populate makes objects that are stored inline, in segments, in files of their own, and in parts.
func populate(t *testing.T) func(*harness.Server) {
	return func(s *harness.Server) {
		putObjects(t, 0, 3)(s)
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("bkt"), Key: aws.String("large"), Body: bytes.NewReader(make([]byte, 1<<20+1)),
		}); err != nil {
			t.Fatal(err)
		}
		for i := range smallObjects {
			if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String("bkt"), Key: aws.String(fmt.Sprintf("small%03d", i)),
				Body: strings.NewReader(small(i)),
			}); err != nil {
				t.Fatal(err)
			}
		}
		u, err := s.S3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
			Bucket: aws.String("bkt"), Key: aws.String("parts"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.S3.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: u.Bucket, Key: u.Key, UploadId: u.UploadId, PartNumber: aws.Int32(1),
			Body: bytes.NewReader(body(1)),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// readable counts the small objects that can be read, and fails the test if one has other content.
func readable(t *testing.T, s *harness.Server) (n int) {
	t.Helper()
	for i := range smallObjects {
		out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{
			Bucket: aws.String("bkt"), Key: aws.String(fmt.Sprintf("small%03d", i)),
		})
		if err != nil {
			continue
		}
		text, err := io.ReadAll(out.Body)
		out.Body.Close()
		if err != nil || string(text) != small(i) {
			t.Errorf("small%03d: %.30q, %v", i, text, err)
		}
		n++
	}
	if _, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bkt")}); err != nil {
		t.Errorf("the bucket can't be listed: %v", err)
	}
	return n
}

// inExtent returns an offset in the first extent of a segment.
func inExtent(at int64) func(int64) []int64 {
	return func(int64) []int64 { return []int64{2*4096 + at} }
}

func flipAt(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0] ^= 1
	_, werr := f.WriteAt(b, at)
	return errors.Join(err, werr, f.Close())
}

// TestCheckAndRecover damages one file: a start is refused or serves the right
// data, check finds the damage, recover saves what is outside of the damaged
// block, and neither changes a byte.
func TestCheckAndRecover(t *testing.T) {
	dir := t.TempDir()
	data, key := filepath.Join(dir, "data"), filepath.Join(dir, "root.key")
	parts := []string{"meta", "audit", "blobs"}
	keep(t, data, key, populate(t))
	keep(t, data, key, func(*harness.Server) {}) // most records are in tables now
	good := filepath.Join(dir, "good")
	replace(t, data, good, parts...)
	c := datadir.Options{Data: data, RootKey: "file:" + key}
	if found, err := datadir.Check(t.Context(), c, true); err != nil || len(found.Findings) > 0 || found.Blobs != 5 {
		t.Fatalf("a sound store: %+v, %v", found, err)
	}
	middle := func(n int64) []int64 { return []int64{n / 2} }
	for name, d := range map[string]struct {
		file   string
		at     func(size int64) []int64
		most   int  // small objects that may be lost
		silent bool // needs no finding: the damaged file is made again at every start
	}{
		"a bit of a table": {"meta/*.sst", middle, 0, false},
		"a block of a table": {"meta/*.sst", func(n int64) []int64 {
			return []int64{
				n * 3 / 4, n*3/4 + 1, // among the versions of objects
			}
		}, 55, false}, // as many as fit into a block of 8 KiB
		"the first bit of a table": {"meta/*.sst", func(int64) []int64 { return []int64{100} }, 0, false},
		"the footer of a table":    {"meta/*.sst", func(n int64) []int64 { return []int64{n - 5} }, 0, false},
		"the index of a table": {"meta/*.sst", func(n int64) []int64 {
			return []int64{
				n - 400, n - 700, // perhaps in one chunk, which then is lost, with the records before the index
			}
		}, 40, false},
		"the manifest":                  {"meta/MANIFEST-*", middle, 0, false},
		"the options":                   {"meta/OPTIONS-*", middle, 0, true},
		"the log":                       {"meta/*.log", func(int64) []int64 { return []int64{40} }, 0, false},
		"the marker of the blobs":       {"blobs/store.id", middle, 0, false},
		"the audit log":                 {"audit/000001.wtl", middle, 0, false},
		"the audit log's header":        {"audit/000001.wtl", func(int64) []int64 { return []int64{20} }, 0, false},
		"a blob":                        {"blobs/??/*", middle, 0, false},
		"a blob in a segment":           {"blobs/segments/*", inExtent(564), 0, false},
		"the header of an extent":       {"blobs/segments/*", inExtent(30), 0, true},
		"the engine's manifest pointer": {"meta/marker.manifest.*", nil, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			replace(t, good, data, parts...)
			all, err := filepath.Glob(filepath.Join(data, d.file))
			if err != nil || len(all) == 0 {
				t.Fatal(all, err)
			}
			largest := all[0]
			for _, path := range all {
				info, ierr := os.Stat(path)
				most, lerr := os.Stat(largest)
				if err := errors.Join(ierr, lerr); err != nil {
					t.Fatal(err)
				}
				if info.Size() > most.Size() {
					largest = path
				}
			}
			info, err := os.Stat(largest)
			if err != nil {
				t.Fatal(err)
			}
			if d.at == nil {
				err = os.Remove(largest)
			} else {
				for _, at := range d.at(info.Size()) {
					err = errors.Join(err, flipAt(largest, at))
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			before := everything(t, data)
			found, err := datadir.Check(t.Context(), c, true)
			if err != nil || (len(found.Findings) == 0) != d.silent {
				t.Errorf("check: %+v, %v", found, err)
			}
			to := filepath.Join(t.TempDir(), "new")
			if _, err := datadir.Recover(t.Context(), c, to); err != nil {
				t.Fatal(err)
			}
			if diff := differences(before, everything(t, data)); len(diff) > 0 {
				t.Errorf("changed: %v", diff)
			}
			if strings.HasPrefix(d.file, "audit/") {
				if _, err := datadir.AcceptAuditLoss(t.Context(),
					datadir.Options{Data: to, RootKey: c.RootKey, Region: "us-east-1"}, "test"); err != nil {
					t.Fatal(err)
				}
			}
			keep(t, to, key, func(s *harness.Server) {
				if n := readable(t, s); n < smallObjects-d.most {
					t.Errorf("%d of %d objects were recovered; %q", n, smallObjects, found.Findings)
				}
				if name != "a blob in a segment" && d.most == 0 {
					getObjects(t, 3)(s)
				}
				if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
					Bucket: aws.String("bkt"), Key: aws.String("new"), Body: strings.NewReader("x"),
				}); err != nil {
					t.Errorf("a new object: %v", err)
				}
			})
			if name == "the log" {
				keep(t, to, key, func(*harness.Server) {}) // a server starts on it
			}
		})
	}
}

func TestRecoverTakesNoOtherPlace(t *testing.T) {
	dir := t.TempDir()
	data, key := filepath.Join(dir, "data"), filepath.Join(dir, "root.key")
	c := datadir.Options{Data: data, RootKey: "file:" + key}
	keep(t, data, key, func(*harness.Server) {
		if _, err := datadir.Check(t.Context(), c, false); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("beside a server: %v", err)
		}
	})
	for _, to := range []string{"", data, filepath.Join(data, "new"), dir} {
		if _, err := datadir.Recover(t.Context(), c, to); err == nil {
			t.Errorf("recovered to %q", to)
		}
	}
	c.RootKey = "file:" + filepath.Join(dir, "none")
	if _, err := datadir.Recover(t.Context(), c, filepath.Join(dir, "new")); err == nil {
		t.Error("without the root key")
	}
}
