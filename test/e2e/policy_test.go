package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestPolicyComesBack: a policy is stored exactly as it was put, and its status
// does not depend on Block Public Access.
func TestPolicyComesBack(t *testing.T) {
	s, bucket := openServer(t, "stored")
	ctx := t.Context()
	get := func() (string, error) {
		out, err := s.S3.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket})
		if err != nil {
			return "", err
		}
		return *out.Policy, nil
	}
	status := func() (bool, error) {
		out, err := s.S3.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: bucket})
		if err != nil {
			return false, err
		}
		return *out.PolicyStatus.IsPublic, nil
	}
	_, err := get()
	wantCode(t, err, 404, "NoSuchBucketPolicy")
	_, err = status()
	wantCode(t, err, 404, "NoSuchBucketPolicy")
	for text, public := range map[string]bool{
		"{\n \"Statement\" : [" + everybody(bucket) + "]\n}": true,
		`{"Version":"2012-10-17","Id":"x","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*",` +
			`"Resource":"arn:aws:s3:::stored/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}}`: false,
	} {
		t.Run(fmt.Sprintf("%.60s", text), func(t *testing.T) {
			blockBucket(t, s, bucket, blocks{})
			if _, err := s.S3.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{
				Bucket: bucket, Policy: &text,
			}); err != nil {
				t.Fatal(err)
			}
			if got, err := get(); err != nil || got != text {
				t.Errorf("%q, %v", got, err)
			}
			blockBucket(t, s, bucket, blocks{true, true, true, true})
			if got, err := status(); err != nil || got != public {
				t.Errorf("public: %v, %v", got, err)
			}
		})
	}
	for range 2 {
		if _, err := s.S3.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: bucket}); err != nil {
			t.Error(err)
		}
	}
	_, err = get()
	wantCode(t, err, 404, "NoSuchBucketPolicy")
	_, err = s.S3.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String("not-there")})
	wantCode(t, err, 404, "NoSuchBucket")
}

// TestLockOut: a caller who would lock itself out has to confirm that. The root user can always
// change the policy, but nothing else.
func TestLockOut(t *testing.T) {
	s, bucket := openServer(t, "locked")
	store(t, s, bucket, "key")
	ctx := t.Context()
	_, admin, _ := newUser(t, s, "admin")
	if _, err := rootIAM(s).PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("admin"),
		PolicyName: aws.String("all"),
		PolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`)}); err != nil {
		t.Fatal(err)
	}
	deny := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*",` +
		`"Resource":["arn:aws:s3:::locked","arn:aws:s3:::locked/*"]}}`
	put := func(c *s3.Client, confirmed bool) error {
		_, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{
			Bucket: bucket, Policy: &deny, ConfirmRemoveSelfBucketAccess: &confirmed,
		})
		return err
	}
	wantCode(t, put(admin, false), 400, "InvalidRequest")
	if err := put(admin, true); err != nil {
		t.Fatal(err)
	}
	wantCode(t, put(admin, true), 403, "AccessDenied")
	for who, c := range map[string]*s3.Client{"the user": admin, "root": s.S3} {
		t.Run(who, func(t *testing.T) {
			if _, err := c.GetObject(ctx, &s3.GetObjectInput{
				Bucket: bucket, Key: aws.String("key"),
			}); statusOf(err) != 403 {
				t.Errorf("%s reads what the policy denies: %v", who, err)
			}
		})
	}
	if text := policyOf(t, s, bucket); text != deny {
		t.Error(text)
	}
	if err := put(s.S3, false); err != nil {
		t.Error("the root user must confirm a policy that does not lock it out", err)
	}
	if _, err := s.S3.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, s, "locked", "key"); got != "of key" {
		t.Error(got)
	}
}

// TestPolicyAcrossAccounts: the policies of both accounts must allow. For a user of another account,
// the bucket owner's policy is not enough.
func TestPolicyAcrossAccounts(t *testing.T) {
	s, bucket := openServer(t, "shared")
	store(t, s, bucket, "key")
	foreign := s.CreateAccount(t, "foreign")
	id := accountOf(t, s, foreign)
	root := iamClient(s, foreign.AccessKeyID, foreign.SecretAccessKey, "")
	if _, err := root.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("bob")}); err != nil {
		t.Fatal(err)
	}
	k, err := root.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("bob")})
	if err != nil {
		t.Fatal(err)
	}
	get := raw{
		method: "GET", target: "/shared/key", key: *k.AccessKey.AccessKeyId, secret: *k.AccessKey.SecretAccessKey,
	}
	status := func() int { t.Helper(); return send(t, s, get).status }
	allow := func(allowed string) {
		t.Helper()
		if _, err := root.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("bob"),
			PolicyName: aws.String("p"),
			PolicyDocument: aws.String(fmt.Sprintf(
				`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject",`+
					`"Resource":"arn:aws:s3:::%s/*"}}`,
				allowed,
			))}); err != nil {
			t.Fatal(err)
		}
	}
	for i, principal := range []string{"arn:aws:iam::" + id + ":root", id, "arn:aws:iam::" + id + ":user/bob"} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			allow("another")
			if _, err := s.S3.DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: bucket}); err != nil {
				t.Fatal(err)
			}
			allow("shared")
			if got := status(); got != 403 {
				t.Error("only the caller's side allows, but the answer is", got)
			}
			if err := putPolicy(t, s.S3, bucket,
				`{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"s3:GetObject",`+
					`"Resource":"arn:aws:s3:::shared/*"}`, principal); err != nil {
				t.Fatal(err)
			}
			if got := status(); got != 200 {
				t.Error("both sides", principal, got)
			}
			allow("another")
			if got := status(); got != 403 {
				t.Error("only the owner's side allows, but the answer is", principal, got)
			}
			if text := policyOf(t, s, bucket); strings.Contains(principal, ":user/bob") &&
				!strings.Contains(text, ":user/bob") {
				t.Errorf("the policy does not name the user: %s", text)
			}
		})
	}
}

// TestStrangersUpload: if a policy lets an anonymous caller put an object, the object belongs to the
// bucket's owner. A multipart upload cannot begin without a signature.
func TestStrangersUpload(t *testing.T) {
	s, bucket := openServer(t, "drop")
	if err := putPolicy(t, s.S3, bucket, "%s", everybody(bucket)); err != nil {
		t.Fatal(err)
	}
	key, ctx := aws.String("key"), t.Context()
	_, err := anonymous(s).CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	wantCode(t, err, 403, "AccessDenied")
	if !strings.Contains(err.Error(), "Anonymous users cannot initiate multipart uploads") {
		t.Error(err)
	}
	if l, err := s.S3.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{
		Bucket: bucket,
	}); err != nil || len(l.Uploads) != 0 {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := anonymous(s).PutObject(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: key, Body: strings.NewReader("of key"),
	}); err != nil {
		t.Fatal(err)
	}
	blockBucket(t, s, bucket, blocks{restrict: true})
	if got := contents(t, s, "drop", "key"); got != "of key" {
		t.Errorf("the owner reads %q", got)
	}
	owned, err := s.S3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, FetchOwner: aws.Bool(true)})
	if err != nil || aws.ToString(owned.Contents[0].Owner.ID) == "" {
		t.Errorf("%+v, %v", owned, err)
	}
}
