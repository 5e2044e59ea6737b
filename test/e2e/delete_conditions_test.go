package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"watertight/test/harness"
)

// A deletion happens only if every condition holds, alone or in a batch.
func TestDeleteConditions(t *testing.T) {
	s := harness.Start(t)
	bucket, key, ctx := newBucket(t, s, "conditions"), aws.String("k"), t.Context()
	cases := map[string]struct {
		match string
		shift time.Duration // of the time asked for; -1 asks for none
		size  int64         // 0 asks for none
		code  string
	}{
		"all hold":      {"*", 0, 5, ""},
		"size alone":    {"", -1, 5, ""},
		"time alone":    {"", 0, 0, ""},
		"other size":    {"*", 0, 6, "PreconditionFailed"},
		"other time":    {"*", time.Second, 5, "PreconditionFailed"},
		"other tag":     {`"x"`, 0, 5, "PreconditionFailed"},
		"negative size": {"", -1, -1, "InvalidArgument"},
	}
	for name, c := range cases {
		for _, batch := range []bool{false, true} {
			put, err := s.S3.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("hello")})
			if err != nil {
				t.Fatal(err)
			}
			if *put.Size != 5 {
				t.Errorf("PutObject says that it stored %d bytes", *put.Size)
			}
			head, err := s.S3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			o := types.ObjectIdentifier{Key: key}
			if c.match != "" {
				o.ETag = &c.match
			}
			if c.shift >= 0 {
				o.LastModifiedTime = aws.Time(head.LastModified.Add(c.shift))
			}
			if c.size != 0 {
				o.Size = &c.size
			}
			if code := deleteOne(t, s, bucket, o, batch); code != c.code {
				t.Errorf("%s, batch %v: %q, want %q", name, batch, code, c.code)
			}
			_, err = s.S3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: key})
			if gone := err != nil; gone != (c.code == "") {
				t.Errorf("%s, batch %v: gone is %v", name, batch, gone)
			}
		}
	}
}

// deleteOne deletes alone or in a batch and returns the error code.
func deleteOne(t *testing.T, s *harness.Server, bucket *string, o types.ObjectIdentifier, batch bool) string {
	t.Helper()
	if batch {
		out, err := s.S3.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{o}}})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Errors) > 0 {
			return *out.Errors[0].Code
		}
		return ""
	}
	_, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{
		Bucket: bucket, Key: o.Key, IfMatch: o.ETag, IfMatchLastModifiedTime: o.LastModifiedTime, IfMatchSize: o.Size,
	})
	if api := smithy.APIError(nil); errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// A condition that can't be read must not be passed over.
func TestDeleteConditionsUnreadable(t *testing.T) {
	s := harness.Start(t)
	bucket, key := newBucket(t, s, "conditions"), aws.String("k")
	if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("hello")}); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"x-amz-if-match-last-modified-time": "yesterday", "x-amz-if-match-size": "five"} {
		_, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: key},
			s3.WithAPIOptions(smithyhttp.SetHeaderValue(name, value)))
		wantCode(t, err, 400, "InvalidArgument")
	}
	if _, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: key}); err != nil {
		t.Error("deleted in spite of a condition:", err)
	}
}
