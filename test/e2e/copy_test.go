package e2e

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// TestCopy checks bytes, metadata, tags and checksums of a copy, for each directive.
func TestCopy(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "from")
	newBucket(t, s, "target")
	large := bytes.Repeat([]byte("thirty bytes of a large object"), 10_000)
	put, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("from"), Key: aws.String("a b/é+c"), Body: bytes.NewReader(large),
		ContentType: aws.String("text/x"), Metadata: map[string]string{"colour": "blue"},
		Tagging: aws.String("a=b"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		StorageClass: types.StorageClassStandardIa,
	})
	if err != nil {
		t.Fatal(err)
	}
	source := aws.String("from/a%20b/%C3%A9%2Bc")
	for name, c := range map[string]struct {
		change                   func(*s3.CopyObjectInput)
		kind, colour, class, sum string
		tags                     int32
	}{
		"as it is": {func(*s3.CopyObjectInput) {}, "text/x", "blue", "", "sha256", 1},
		"new metadata": {func(in *s3.CopyObjectInput) {
			in.MetadataDirective, in.ContentType, in.Metadata = "REPLACE", aws.String("text/y"), map[string]string{
				"colour": "red",
			}
		}, "text/y", "red", "", "sha256", 1},
		"new tags": {func(in *s3.CopyObjectInput) {
			in.TaggingDirective, in.Tagging = "REPLACE", aws.String(
				"x=1&y=2")
		}, "text/x", "blue", "", "sha256", 2},
		"no tags": {
			func(in *s3.CopyObjectInput) { in.TaggingDirective = "REPLACE" }, "text/x", "blue", "", "sha256", 0,
		},
		"another class and checksum": {func(in *s3.CopyObjectInput) {
			in.StorageClass, in.ChecksumAlgorithm = types.StorageClassOnezoneIa, types.ChecksumAlgorithmCrc32
		}, "text/x", "blue", "ONEZONE_IA", "crc32", 1},
	} {
		t.Run(name, func(t *testing.T) {
			in := &s3.CopyObjectInput{Bucket: aws.String("target"), Key: aws.String(name), CopySource: source}
			c.change(in)
			out, err := s.S3.CopyObject(t.Context(), in)
			if err != nil || *out.CopyObjectResult.ETag != *put.ETag {
				t.Fatalf("%+v, %v", out, err)
			}
			if got, err := readObject(t.Context(), s.S3, aws.String("target"),
				name); err != nil || !bytes.Equal(got, large) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			h, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{
				Bucket: aws.String("target"), Key: aws.String(name), ChecksumMode: types.ChecksumModeEnabled,
			})
			if err != nil || *h.ContentType != c.kind || h.Metadata["colour"] != c.colour ||
				string(h.StorageClass) != c.class || aws.ToInt32(h.TagCount) != c.tags ||
				(h.ChecksumSHA256 != nil) != (c.sum == "sha256") || (h.ChecksumCRC32 != nil) != (c.sum == "crc32") {
				t.Errorf("%+v, %v", h, err)
			}
		})
	}
}

