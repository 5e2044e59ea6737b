package e2e

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// sseCast is a server with KMS keys, for tests of how S3 uses them.
type sseCast struct{ kmsCast }

func newSSECast(t *testing.T) sseCast { return sseCast{newKMSCast(t)} }

// everywhere returns an identity policy that allows actions on every resource.
func everywhere(actions ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) +
		`"],"Resource":"*"}]}`
}

// grants replaces the one policy of a user.
func (c sseCast) grants(user, document string) {
	c.Helper()
	_, err := c.root.PutUserPolicy(c.Context(), &iam.PutUserPolicyInput{
		UserName: &user, PolicyName: aws.String("p"), PolicyDocument: &document,
	})
	c.ok(err)
}

// delegating returns a key policy that lets the account's IAM policies decide, with further statements.
func (c sseCast) delegating(more ...string) string {
	all := append([]string{
		`{"Effect":"Allow","Principal":{"AWS":"` + c.account + `"},"Action":"kms:*","Resource":"*"}`,
	}, more...)
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(all, ",") + `]}`
}

// keyPolicy replaces the policy of a key. It may lock everybody out.
func (c sseCast) keyPolicy(key, document string) {
	c.Helper()
	_, err := c.kms.PutKeyPolicy(c.Context(), &kms.PutKeyPolicyInput{
		KeyId: &key, PolicyName: aws.String("default"), Policy: &document, BypassPolicyLockoutSafetyCheck: true,
	})
	c.ok(err)
}

// sse is the encryption that a write asks for.
type sse struct {
	algorithm types.ServerSideEncryption
	key       string
	context   string // JSON
	bucketKey *bool
}

func underKMS(key string) sse { return sse{algorithm: types.ServerSideEncryptionAwsKms, key: key} }

func pointer(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// contextHeader returns the header of the encryption context.
func (e sse) contextHeader() *string {
	if e.context == "" {
		return nil
	}
	return aws.String(base64.StdEncoding.EncodeToString([]byte(e.context)))
}

func (c sseCast) put(by *s3.Client, bucket, key, body string, e sse) (*s3.PutObjectOutput, error) {
	return by.PutObject(c.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: strings.NewReader(body), ServerSideEncryption: e.algorithm,
		SSEKMSKeyId: pointer(e.key), SSEKMSEncryptionContext: e.contextHeader(), BucketKeyEnabled: e.bucketKey,
	})
}

func (c sseCast) mustPut(bucket, key, body string, e sse) *s3.PutObjectOutput {
	c.Helper()
	out, err := c.put(c.S3, bucket, key, body, e)
	c.ok(err)
	return out
}

// get returns the bytes of an object; change may ask for a part of it.
func (c sseCast) get(
	by *s3.Client, bucket, key string, change ...func(*s3.GetObjectInput),
) (string, *s3.GetObjectOutput, error) {
	in := &s3.GetObjectInput{Bucket: &bucket, Key: &key}
	for _, f := range change {
		f(in)
	}
	out, err := by.GetObject(c.Context(), in)
	if err != nil {
		return "", nil, err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	return string(b), out, err
}

// defaults puts a bucket's default encryption, and makes the bucket if it is not there.
func (c sseCast) defaults(bucket string, e sse) {
	c.Helper()
	if err := headBucket(c, c.S3, &bucket); err != nil {
		_, err := c.S3.CreateBucket(c.Context(), &s3.CreateBucketInput{Bucket: &bucket})
		c.ok(err)
	}
	if e.algorithm == "" {
		return
	}
	c.ok(putEncryption(c.t, c.Server, &bucket, types.ServerSideEncryptionRule{
		ApplyServerSideEncryptionByDefault: byDefault(e.algorithm, pointer(e.key)), BucketKeyEnabled: e.bucketKey,
	}))
}

// described is the encryption that an answer describes.
type described struct {
	algorithm types.ServerSideEncryption
	key       string
	bucketKey bool
}

func describe(algorithm types.ServerSideEncryption, key *string, bucketKey *bool) described {
	return described{algorithm, aws.ToString(key), aws.ToBool(bucketKey)}
}

func (c sseCast) head(bucket, key string) described {
	c.Helper()
	out, err := c.S3.HeadObject(c.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	c.ok(err)
	return describe(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled)
}

// isMD5 reports whether an ETag is the MD5 of the body.
func isMD5(etag *string, body string) bool {
	return aws.ToString(etag) == fmt.Sprintf(`"%x"`, md5.Sum([]byte(body)))
}

// sseUpload is a multipart upload that a test makes step by step.
type sseUpload struct {
	c           sseCast
	by          *s3.Client
	bucket, key string
	id          *string
	parts       []types.CompletedPart
}

func (c sseCast) begin(by *s3.Client, bucket, key string, e sse) (*sseUpload, *s3.CreateMultipartUploadOutput, error) {
	out, err := by.CreateMultipartUpload(c.Context(), &s3.CreateMultipartUploadInput{
		Bucket: &bucket, Key: &key, ServerSideEncryption: e.algorithm, SSEKMSKeyId: pointer(e.key),
		SSEKMSEncryptionContext: e.contextHeader(), BucketKeyEnabled: e.bucketKey,
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err != nil {
		return nil, nil, err
	}
	return &sseUpload{c: c, by: by, bucket: bucket, key: key, id: out.UploadId}, out, nil
}

func (u *sseUpload) add(etag, crc *string) {
	n := int32(len(u.parts) + 1)
	u.parts = append(u.parts, types.CompletedPart{ETag: etag, PartNumber: &n, ChecksumCRC32: crc})
}

func (u *sseUpload) part(body string) (*s3.UploadPartOutput, error) {
	n := int32(len(u.parts) + 1)
	out, err := u.by.UploadPart(u.c.Context(), &s3.UploadPartInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: u.id, PartNumber: &n, Body: strings.NewReader(body),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err == nil {
		u.add(out.ETag, out.ChecksumCRC32)
	}
	return out, err
}

func (u *sseUpload) copied(source string) (*s3.UploadPartCopyOutput, error) {
	n := int32(len(u.parts) + 1)
	out, err := u.by.UploadPartCopy(u.c.Context(), &s3.UploadPartCopyInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: u.id, PartNumber: &n, CopySource: &source,
	})
	if err == nil {
		u.add(out.CopyPartResult.ETag, out.CopyPartResult.ChecksumCRC32)
	}
	return out, err
}

func (u *sseUpload) complete() (*s3.CompleteMultipartUploadOutput, error) {
	return u.by.CompleteMultipartUpload(u.c.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	})
}

// bigEnough returns a part that need not be the last one.
func bigEnough(mark string) string {
	return mark + string(bytes.Repeat([]byte("0123456789abcdef"), 5<<16))
}
