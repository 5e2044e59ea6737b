package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// blocked returns a short form of a bucket's encryption configuration.
func blocked(t *testing.T, s *harness.Server, bucket *string) string {
	t.Helper()
	out, err := s.S3.GetBucketEncryption(t.Context(), &s3.GetBucketEncryptionInput{Bucket: bucket})
	if err != nil || len(out.ServerSideEncryptionConfiguration.Rules) != 1 {
		t.Fatal(out, err)
	}
	r := out.ServerSideEncryptionConfiguration.Rules[0]
	said := string(r.ApplyServerSideEncryptionByDefault.SSEAlgorithm)
	if key := r.ApplyServerSideEncryptionByDefault.KMSMasterKeyID; key != nil {
		said += ", " + *key
	}
	if aws.ToBool(r.BucketKeyEnabled) {
		said += ", bucket key"
	}
	if r.BlockedEncryptionTypes != nil {
		for _, e := range r.BlockedEncryptionTypes.EncryptionType {
			said += ", " + string(e)
		}
	}
	return said
}

func putEncryption(t *testing.T, s *harness.Server, bucket *string, rules ...types.ServerSideEncryptionRule) error {
	t.Helper()
	_, err := s.S3.PutBucketEncryption(t.Context(), &s3.PutBucketEncryptionInput{
		Bucket: bucket, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: rules},
	})
	return err
}

func byDefault(algorithm types.ServerSideEncryption, key *string) *types.ServerSideEncryptionByDefault {
	return &types.ServerSideEncryptionByDefault{SSEAlgorithm: algorithm, KMSMasterKeyID: key}
}

func blocking(all ...types.EncryptionType) *types.BlockedEncryptionTypes {
	return &types.BlockedEncryptionTypes{EncryptionType: all}
}

// TestBlockedCustomerKeys: if a bucket blocks SSE-C, no kind of write accepts a
// customer's key, objects written before can still be read, and the block stays
// until it is explicitly removed.
func TestBlockedCustomerKeys(t *testing.T) {
	s, bucket := secured(t, "blocks")
	mine := newOwnKey("mine")
	write := func() map[string]error {
		errs := map[string]error{}
		_, errs["put"] = s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: aws.String("new"), Body: strings.NewReader("x"), SSECustomerAlgorithm: mine.algorithm,
			SSECustomerKey: mine.key, SSECustomerKeyMD5: mine.md5,
		})
		_, errs["copy"] = s.S3.CopyObject(t.Context(), &s3.CopyObjectInput{
			Bucket: bucket, Key: aws.String("new"), CopySource: aws.String("blocks/plain"),
			SSECustomerAlgorithm: mine.algorithm, SSECustomerKey: mine.key, SSECustomerKeyMD5: mine.md5,
		})
		_, errs["create"] = s.S3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
			Bucket: bucket, Key: aws.String("new"), SSECustomerAlgorithm: mine.algorithm, SSECustomerKey: mine.key,
			SSECustomerKeyMD5: mine.md5,
		})
		return errs
	}
	putOwn(t, s, bucket, "old", []byte("old"), mine)
	putOwn(t, s, bucket, "plain", []byte("plain"), ownKey{})
	u := beginOwn(t, s, bucket, "upload", mine, "")
	if got := blocked(t, s, bucket); got != "AES256" {
		t.Errorf("at first: %s", got)
	}
	for what, err := range write() {
		if err != nil {
			t.Errorf("%s before: %v", what, err)
		}
	}
	if err := putEncryption(t, s, bucket, types.ServerSideEncryptionRule{
		BlockedEncryptionTypes: blocking("SSE-C"),
	}); err != nil {
		t.Fatal(err)
	}
	for i, change := range []func() error{
		func() error { return nil },
		func() error {
			return putEncryption(t, s, bucket, types.ServerSideEncryptionRule{
				ApplyServerSideEncryptionByDefault: byDefault("AES256", nil), BucketKeyEnabled: aws.Bool(true),
			})
		},
		func() error {
			_, err := s.S3.DeleteBucketEncryption(t.Context(), &s3.DeleteBucketEncryptionInput{Bucket: bucket})
			return err
		},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			if got := blocked(t, s, bucket); !strings.HasSuffix(got, "SSE-C") {
				t.Errorf("blocked: %s", got)
			}
			for what, err := range write() {
				wantCode(t, err, 403, "AccessDenied")
				if err != nil && !strings.Contains(err.Error(), "has blocked upload requests") {
					t.Errorf("%s: %v", what, err)
				}
			}
			_, err := u.part(1, []byte("x"), mine, "")
			wantCode(t, err, 403, "AccessDenied")
			_, err = u.copied(1, "plain", ownKey{}, mine)
			wantCode(t, err, 403, "AccessDenied")
			// Reads go on, and so does every request without a key.
			if got, _, err := getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: aws.String("old")},
				mine); err != nil || string(got) != "old" {
				t.Errorf("read: %q, %v", got, err)
			}
			putOwn(t, s, bucket, "plain", []byte("plain"), ownKey{})
			_, err = s.S3.CopyObject(t.Context(), &s3.CopyObjectInput{
				Bucket: bucket, Key: aws.String("out"), CopySource: aws.String("blocks/old"),
				CopySourceSSECustomerAlgorithm: mine.algorithm, CopySourceSSECustomerKey: mine.key,
				CopySourceSSECustomerKeyMD5: mine.md5,
			})
			if err != nil {
				t.Errorf("copied out: %v", err)
			}
		})
	}
	if err := putEncryption(t, s, bucket, types.ServerSideEncryptionRule{
		BlockedEncryptionTypes: blocking("NONE"),
	}); err != nil {
		t.Fatal(err)
	}
	if got := blocked(t, s, bucket); got != "AES256, NONE" {
		t.Errorf("after the block was removed: %s", got)
	}
	for what, err := range write() {
		if err != nil {
			t.Errorf("%s afterwards: %v", what, err)
		}
	}
}