// TestCopyConditions checks each condition on the source separately, and those on the target.
func TestCopyConditions(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "cond")
	put, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("cond"), Key: aws.String("k"), Body: strings.NewReader("x"),
	})
	if err != nil {
		t.Fatal(err)
	}
	past, future := aws.Time(time.Now().Add(-time.Hour)), aws.Time(time.Now().Add(time.Hour))
	for name, c := range map[string]struct {
		change func(*s3.CopyObjectInput)
		want   string
	}{
		"match": {func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = put.ETag }, ""},
		"no match": {func(in *s3.CopyObjectInput) {
			in.CopySourceIfMatch = aws.String(
				"x")
		}, "PreconditionFailed"},
		"none match": {
			func(in *s3.CopyObjectInput) { in.CopySourceIfNoneMatch = put.ETag }, "PreconditionFailed",
		},
		"not modified": {
			func(in *s3.CopyObjectInput) { in.CopySourceIfUnmodifiedSince = past }, "PreconditionFailed",
		},
		"unmodified": {func(in *s3.CopyObjectInput) { in.CopySourceIfUnmodifiedSince = future }, ""},
		"modified":   {func(in *s3.CopyObjectInput) { in.CopySourceIfModifiedSince = past }, ""},
		"target must not exist": {func(in *s3.CopyObjectInput) {
			in.IfNoneMatch = aws.String(
				"*")
		}, "PreconditionFailed"},
		"target must match": {func(in *s3.CopyObjectInput) { in.IfMatch = aws.String("x") }, "PreconditionFailed"},
		"gone source":       {func(in *s3.CopyObjectInput) { in.CopySource = aws.String("cond/none") }, "NoSuchKey"},
		"gone bucket": {func(in *s3.CopyObjectInput) {
			in.CopySource = aws.String(
				"no-such-bucket/none")
		}, "NoSuchBucket"},
		"foreign owner": {func(in *s3.CopyObjectInput) {
			in.ExpectedSourceBucketOwner = aws.String(
				"000000000000")
		}, "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String("cond"), Key: aws.String("target"), Body: strings.NewReader("y"),
			}); err != nil {
				t.Fatal(err)
			}
			in := &s3.CopyObjectInput{
				Bucket: aws.String("cond"), Key: aws.String("target"), CopySource: aws.String("cond/k"),
			}
			c.change(in)
			if _, err := s.S3.CopyObject(t.Context(), in); code(err) != c.want {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		})
	}
}

// TestCopyVersions: a version of the source is copied by its id, and a delete
// marker can't be.
func TestCopyVersions(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "ver")
	if _, err := s.S3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: aws.String("ver"), VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled"},
	}); err != nil {
		t.Fatal(err)
	}
	put := func(text string) *string {
		t.Helper()
		out, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("ver"), Key: aws.String("k"), Body: strings.NewReader(text),
		})
		if err != nil {
			t.Fatal(err)
		}
		return out.VersionId
	}
	first := put("first")
	put("second")
	marker, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{
		Bucket: aws.String("ver"), Key: aws.String("k"),
	})
	if err != nil {
		t.Fatal(err)
	}
	// Copying an old version over the key restores it.
	out, err := s.S3.CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: aws.String("ver"), Key: aws.String("k"), CopySource: aws.String("ver/k?versionId=" + *first),
	})
	if err != nil || *out.CopySourceVersionId != *first || out.VersionId == nil || *out.VersionId == *first {
		t.Fatalf("%+v, %v", out, err)
	}
	if got, err := readObject(t.Context(), s.S3, aws.String("ver"), "k"); err != nil || string(got) != "first" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.S3.CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: aws.String("ver"), Key: aws.String("x"), CopySource: aws.String("ver/k?versionId=" + *marker.VersionId),
	}); code(err) != "InvalidRequest" {
		t.Errorf("a marker: %v", err)
	}
}

// TestCopyNeedsTheSource: a caller who may not read the source can't copy it, and does not learn
// whether it exists.
func TestCopyNeedsTheSource(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "secret")
	if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("secret"), Key: aws.String("k"), Body: strings.NewReader("x"),
	}); err != nil {
		t.Fatal(err)
	}
	foreign := harness.Client(s.Endpoint, s.CreateAccount(t, "foreign"))
	if _, err := foreign.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("foreign")}); err != nil {
		t.Fatal(err)
	}
	u, err := foreign.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: aws.String("foreign"), Key: aws.String("k"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"secret/k", "secret/none"} {
		t.Run(source, func(t *testing.T) {
			if _, err := foreign.CopyObject(t.Context(), &s3.CopyObjectInput{
				Bucket: aws.String("foreign"), Key: aws.String("k"), CopySource: &source,
			}); code(err) != "AccessDenied" {
				t.Errorf("copy of %s: %v", source, err)
			}
			if _, err := foreign.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{
				Bucket: aws.String("foreign"), Key: aws.String("k"), UploadId: u.UploadId, PartNumber: aws.Int32(1),
				CopySource: &source,
			}); code(err) != "AccessDenied" {
				t.Errorf("part copy of %s: %v", source, err)
			}
		})
	}
}
