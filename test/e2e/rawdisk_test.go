package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// marker is looked for in every file; its halves never touch here, so that the
// test's own binary can't be mistaken for a leak.
var marker = strings.Join([]string{"MARKER", "9f3a51c07be2"}, "-")

// TestRawDisk writes a marker wherever a client can put bytes and looks for it
// in every file of the data directory, while the server runs and after it.
func TestRawDisk(t *testing.T) {
	s := harness.Start(t)
	bucket := aws.String("raw-disk")
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"inline": 200, "blob": 300_000} {
		body := []byte(strings.Repeat(marker+" ", size/len(marker)))
		_, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: &name, Body: bytes.NewReader(body),
			ContentType: aws.String("application/" + marker), ContentDisposition: aws.String(marker),
			Tagging:  aws.String(marker + "=" + marker),
			Metadata: map[string]string{"secret": marker, strings.ToLower(marker): "name"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readObject(t.Context(), s.S3, bucket, name); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%s: read back %d bytes, %v", name, len(got), err)
		}
	}
	for name, size := range map[string]int{"posted": 200, "posted-blob": 300_000} {
		fields := map[string]string{"key": name, "x-amz-meta-secret": marker, "Content-Type": "application/" + marker, "success_action_redirect": "http://" + marker}
		if a := send(t, s, post{bucket: *bucket, file: strings.Repeat(marker+" ", size/len(marker)), filename: marker, fields: fields}.build(t, s)); a.status != 303 {
			t.Fatalf("%s: %d %s", name, a.status, a.body)
		}
	}
	uploadMarked(t, s, bucket)
	tagging := &types.Tagging{TagSet: tags("secret", marker, marker, "name")}
	if _, err := s.S3.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: bucket, Key: aws.String("inline"), Tagging: tagging}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.S3.PutBucketTagging(t.Context(), &s3.PutBucketTaggingInput{Bucket: bucket, Tagging: tagging}); err != nil {
		t.Fatal(err)
	}
	if err := putCORS(t, s, bucket, types.CORSRule{ID: aws.String(marker), AllowedOrigins: []string{"https://" + marker}, AllowedMethods: []string{"GET"}, AllowedHeaders: []string{marker}}); err != nil {
		t.Fatal(err)
	}
	if files := filesWith(t, s.Data, marker); len(files) > 0 {
		t.Errorf("the marker stands in plain in %q while the server runs", files)
	}
	s.Stop()
	if files := filesWith(t, s.Data, marker); len(files) > 0 {
		t.Errorf("the marker stands in plain in %q", files)
	}
	if files := filesWith(t, s.Data, "raw-disk"); len(files) == 0 {
		t.Error("the scan does not even find the bucket's name, which is plain in the index: it looks in the wrong place")
	}
}

// filesWith returns the files under dir that hold text in any case.
func filesWith(t *testing.T, dir, text string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(bytes.ToLower(b), []byte(strings.ToLower(text))) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// uploadMarked leaves an upload in progress and one that was completed, with
// parts inline and in blobs, and a part that is a copy.
func uploadMarked(t *testing.T, s *harness.Server, bucket *string) {
	t.Helper()
	for _, key := range []string{"uploading", "uploaded"} {
		id := begin(t, s, s3.CreateMultipartUploadInput{
			Bucket: bucket, Key: &key, ContentType: aws.String("application/" + marker), Tagging: aws.String(marker + "=" + marker), Metadata: map[string]string{"secret": marker},
		})
		body := []byte(strings.Repeat(marker+" ", 5*mib/len(marker)))
		parts := []types.CompletedPart{putPart(t, s, bucket, &key, id, 1, body, "")}
		copied, err := s.S3.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{Bucket: bucket, Key: &key, UploadId: id, PartNumber: aws.Int32(2), CopySource: aws.String(*bucket + "/blob")})
		if err != nil {
			t.Fatal(err)
		}
		putPart(t, s, bucket, &key, id, 3, []byte(marker), "")
		parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(2), ETag: copied.CopyPartResult.ETag})
		if key == "uploading" {
			continue
		}
		for i := range parts {
			parts[i] = types.CompletedPart{PartNumber: parts[i].PartNumber, ETag: parts[i].ETag}
		}
		if _, err := complete(t, s, bucket, &key, id, parts...); err != nil {
			t.Fatal(err)
		}
	}
}
