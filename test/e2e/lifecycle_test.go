package e2e

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

// TestLifecycle: the SDK reads a configuration as it was put. Answers say when an object expires and
// when an upload is aborted. A running server executes the actions that are due, and its audit log has
// them.
func TestLifecycle(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.LifecycleInterval = 20 * time.Millisecond })
	ctx, c, box := t.Context(), s.S3, aws.String("box")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: box})
	must(err)
	_, err = c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket:                  box,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	must(err)
	gone := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	rules := []types.LifecycleRule{
		{
			ID: aws.String("30 days"), Status: types.ExpirationStatusEnabled,
			Filter:                         &types.LifecycleRuleFilter{Prefix: aws.String("stays/")},
			Expiration:                     &types.LifecycleExpiration{Days: aws.Int32(30)},
			AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(7)},
		},
		{
			ID: aws.String("at once"), Status: types.ExpirationStatusEnabled,
			Filter: &types.LifecycleRuleFilter{And: &types.LifecycleRuleAndOperator{
				Prefix: aws.String("goes/"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
			}},
			Expiration: &types.LifecycleExpiration{Date: &gone},
		},
	}
	put := func(rules ...types.LifecycleRule) (*s3.PutBucketLifecycleConfigurationOutput, error) {
		return c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
			Bucket: box, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: rules},
		})
	}
	_, err = put(rules...)
	must(err)
	got, err := c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: box})
	must(err)
	if len(got.Rules) != 2 || *got.Rules[0].Expiration.Days != 30 || !got.Rules[1].Expiration.Date.Equal(gone) ||
		*got.Rules[1].Filter.And.Tags[0].Value != "v" ||
		got.TransitionDefaultMinimumObjectSize != types.TransitionDefaultMinimumObjectSizeAllStorageClasses128k {
		t.Errorf("%+v", got)
	}
	p, err := c.PutObject(ctx, &s3.PutObjectInput{
		Bucket: box, Key: aws.String("stays/a"), Body: strings.NewReader("x"),
	})
	must(err)
	h, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: box, Key: aws.String("stays/a")})
	must(err)
	at := h.LastModified.UTC().AddDate(0, 0, 31).Truncate(24 * time.Hour).Format("Mon, 02 Jan 2006 15:04:05 GMT")
	want := `expiry-date="` + at + `", rule-id="30 days"`
	if aws.ToString(p.Expiration) != want || aws.ToString(h.Expiration) != want {
		t.Errorf("%q and %q, not %q", aws.ToString(p.Expiration), aws.ToString(h.Expiration), want)
	}
	h, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: box, Key: aws.String("stays/a"), VersionId: p.VersionId})
	must(err)
	if h.Expiration != nil {
		t.Errorf("a HEAD with a version id returns %q", *h.Expiration)
	}
	u, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: box, Key: aws.String("stays/u")})
	must(err)
	l, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: box, Key: u.Key, UploadId: u.UploadId})
	must(err)
	if aws.ToString(u.AbortRuleId) != "30 days" || u.AbortDate == nil || !u.AbortDate.Equal(aws.ToTime(l.AbortDate)) ||
		time.Until(*u.AbortDate) > 8*24*time.Hour || u.AbortDate.Truncate(24*time.Hour) != *u.AbortDate {
		t.Errorf("%+v %+v", u, l)
	}

	_, err = c.PutObject(ctx, &s3.PutObjectInput{
		Bucket: box, Key: aws.String("goes/a"), Body: strings.NewReader("x"), Tagging: aws.String("k=v"),
	})
	must(err)
	all := &s3.ListObjectVersionsOutput{}
	for len(all.DeleteMarkers) == 0 {
		if all, err = c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: box}); err != nil {
			t.Fatal(err)
		}
	}
	if len(all.Versions) != 2 || *all.DeleteMarkers[0].Key != "goes/a" {
		t.Errorf("%+v", all)
	}

	// The refusal names the storage class, and nothing changes.
	archive := rules[0]
	archive.Transitions = []types.Transition{{Days: aws.Int32(1), StorageClass: types.TransitionStorageClassGlacier}}
	if _, err = put(archive); err == nil || !strings.Contains(err.Error(), "InvalidStorageClass") {
		t.Error(err)
	}
	_, err = c.DeleteBucketLifecycle(ctx, &s3.DeleteBucketLifecycleInput{Bucket: box})
	must(err)
	_, err = c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: box})
	if err == nil || !strings.Contains(err.Error(), "NoSuchLifecycleConfiguration") {
		t.Error(err)
	}
}
