package main

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// TestHistory prints the versions of a key, newest first, and who wrote them.
func TestHistory(t *testing.T) {
	s := harness.Start(t)
	ctx, bucket, key := t.Context(), aws.String("bkt"), aws.String("a/k")
	if _, err := s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled"},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.S3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: key, Body: strings.NewReader("hello"),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.S3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key}); err != nil {
		t.Fatal(err)
	}
	by := "by arn:aws:iam::" + accountOf(t, s) + ":root from 127.0.0.1 with " + s.AccessKeyID
	for name, c := range map[string]struct {
		args  []string
		works bool
		want  []string
	}{
		"lines":       {[]string{"s3://bkt/a/k"}, true, []string{"delete marker", by, "5 bytes, ETag 5d41402a", by}},
		"JSON":        {[]string{"s3://bkt/a/k", "--json"}, true, []string{`"DeleteMarker":true`, `"Size":5`}},
		"no key":      {[]string{"s3://bkt"}, false, []string{"s3://BUCKET/KEY"}},
		"another key": {[]string{"s3://bkt/b"}, false, []string{"NoSuchKey"}},
	} {
		t.Run(name, func(t *testing.T) {
			said := typeInto(t, s.Data, append([]string{"history"}, c.args...)...).ends(c.works)
			left := said
			for _, want := range c.want {
				_, after, ok := strings.Cut(left, want)
				if !ok {
					t.Fatalf("no %q in order in:\n%s", want, said)
				}
				left = after
			}
		})
	}
}
