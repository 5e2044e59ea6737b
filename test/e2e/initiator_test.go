package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// allowUser gives a user one inline policy.
func allowUser(t *testing.T, s *harness.Server, name, statements string) {
	t.Helper()
	_, err := rootIAM(s).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &name,
		PolicyName:     aws.String("own"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)})
	if err != nil {
		t.Fatal(err)
	}
}

// TestInitiatorMayEndItsUpload: the principal that began an upload may list its
// parts and abort it without an explicit permission, unless something denies
// it. Others may not, not even a new principal with the same name.
func TestInitiatorMayEndItsUpload(t *testing.T) {
	s, bucket := openServer(t, "begun")
	const put = `{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::begun/*"}`
	_, alice, _ := newUser(t, s, "alice")
	_, bob, _ := newUser(t, s, "bob")
	allowUser(t, s, "alice", put)
	allowUser(t, s, "bob", put)
	key, ctx := aws.String("k"), t.Context()
	begin := func(c *s3.Client) *string {
		t.Helper()
		u, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		return u.UploadId
	}
	list := func(c *s3.Client, id *string) int {
		_, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: bucket, Key: key, UploadId: id})
		return statusOf(err)
	}
	abort := func(c *s3.Client, id *string) int {
		_, err := c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: bucket, Key: key, UploadId: id})
		return statusOf(err)
	}
	id := begin(alice)
	ends := func(t *testing.T, c *s3.Client, id *string, wantList, wantAbort int) {
		t.Helper()
		l, a := list(c, id), abort(c, id)
		if a == 200 {
			a = 204
		}
		if l != wantList || a != wantAbort {
			t.Errorf("list %d, abort %d; want %d and %d", l, a, wantList, wantAbort)
		}
	}
	t.Run("another user", func(t *testing.T) { ends(t, bob, id, 403, 403) })
	t.Run("an upload that does not exist", func(t *testing.T) { ends(t, alice, aws.String("none"), 403, 403) })
	t.Run("denied by a policy of the initiator", func(t *testing.T) {
		const deny = `{"Effect":"Deny","Action":["s3:AbortMultipartUpload","s3:ListMultipartUploadParts"],` +
			`"Resource":"*"}`
		allowUser(t, s, "alice", put+","+deny)
		ends(t, alice, id, 403, 403)
		allowUser(t, s, "alice", put)
	})
	t.Run("denied by the bucket", func(t *testing.T) {
		deny := `{"Effect":"Deny","Principal":"*","Action":"s3:AbortMultipartUpload","Resource":"arn:aws:s3:::begun/*"}`
		if err := putPolicy(t, s.S3, bucket, deny); err != nil {
			t.Fatal(err)
		}
		ends(t, alice, id, 200, 403)
		if _, err := s.S3.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: bucket}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a new user with the same name", func(t *testing.T) {
		_, carol, _ := newUser(t, s, "carol")
		allowUser(t, s, "carol", put)
		begun := begin(carol)
		removeUser(t, s, "carol")
		_, carol2, _ := newUser(t, s, "carol")
		allowUser(t, s, "carol", put)
		ends(t, carol2, begun, 403, 403)
		ends(t, carol2, begin(carol2), 200, 204)
	})
	t.Run("another account, whose root user needs no policy", func(t *testing.T) {
		foreign := s.CreateAccount(t, "foreign")
		allow := `{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::begun/*"}`
		if err := putPolicy(t, s.S3, bucket, allow, accountOf(t, s, foreign)); err != nil {
			t.Fatal(err)
		}
		other := s.Client(foreign)
		ends(t, other, begin(other), 200, 204)
		ends(t, other, id, 403, 403)
	})
}

// removeUser deletes a user with its one key and its one policy.
func removeUser(t *testing.T, s *harness.Server, name string) {
	t.Helper()
	root, ctx := rootIAM(s), t.Context()
	keys, err := root.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	id := keys.AccessKeyMetadata[0].AccessKeyId
	_, err1 := root.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: &name, AccessKeyId: id})
	_, err2 := root.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: &name, PolicyName: aws.String("own")})
	_, err3 := root.DeleteUser(ctx, &iam.DeleteUserInput{UserName: &name})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
}