// TestBlockedCustomerKeysForm: a form with a key is refused wherever a PUT is.
func TestBlockedCustomerKeysForm(t *testing.T) {
	s := harness.Start(t, allowingSSEC)
	bucket := newBucket(t, s, "blocks-forms")
	fields := map[string]string{"key": "posted"}
	for name, v := range newOwnKey("mine").header("x-amz-") {
		fields[strings.ToLower(name)] = v[0]
	}
	form := post{bucket: *bucket, fields: fields, file: "x"}
	if a := send(t, s, form.build(t, s)); a.status != 204 {
		t.Fatalf("before: %d %s", a.status, a.body)
	}
	if err := putEncryption(t, s, bucket, types.ServerSideEncryptionRule{
		BlockedEncryptionTypes: blocking("SSE-C"),
	}); err != nil {
		t.Fatal(err)
	}
	if a := send(t, s, form.build(t, s)); a.status != 403 || a.code != "AccessDenied" {
		t.Errorf("after: %d %s", a.status, a.body)
	}
}

// TestBucketEncryption: a configuration that is invalid or not implemented
// changes nothing.
func TestBucketEncryption(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "encryption")
	aes := types.ServerSideEncryptionRule{ApplyServerSideEncryptionByDefault: byDefault("AES256", nil)}
	for name, c := range map[string]struct {
		rules  []types.ServerSideEncryptionRule
		status int
		code   string
	}{
		"no rule":   {[]types.ServerSideEncryptionRule{}, 400, "MalformedXML"},
		"two rules": {[]types.ServerSideEncryptionRule{aes, aes}, 400, "MalformedXML"},
		"no algorithm": {
			[]types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: byDefault("ROT13", nil)}}, 400,
			"MalformedXML",
		},
		"a KMS key": {
			[]types.ServerSideEncryptionRule{{
				ApplyServerSideEncryptionByDefault: byDefault("AES256", aws.String("k")),
			}},
			400, "InvalidArgument",
		},
		"FSx": {
			[]types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: byDefault("aws:fsx", nil)}}, 501,
			"NotImplemented",
		},
		"a bucket key and two layers": {
			[]types.ServerSideEncryptionRule{{
				ApplyServerSideEncryptionByDefault: byDefault("aws:kms:dsse", nil), BucketKeyEnabled: aws.Bool(true),
			}},
			400, "InvalidArgument",
		},
		"a wrong block": {
			[]types.ServerSideEncryptionRule{{BlockedEncryptionTypes: blocking("SSE-S3")}}, 400, "MalformedXML",
		},
		"both blocks": {
			[]types.ServerSideEncryptionRule{{BlockedEncryptionTypes: blocking("NONE", "SSE-C")}}, 400, "MalformedXML",
		},
	} {
		t.Log(name)
		wantCode(t, putEncryption(t, s, bucket, c.rules...), c.status, c.code)
	}
	if got := blocked(t, s, bucket); got != "AES256, SSE-C" { // as at first
		t.Errorf("after refusals: %s", got)
	}
	if err := putEncryption(t, s, bucket, types.ServerSideEncryptionRule{
		ApplyServerSideEncryptionByDefault: byDefault("AES256", nil), BucketKeyEnabled: aws.Bool(true),
	}); err != nil {
		t.Fatal(err)
	}
	if got := blocked(t, s, bucket); got != "AES256, bucket key, SSE-C" {
		t.Errorf("bucket key: %s", got)
	}
	if err := putEncryption(t, s, bucket, types.ServerSideEncryptionRule{
		ApplyServerSideEncryptionByDefault: byDefault("aws:kms", aws.String("alias/ours")),
		BucketKeyEnabled:                   aws.Bool(true), BlockedEncryptionTypes: blocking("NONE"),
	}); err != nil {
		t.Fatal(err)
	}
	if got := blocked(t, s, bucket); got != "aws:kms, alias/ours, bucket key, NONE" {
		t.Errorf("a key: %s", got)
	}
	if err := putEncryption(t, s, bucket, types.ServerSideEncryptionRule{
		BlockedEncryptionTypes: blocking("SSE-C"),
	}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.S3.DeleteBucketEncryption(t.Context(), &s3.DeleteBucketEncryptionInput{
			Bucket: bucket,
		}); err != nil {
			t.Fatal(err)
		}
	}
	if got := blocked(t, s, bucket); got != "AES256, SSE-C" {
		t.Errorf("deleted: %s", got)
	}
	_, err := s.S3.GetBucketEncryption(t.Context(), &s3.GetBucketEncryptionInput{Bucket: aws.String("no-such-bucket")})
	wantCode(t, err, 404, "NoSuchBucket")
}
