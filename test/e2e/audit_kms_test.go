package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestEventsNameTheKey: the event of an S3 request says which KMS key it used for what, by the key's
// ARN, whichever name the request or the bucket's default has. The event of a refusal names the key
// and the missing permission.
func TestEventsNameTheKey(t *testing.T) {
	c := newSSECast(t)
	ctx, bucket, own, other := t.Context(), "told", c.newKey(), c.newKey()
	_, err := c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/told"), TargetKeyId: &other})
	c.ok(err)
	c.defaults(bucket, sse{algorithm: "aws:kms", key: own, bucketKey: aws.Bool(true)})
	const generate, decrypt = "kms:GenerateDataKey", "kms:Decrypt"
	// The expected keys of each event. The events are found by the key of the object.
	want := map[string]map[string]any{
		"PutObject default": {generate: own}, "PutObject named": {generate: other}, "PutObject plain": {},
		"GetObject default": {decrypt: own}, "GetObject plain": {},
		"HeadObject default": {}, "CopyObject copy": {generate: other, decrypt: own},
		"CreateMultipartUpload parts": {generate: other}, "UploadPart parts": {generate: other, decrypt: other},
		"CompleteMultipartUpload parts":  {decrypt: other},
		"UpdateObjectEncryption default": {generate: other, decrypt: own},
	}
	c.mustPut(bucket, "default", "x", sse{})
	c.mustPut(bucket, "named", "x", underKMS("alias/told"))
	c.mustPut(bucket, "plain", "x", sse{algorithm: "AES256"})
	for _, key := range []string{"default", "plain"} {
		_, _, err := c.get(c.S3, bucket, key)
		c.ok(err)
	}
	c.head(bucket, "default")
	_, err = c.S3.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &bucket, Key: aws.String("copy"), CopySource: aws.String(bucket + "/default"),
		ServerSideEncryption: "aws:kms", SSEKMSKeyId: &other,
	})
	c.ok(err)
	up, _, err := c.begin(c.S3, bucket, "parts", underKMS(other))
	c.ok(err)
	_, err = up.part("x")
	c.ok(err)
	_, err = up.complete()
	c.ok(err)

	u := c.user("u", everywhere("s3:*"))
	_, _, err = c.get(u.s3, bucket, "default")
	wantCode(t, err, 403, "AccessDenied")
	_, err = c.put(u.s3, bucket, "refused", "x", sse{})
	wantCode(t, err, 403, "AccessDenied")
	c.grants("u", everywhere("s3:*", decrypt))
	_, err = u.s3.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &bucket, Key: aws.String("refused"), CopySource: aws.String(bucket + "/default"),
		ServerSideEncryption: "aws:kms", SSEKMSKeyId: &other,
	})
	wantCode(t, err, 403, "AccessDenied")
	c.ok(c.updated(c.S3, bucket, "default", other, false))
	_, err = c.kms.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &other})
	c.ok(err)
	_, _, err = c.get(c.S3, bucket, "named")
	wantCode(t, err, 400, "KMS.DisabledException")
	refusals := map[string][]string{
		"GetObject default AccessDenied":        {u.arn, decrypt, own},
		"PutObject refused AccessDenied":        {u.arn, generate, own},
		"CopyObject refused AccessDenied":       {u.arn, generate, other},
		"GetObject named KMS.DisabledException": {other, "is disabled"},
	}
	all, _ := c.told()
	for _, e := range all {
		what := strings.TrimSpace(fmt.Sprint(e.EventName, " ", e.RequestParameters["key"], " ", e.ErrorCode))
		if keys, ok := want[what]; ok {
			delete(want, what)
			for _, action := range []string{generate, decrypt} {
				if e.ResponseElements[action] != keys[action] {
					t.Errorf("%s: %s with %v, want %v", what, action, e.ResponseElements[action], keys[action])
				}
			}
		}
		if words, ok := refusals[what]; ok {
			delete(refusals, what)
			if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(e.ErrorMessage, w) }) {
				t.Errorf("%s: %q does not say %q", what, e.ErrorMessage, words)
			}
			if e.ResponseElements[generate] != nil || e.ResponseElements[decrypt] != nil {
				t.Errorf("%s: the event of a refusal lists used keys: %v", what, e.ResponseElements)
			}
		}
	}
	if len(want)+len(refusals) > 0 {
		t.Errorf("missing events: %v %v", want, refusals)
	}
}
