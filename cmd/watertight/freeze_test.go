package main

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/server"
	"watertight/test/harness"
)

// TestFreeze lists and lifts freezes of the ransom alarm, as an operator does.
func TestFreeze(t *testing.T) {
	o := console{t, harness.Start(t, func(c *server.Config) {
		c.AlarmWindow, c.AlarmOverwrites, c.FreezeOnAlarm = time.Hour, 1, true
	})}
	put := func(key string) error {
		_, err := o.s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("box"), Key: &key, Body: strings.NewReader("x"),
		})
		return err
	}
	if _, err := o.s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("box")}); err != nil {
		t.Fatal(err)
	}
	_, err := o.s.S3.PutBucketLifecycleConfiguration(t.Context(), &s3.PutBucketLifecycleConfigurationInput{
		Bucket: aws.String("box"), LifecycleConfiguration: &types.BucketLifecycleConfiguration{
			Rules: []types.LifecycleRule{{
				Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
				Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.says(exitOK, "no principal is frozen", "freeze", "list")
	for _, key := range []string{"k", "l", "k", "k", "l"} {
		if err := put(key); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("k"); err == nil {
		t.Fatal("the principal is not frozen")
	}
	account := o.account()
	o.says(exitOK, "BUCKET|box|arn:aws:iam::"+account+":root|2 overwrites", "freeze", "list")
	o.says(exitOK, "Lifecycle rules of these buckets wait", "freeze", "list", "s3://box")
	o.says(exitOK, "nothing is done before the freezes of box are lifted", "lifecycle", "preview", "s3://box")
	o.says(exitOK, `"PrincipalId": "`+account+`"`, "freeze", "list", "box", "--json")
	o.says(exitFailure, "NoSuchBucket", "freeze", "list", "other")
	o.says(exitFailure, "NoSuchEntity", "freeze", "lift", "box", "AIDANOBODY")
	o.says(exitOK, "may write to box again", "freeze", "lift", "s3://box", "arn:aws:iam::"+account+":root")
	o.says(exitOK, "no principal is frozen", "freeze", "list", "box")
	if err := put("k"); err != nil {
		t.Error(err)
	}
}
