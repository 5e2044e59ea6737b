package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestPoliciesThatDemandKMS: AWS's example policies that deny other encryption apply to every write.
// They allow uploads in parts that began with the header, and compare the key's ARN, whichever name the
// request has.
func TestPoliciesThatDemandKMS(t *testing.T) {
	c := newSSECast(t)
	key, other := c.newKey(), c.newKey()
	bucket := c.bucketOf("demands", sse{})
	_, err := c.kms.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/good"),
		TargetKeyId: &key})
	c.ok(err)
	u := c.user("writer", everywhere("s3:*", "kms:*"))
	const deny = `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::demands/*",` +
		`"Condition":{%s}}`
	id := key[strings.LastIndexByte(key, '/')+1:]
	writes := func(e sse) (put, form, parts error) {
		_, put = c.put(u.s3, bucket, "k", "x", e)
		fields := map[string]string{"key": "posted"}
		for name, v := range e.headers() {
			fields[strings.ToLower(name)] = v[0]
		}
		a := send(c.t, c.Server, post{bucket: bucket, fields: fields, file: "x", key: u.key}.build(c.t, c.Server))
		if a.status != 204 {
			form = fmt.Errorf("%d %s", a.status, a.code)
		}
		up, _, err := c.begin(u.s3, bucket, "parts", e)
		if err == nil {
			_, err = up.part("x")
		}
		if err == nil {
			_, err = up.complete()
		}
		return put, form, err
	}
	for name, p := range map[string]struct {
		condition   string
		lets, keeps []sse
	}{
		"aws:kms": {
			`"StringNotEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}`,
			[]sse{underKMS(key), underKMS("")}, []sse{{}, {algorithm: "AES256"}, {algorithm: "aws:kms:dsse", key: key}},
		},
		"some encryption": {
			`"Null":{"s3:x-amz-server-side-encryption":"true"}`,
			[]sse{underKMS(key), {algorithm: "AES256"}}, []sse{{}},
		},
		"one key": {
			`"StringNotEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"` + key + `"}`,
			[]sse{underKMS(key), underKMS(id), underKMS("alias/good"),
				underKMS(strings.Replace(key, "key/"+id, "alias/good", 1))},
			[]sse{{}, {algorithm: "AES256"}, underKMS(""), underKMS(other), underKMS("alias/none")},
		},
		"one key, if any": {
			`"StringNotEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"` + key + `"},` +
				`"Null":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"false"}`,
			[]sse{underKMS(key), underKMS("alias/good"), {}, {algorithm: "AES256"}, underKMS("")},
			[]sse{underKMS(other)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			c.ok(putPolicy(t, c.S3, &bucket, deny, p.condition))
			for _, e := range p.lets {
				put, form, parts := writes(e)
				if put != nil || form != nil || parts != nil {
					t.Errorf("%+v: PUT %v, form %v, parts %v", e, put, form, parts)
				}
			}
			for _, e := range p.keeps {
				put, form, parts := writes(e)
				if statusOf(put) != 403 || form == nil || statusOf(parts) != 403 {
					t.Errorf("%+v: PUT %v, form %v, parts %v", e, put, form, parts)
				}
			}
		})
	}
}

