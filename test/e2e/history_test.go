package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/internal/operator"
	"watertight/test/harness"
)

// TestHistorySaysWhoWrote: every kind of write records the principal, the address and the access key,
// also of sessions. Later changes of tags do not.
func TestHistorySaysWhoWrote(t *testing.T) {
	s := harness.Start(t)
	ctx, bucket := t.Context(), *newBucket(t, s, "history")
	if _, err := s.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled"},
	}); err != nil {
		t.Fatal(err)
	}
	_, alice, user := newUser(t, s, "alice")
	if _, err := rootIAM(s).PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: aws.String("alice"), PolicyName: aws.String("all"),
		PolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`),
	}); err != nil {
		t.Fatal(err)
	}
	keyOf := func(c *s3.Client) string {
		k, err := c.Options().Credentials.Retrieve(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return k.AccessKeyID
	}
	tokens, err := stsClient(s, s.AccessKeyID, s.SecretAccessKey, "").GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	c := tokens.Credentials
	session := s3.New(s.S3.Options(), func(o *s3.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	})
	root := "arn:aws:iam::" + strings.Split(user, ":")[4] + ":root"
	key := aws.String("k")
	put := func(c *s3.Client, text string) func() error {
		return func() error {
			_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: key, Body: strings.NewReader(text)})
			return err
		}
	}
	var want []string
	for _, step := range []struct {
		do            func() error
		by, key, what string
	}{
		{put(s.S3, "1"), root, s.AccessKeyID, "1"},
		{put(alice, "22"), user, keyOf(alice), "2"},
		{put(session, "333"), root, *c.AccessKeyId, "3"},
		{func() error {
			_, err := alice.CopyObject(ctx, &s3.CopyObjectInput{
				Bucket: &bucket, Key: key, CopySource: aws.String(bucket + "/k"),
				MetadataDirective: types.MetadataDirectiveReplace,
			})
			return err
		}, user, keyOf(alice), "3"},
		{func() error { // begun by alice, completed by root
			up, err := alice.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: key})
			if err != nil {
				return err
			}
			part, err := alice.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: &bucket, Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(1),
				Body: strings.NewReader("4444"),
			})
			if err != nil {
				return err
			}
			_, err = s.S3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
				Bucket: &bucket, Key: key, UploadId: up.UploadId,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{
					{PartNumber: aws.Int32(1), ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32},
				}},
			})
			return err
		}, root, s.AccessKeyID, "4"},
		{func() error {
			p := post{bucket: bucket, file: "55555", fields: map[string]string{"key": "k"}}
			if a := send(t, s, p.build(t, s)); a.status != 204 {
				return fmt.Errorf("the form answers %d", a.status)
			}
			return nil
		}, root, s.AccessKeyID, "5"},
		{func() error {
			_, err := alice.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: key})
			return err
		}, user, keyOf(alice), "marker"},
		{func() error {
			_, err := session.DeleteObjects(ctx, &s3.DeleteObjectsInput{
				Bucket: &bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: key}}},
			})
			return err
		}, root, *c.AccessKeyId, "marker"},
	} {
		if err := step.do(); err != nil {
			t.Fatal(len(want), err)
		}
		want = append(want, fmt.Sprintln(step.what, step.by, "127.0.0.1", step.key))
	}
	slices.Reverse(want)
	history := func() (got []string, ids []string) {
		n, err := operator.Dial(s.Data).History(ctx, operator.HistoryCommand{Bucket: bucket, Key: "k"},
			func(v operator.Past) error {
				what := fmt.Sprint(v.Size)
				if v.DeleteMarker {
					what = "marker"
				} else if v.ETag == "" {
					t.Errorf("%+v", v)
				}
				got = append(got, fmt.Sprintln(what, v.Writer, v.Address, v.AccessKeyID))
				ids = append(ids, v.ID)
				return nil
			})
		if err != nil || n != len(got) {
			t.Errorf("%d of %d, %v", len(got), n, err)
		}
		return got, ids
	}
	got, ids := history()
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if _, err := alice.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
		Bucket: &bucket, Key: key, VersionId: &ids[len(ids)-1],
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}},
	}); err != nil {
		t.Fatal(err)
	}
	if got, _ := history(); !slices.Equal(got, want) {
		t.Errorf("after tagging: %s", got)
	}
	for name, in := range map[string]operator.HistoryCommand{
		"NoSuchBucket": {Bucket: "nothing", Key: "k"}, "NoSuchKey": {Bucket: bucket, Key: "nothing"},
		"InvalidURI": {Bucket: bucket, Key: "\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := operator.Dial(s.Data).History(ctx, in, func(operator.Past) error { return nil })
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Error(err)
			}
		})
	}
}
