package main

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// TestLifecyclePreview says what rules are going to do, and changes nothing.
func TestLifecyclePreview(t *testing.T) {
	o := console{t, harness.Start(t)}
	box, key := aws.String("box"), aws.String("old/\x1b[2J")
	if _, err := o.s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: box}); err != nil {
		t.Fatal(err)
	}
	o.says(exitFailure, "NoSuchLifecycleConfiguration", "lifecycle", "preview", "box")
	o.says(exitFailure, "NoSuchBucket", "lifecycle", "preview", "other")
	o.says(exitUsage, "is no instant", "lifecycle", "preview", "box", "--at", "tomorrow")
	_, err := o.s.S3.PutBucketLifecycleConfiguration(t.Context(), &s3.PutBucketLifecycleConfigurationInput{
		Bucket: box, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: aws.String("r"), Status: types.ExpirationStatusEnabled,
			Filter:     &types.LifecycleRuleFilter{Prefix: aws.String("old/")},
			Expiration: &types.LifecycleExpiration{Days: aws.Int32(3)},
		}}},
	})
	if err == nil {
		in := s3.PutObjectInput{Bucket: box, Key: key, Body: strings.NewReader("abc")}
		_, err = o.s.S3.PutObject(t.Context(), &in)
	}
	if err != nil {
		t.Fatal(err)
	}
	o.says(exitOK, `expire|"r"|3|"old/\x1b[2J"`, "lifecycle", "preview", "box")
	o.says(exitOK, `expire by rule "r": 1 (3 bytes), 0 of them due`, "lifecycle", "preview", "box")
	o.says(exitOK, `1 versions and delete markers in box,`, "lifecycle", "preview", "s3://box")
	o.says(exitOK, `1 versions and delete markers in box,`, "lifecycle", "preview", "s3://box/")
	o.says(exitUsage, `"s3://box/old/" is not the name of a bucket`, "lifecycle", "preview", "s3://box/old/")
	o.says(exitUsage, `"s3://" is not the name of a bucket`, "lifecycle", "preview", "s3://")
	o.says(exitOK, `1 of them due`, "lifecycle", "preview", "box", "--at", "9000-01-02")
	o.says(exitOK, `nothing is going to happen`, "lifecycle", "preview", "box", "--at", "2001-01-02T03:04:05Z")
	o.says(exitOK, `"Action": "expire"`, "lifecycle", "preview", "box", "--json")
	if _, err := o.s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: box, Key: key}); err != nil {
		t.Error(err)
	}
}