// TestManagedKeyIsTheAccounts: as at AWS, every principal of the account with the permission in S3 may
// use the key that S3 manages, unless its own policy denies that.
func TestManagedKeyIsTheAccounts(t *testing.T) {
	c := newSSECast(t)
	bucket := c.bucketOf("accounts", sse{})
	u := c.user("reader", everywhere("s3:*"))
	_, err := c.put(u.s3, bucket, "k", "x", underKMS(""))
	c.ok(err)
	if text, _, err := c.get(u.s3, bucket, "k"); err != nil || text != "x" {
		t.Errorf("%q %v", text, err)
	}
	managed := c.head(bucket, "k").key
	_, err = c.as(u).GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: &managed, KeySpec: "AES_256"})
	expect(t, err, "AccessDeniedException")
	c.grants("reader", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},`+
		`{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}]}`)
	_, _, err = c.get(u.s3, bucket, "k")
	wantCode(t, err, 403, "AccessDenied")
}

// TestPresignedUnderKMS: a presigned URL uses its signer's permissions on the key, too. Signed headers
// of encryption have to be sent.
func TestPresignedUnderKMS(t *testing.T) {
	c := newSSECast(t)
	bucket, key := c.bucketOf("signed", sse{}), c.newKey()
	u := c.user("signer", everywhere("s3:*"))
	p := s3.NewPresignClient(u.s3)
	in := &s3.PutObjectInput{
		Bucket: &bucket, Key: aws.String("k"), ServerSideEncryption: "aws:kms", SSEKMSKeyId: &key,
	}
	put, err := p.PresignPutObject(t.Context(), in)
	c.ok(err)
	get, err := p.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("k")})
	c.ok(err)
	if a := follow(t, c.Server, put, "x"); a.status != 403 {
		t.Errorf("without the permission on the key: %d %s", a.status, a.body)
	}
	c.grants("signer", everywhere("s3:*", "kms:GenerateDataKey", "kms:Decrypt"))
	a := follow(t, c.Server, put, "x", func(r *http.Request) { r.Header.Del("X-Amz-Server-Side-Encryption") })
	if a.status != 403 {
		t.Errorf("without a signed header: %d %s", a.status, a.body)
	}
	a = follow(t, c.Server, put, "x")
	if want := (described{"aws:kms", key, false}); a.status != 200 || describedBy(a.header) != want {
		t.Errorf("%d %s %v", a.status, a.body, a.header)
	}
	if a := follow(t, c.Server, get, ""); a.status != 200 || a.body != "x" {
		t.Errorf("%d %s", a.status, a.body)
	}
	c.grants("signer", everywhere("s3:*"))
	if a := follow(t, c.Server, get, ""); a.status != 403 {
		t.Errorf("after the permission was removed: %d %s", a.status, a.body)
	}
}

// updated sends UpdateObjectEncryption.
func (c sseCast) updated(by *s3.Client, bucket, key, under string, bucketKey bool) error {
	_, err := by.UpdateObjectEncryption(c.Context(), &s3.UpdateObjectEncryptionInput{
		Bucket: &bucket, Key: &key, ObjectEncryption: &types.ObjectEncryptionMemberSSEKMS{
			Value: types.SSEKMSEncryption{KMSKeyArn: &under, BucketKeyEnabled: &bucketKey},
		},
	})
	return err
}

// TestUpdateObjectEncryption moves an object under another key in place. Nothing else of it changes,
// and a caller without a permission on the old key or the new one is refused.
func TestUpdateObjectEncryption(t *testing.T) {
	c := newSSECast(t)
	bucket, first, second := c.bucketOf("updated", sse{}), c.newKey(), c.newKey()
	body := bigEnough("")
	c.mustPut(bucket, "sse-s3", body, sse{})
	c.mustPut(bucket, "sse-kms", "x", underKMS(first))
	u, _, err := c.begin(c.S3, bucket, "parts", sse{})
	c.ok(err)
	_, err = u.part(body)
	c.ok(err)
	_, err = u.part("x")
	c.ok(err)
	_, err = u.complete()
	c.ok(err)
	for _, key := range []string{"sse-s3", "sse-kms", "parts"} {
		t.Run(key, func(t *testing.T) {
			c := c.in(t)
			head := func() *s3.HeadObjectOutput {
				out, err := c.S3.HeadObject(t.Context(), &s3.HeadObjectInput{
					Bucket: &bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled,
				})
				c.ok(err)
				return out
			}
			before := head()
			for _, bucketKey := range []bool{false, true} {
				c.ok(c.updated(c.S3, bucket, key, second, bucketKey))
				after := head()
				want := described{"aws:kms", second, bucketKey}
				if got := describe(after.ServerSideEncryption, after.SSEKMSKeyId, after.BucketKeyEnabled); got != want {
					t.Errorf("%+v, want %+v", got, want)
				}
				if *after.ETag != *before.ETag || !after.LastModified.Equal(*before.LastModified) ||
					aws.ToString(after.ChecksumCRC64NVME) != aws.ToString(before.ChecksumCRC64NVME) ||
					aws.ToString(after.ChecksumCRC32) != aws.ToString(before.ChecksumCRC32) {
					t.Errorf("%+v becomes %+v", before, after)
				}
			}
			text, _, err := c.get(c.S3, bucket, key)
			if err != nil || len(text) != int(*before.ContentLength) {
				t.Errorf("%d bytes, %v", len(text), err)
			}
			_, err = c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &first})
			c.ok(err)
			_, _, err = c.get(c.S3, bucket, key)
			c.ok(err) // the old key is not needed any longer
			_, err = c.kms.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: &first})
			c.ok(err)
		})
	}
}

// TestUpdateObjectEncryptionRefuses: objects that can't be moved, and AWS's errors for them.
func TestUpdateObjectEncryptionRefuses(t *testing.T) {
	c := newSSECast(t)
	bucket, first, second := c.bucketOf("kept", sse{}), c.newKey(), c.newKey()
	c.mustPut(bucket, "k", "x", underKMS(first))
	c.mustPut(bucket, "dsse", "x", sse{algorithm: "aws:kms:dsse", key: first})
	u := c.user("mover", "")
	for name, v := range map[string]struct {
		policy, key, under string
		status             int
		code               string
	}{
		"no permission in S3":    {everywhere("kms:*"), "k", second, 403, "AccessDenied"},
		"no permission on a key": {everywhere("s3:*"), "k", second, 403, "AccessDenied"},
		"none to read":           {everywhere("s3:*", "kms:GenerateDataKey"), "k", second, 403, "AccessDenied"},
		"none to write":          {everywhere("s3:*", "kms:Decrypt"), "k", second, 403, "AccessDenied"},
		"two layers":             {everywhere("s3:*", "kms:*"), "dsse", second, 400, "InvalidRequest"},
		"no such object":         {everywhere("s3:*", "kms:*"), "none", second, 404, "NoSuchKey"},
		"an object that the caller may not know of": {
			everywhere("s3:UpdateObjectEncryption", "kms:*"), "none", second, 403, "AccessDenied",
		},
		"a key that is not there": {
			everywhere("s3:*", "kms:*"), "k", strings.Replace(second, second[len(second)-12:], "000000000000", 1), 400,
			"KMS.NotFoundException",
		},
		"an alias": {
			everywhere("s3:*", "kms:*"), "k", "arn:aws:kms:us-east-1:" + c.account + ":alias/a", 400, "InvalidRequest",
		},
		"a key of another account": {
			everywhere("s3:*", "kms:*"), "k", strings.Replace(second, c.account, "999999999999", 1), 403,
			"AccessDenied",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			c.grants("mover", v.policy)
			wantCode(t, c.updated(u.s3, bucket, v.key, v.under, false), v.status, v.code)
			if got, want := c.head(bucket, "k"), (described{"aws:kms", first, false}); got != want {
				t.Errorf("%+v", got)
			}
		})
	}
	for name, body := range map[string]string{
		"SSE-S3":  `<ObjectEncryption><SSE-S3/></ObjectEncryption>`,
		"nothing": `<ObjectEncryption/>`, "no key": `<ObjectEncryption><SSE-KMS/></ObjectEncryption>`,
	} {
		t.Run(name, func(t *testing.T) {
			h := has("Content-Md5", base64.StdEncoding.EncodeToString(md5Of(body)))
			a := send(t, c.Server, raw{method: "PUT", target: "/kept/k?encryption", body: body, header: h})
			if a.status != 400 || a.code != "InvalidRequest" {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}
