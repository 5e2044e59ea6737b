package sim

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
	"watertight/test/s3model"
)

// keys are the KMS keys of all writers. They change only while no writer works.
type keys struct {
	arns []string
	off  string // the disabled key, or ""
}

func kmsClient(endpoint string) *kms.Client {
	return kms.New(kms.Options{
		Region: harness.Region, BaseEndpoint: &endpoint, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(harness.AccessKeyID, harness.SecretAccessKey, ""),
	})
}

func newKeys(t *testing.T, endpoint string) *keys {
	t.Helper()
	k := &keys{}
	for range 2 {
		out, err := kmsClient(endpoint).CreateKey(t.Context(), &kms.CreateKeyInput{})
		if err != nil {
			t.Fatal(err)
		}
		k.arns = append(k.arns, *out.KeyMetadata.Arn)
	}
	return k
}

// newBucket makes a bucket that takes every encryption.
func newBucket(t *testing.T, client *s3.Client, name string) {
	t.Helper()
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name})
	if err == nil {
		_, err = client.PutBucketEncryption(t.Context(), &s3.PutBucketEncryptionInput{
			Bucket: &name,
			ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
				Rules: []types.ServerSideEncryptionRule{{
					BlockedEncryptionTypes: &types.BlockedEncryptionTypes{
						EncryptionType: []types.EncryptionType{types.EncryptionTypeNone},
					},
				}},
			},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// encryption is what a write asks for; its zero value asks for nothing.
type encryption struct {
	algorithm types.ServerSideEncryption
	customer  bool   // SSE-C, in the place of algorithm
	key       string // ARN
	bucketKey bool
}

// encryption draws what a write asks for.
func (w *writer) encryption() encryption {
	key := draw(w.rng, w.keys.arns...)
	return draw(w.rng, encryption{}, encryption{}, encryption{algorithm: types.ServerSideEncryptionAes256},
		encryption{customer: true},
		encryption{algorithm: types.ServerSideEncryptionAwsKms, key: key},
		encryption{algorithm: types.ServerSideEncryptionAwsKms, key: key, bucketKey: true},
		encryption{algorithm: types.ServerSideEncryptionAwsKmsDsse, key: key})
}

// customer is the model's name for SSE-C; S3 has none.
const customer = "SSE-C"

// String returns the form in the model, which described makes from answers.
func (e encryption) String() string {
	switch {
	case e.customer:
		return customer
	case e.algorithm == "":
		return string(types.ServerSideEncryptionAes256)
	default:
		return described(e.algorithm, nil, &e.key, &e.bucketKey)
	}
}

// described is the encryption that an answer names.
func described(a types.ServerSideEncryption, customers, key *string, bucketKey *bool) string {
	if customers != nil {
		return customer
	}
	s := strings.TrimSpace(string(a) + " " + aws.ToString(key))
	if aws.ToBool(bucketKey) {
		s += " by bucket key"
	}
	return s
}

// hides reports whether the ETag is no MD5.
func (e encryption) hides() bool { return e.customer || e.key != "" }

func (e encryption) keyID() *string { return optional(e.key) }

func (e encryption) byBucketKey() *bool {
	if e.bucketKey {
		return &e.bucketKey
	}
	return nil
}

// headers are those of SSE-C, where it is used.
func headers(used bool) (algorithm, key, sum *string) {
	if !used {
		return nil, nil, nil
	}
	k := []byte("a key of a customer, of 32 bytes")
	m := md5.Sum(k)
	return aws.String("AES256"), aws.String(base64.StdEncoding.EncodeToString(k)),
		aws.String(base64.StdEncoding.EncodeToString(m[:]))
}

// refusal is the code for a use of a disabled key, or "".
func (k *keys) refusal(encryption string) string {
	if k.off != "" && strings.Contains(encryption, k.off) {
		return "KMS.DisabledException"
	}
	return ""
}

// disable disables a key.
func (k *keys) disable(ctx context.Context, endpoint, key string) error {
	_, err := kmsClient(endpoint).DisableKey(ctx, &kms.DisableKeyInput{KeyId: &key})
	k.off = key
	return err
}

// enable enables the key that is disabled.
func (k *keys) enable(ctx context.Context, endpoint string) error {
	if k.off == "" {
		return nil
	}
	_, err := kmsClient(endpoint).EnableKey(ctx, &kms.EnableKeyInput{KeyId: &k.off})
	return err
}

// locked checks that objects under the disabled key exist and can't be read, and enables the key.
func (k *keys) locked(ctx context.Context, client *s3.Client, endpoint string, all []moment) error {
	if k.off == "" {
		return nil
	}
	for _, m := range all {
		if m.maybe != nil {
			continue // it may have deleted what is asked for
		}
		for key, versions := range m.certain.Keys {
			for _, v := range versions {
				if k.refusal(v.Encryption) == "" {
					continue
				}
				if err := k.refused(ctx, client, m.w.bucket, key, v); err != nil {
					return err
				}
				break
			}
		}
	}
	return k.enable(ctx, endpoint)
}

func (k *keys) refused(ctx context.Context, client *s3.Client, bucket, key string, v s3model.Version) error {
	_, err := read(ctx, client, &s3.GetObjectInput{Bucket: &bucket, Key: &key, VersionId: &v.ID})
	if code := codeOf(err); code != k.refusal(v.Encryption) {
		return wrong("%q version %s under a disabled key: %q %v", key, v.ID, code, err)
	}
	return head(ctx, client, bucket, key, v)
}

// head compares the answer of HeadObject with a version. It needs no KMS key.
func head(ctx context.Context, client *s3.Client, bucket, key string, v s3model.Version) error {
	in := &s3.HeadObjectInput{Bucket: &bucket, Key: &key, VersionId: &v.ID}
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = headers(v.Encryption == customer)
	out, err := client.HeadObject(ctx, in)
	if err != nil {
		return err
	}
	is := described(out.ServerSideEncryption, out.SSECustomerAlgorithm, out.SSEKMSKeyId, out.BucketKeyEnabled)
	if is != v.Encryption || trim(out.ETag) != v.ETag || aws.ToInt64(out.ContentLength) != v.Size {
		return wrong("head of %q: %s, %s, %d bytes, want %+v",
			key, is, trim(out.ETag), aws.ToInt64(out.ContentLength), v)
	}
	return nil
}