// TestDenyUnencryptedUploads: the later steps of an upload are decided with the encryption headers of
// CreateMultipartUpload, but with none of its other headers.
func TestDenyUnencryptedUploads(t *testing.T) {
	s, bucket := openServer(t, "sealed")
	deny := func(sid, condition string) string {
		return fmt.Sprintf(
			`{"Sid":%q,"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::sealed/*",`+
				`"Condition":{%s}}`,
			sid, condition,
		)
	}
	ctx := t.Context()
	begin := func(key string, in s3.CreateMultipartUploadInput) (*string, error) {
		in.Bucket, in.Key = bucket, &key
		u, err := s.S3.CreateMultipartUpload(ctx, &in)
		if err != nil {
			return nil, err
		}
		return u.UploadId, nil
	}
	early, err := begin("early", s3.CreateMultipartUploadInput{ServerSideEncryption: types.ServerSideEncryptionAes256})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := begin("plain", s3.CreateMultipartUploadInput{})
	if err != nil {
		t.Fatal(err)
	}
	store(t, s, bucket, "source")
	if err := putPolicy(t, s.S3, bucket, "%s,%s",
		deny("Wrong",
			`"StringNotEquals":{"s3:x-amz-server-side-encryption":"AES256"}`), deny("None",
			`"Null":{"s3:x-amz-server-side-encryption":"true"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := begin("none", s3.CreateMultipartUploadInput{}); statusOf(err) != 403 {
		t.Error("an upload without encryption headers is begun:", err)
	}
	late, err := begin("late", s3.CreateMultipartUploadInput{ServerSideEncryption: types.ServerSideEncryptionAes256})
	if err != nil {
		t.Fatal(err)
	}
	for key, c := range map[string]struct {
		id   *string
		want int
	}{"early": {early, 200}, "late": {late, 200}, "plain": {plain, 403}} {
		t.Run(key, func(t *testing.T) {
			p, err := s.S3.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: bucket, Key: &key, UploadId: c.id, PartNumber: aws.Int32(1), Body: strings.NewReader("x"),
			})
			if statusOf(err) != c.want {
				t.Errorf("%s: UploadPart %v", key, err)
			}
			_, err = s.S3.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
				Bucket: bucket, Key: &key, UploadId: c.id, PartNumber: aws.Int32(2),
				CopySource: aws.String("sealed/source"),
			})
			if statusOf(err) != c.want {
				t.Errorf("%s: UploadPartCopy %v", key, err)
			}
			parts := []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: aws.String("x")}}
			if p != nil {
				parts[0].ETag = p.ETag
			}
			_, err = s.S3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
				Bucket: bucket, Key: &key, UploadId: c.id,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
			})
			if statusOf(err) != c.want {
				t.Errorf("%s: CompleteMultipartUpload %v", key, err)
			}
		})
	}
	// The storage class is not carried over.
	if err := putPolicy(t, s.S3, bucket, "%s",
		deny("Class", `"StringNotEquals":{"s3:x-amz-storage-class":"STANDARD_IA"}`)); err != nil {
		t.Fatal(err)
	}
	cold, err := begin("cold", s3.CreateMultipartUploadInput{StorageClass: types.StorageClassStandardIa})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.S3.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: bucket, Key: aws.String("cold"), UploadId: cold, PartNumber: aws.Int32(1), Body: strings.NewReader("x"),
	}); statusOf(err) != 403 {
		t.Error("the storage class is carried over:", err)
	}
}

// TestDenyOfVersionsKeepsUnversioned: a bucket policy that denies
// s3:DeleteObjectVersion protects objects of a bucket without versions.
func TestDenyOfVersionsKeepsUnversioned(t *testing.T) {
	s, bucket := openServer(t, "kept")
	store(t, s, bucket, "a", "b", "free")
	if err := putPolicy(t, s.S3, bucket,
		`{"Effect":"Deny","Principal":"*","Action":"s3:DeleteObjectVersion",`+
			`"NotResource":"arn:aws:s3:::kept/free"}`); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	remove := func(key string) int {
		_, err := s.S3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key})
		return statusOf(err)
	}
	if got := remove("a"); got != 403 {
		t.Error("DeleteObject", got)
	}
	if got := remove("free"); got != 200 && got != 204 {
		t.Error("DeleteObject that is not denied", got)
	}
	out, err := s.S3.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: bucket,
		Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("a")}, {Key: aws.String("b")}}},
	})
	if err != nil || len(out.Errors) != 2 || *out.Errors[0].Code != "AccessDenied" {
		t.Errorf("DeleteObjects %+v %v", out, err)
	}
	if got := strings.Join(keysOf(t, s, "kept"), " "); got != "a b" {
		t.Error("objects left:", got)
	}
	versioning := func(state types.BucketVersioningStatus) {
		if _, err := s.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: state},
		}); err != nil {
			t.Fatal(err)
		}
	}
	versioning(types.BucketVersioningStatusSuspended)
	if got := remove("a"); got != 403 {
		t.Error("a null version while versioning is suspended", got)
	}
	versioning(types.BucketVersioningStatusEnabled)
	if got := remove("a"); got != 200 && got != 204 {
		t.Error("adding a delete marker is denied", got)
	}
}
