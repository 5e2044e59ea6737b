package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// headers returns the headers of a request without an SDK.
func (e sse) headers() http.Header {
	h := http.Header{}
	for name, value := range map[string]*string{
		"": pointer(string(e.algorithm)), "-Aws-Kms-Key-Id": pointer(e.key), "-Context": e.contextHeader(),
	} {
		if value != nil {
			h.Set("X-Amz-Server-Side-Encryption"+name, *value)
		}
	}
	if e.bucketKey != nil {
		h.Set("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", fmt.Sprint(*e.bucketKey))
	}
	return h
}

// describedBy returns the encryption that an answer's headers describe.
func describedBy(h http.Header) described {
	const name = "X-Amz-Server-Side-Encryption"
	return described{
		types.ServerSideEncryption(h.Get(name)), h.Get(name + "-Aws-Kms-Key-Id"),
		h.Get(name+"-Bucket-Key-Enabled") == "true",
	}
}

// writePaths returns all ways to write an object. Each writes a body and returns the encryption in its
// answers, by operation.
func (c sseCast) writePaths() map[string]func(bucket, key, body string, e sse) map[string]described {
	return map[string]func(bucket, key, body string, e sse) map[string]described{
		"PutObject": func(bucket, key, body string, e sse) map[string]described {
			out := c.mustPut(bucket, key, body, e)
			return map[string]described{
				"PutObject": describe(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled),
			}
		},
		"PostObject": func(bucket, key, body string, e sse) map[string]described {
			fields := map[string]string{"key": key}
			for name, v := range e.headers() {
				fields[strings.ToLower(name)] = v[0]
			}
			a := send(c.t, c.Server, post{bucket: bucket, fields: fields, file: body}.build(c.t, c.Server))
			if a.status != 204 {
				c.Fatalf("form: %d %s", a.status, a.body)
			}
			return map[string]described{"PostObject": describedBy(a.header)}
		},
		"CopyObject": func(bucket, key, body string, e sse) map[string]described {
			c.mustPut(bucket, "source", body, sse{algorithm: "AES256"})
			out, err := c.S3.CopyObject(c.Context(), &s3.CopyObjectInput{
				Bucket: &bucket, Key: &key, CopySource: aws.String(bucket + "/source"),
				ServerSideEncryption: e.algorithm,
				SSEKMSKeyId:          pointer(e.key), SSEKMSEncryptionContext: e.contextHeader(),
				BucketKeyEnabled: e.bucketKey,
			})
			c.ok(err)
			return map[string]described{
				"CopyObject": describe(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled),
			}
		},
		"UploadPart": func(bucket, key, body string, e sse) map[string]described {
			u, began, err := c.begin(c.S3, bucket, key, e)
			c.ok(err)
			part, err := u.part(body)
			c.ok(err)
			return c.completed(u, map[string]described{
				"CreateMultipartUpload": describe(
					began.ServerSideEncryption, began.SSEKMSKeyId, began.BucketKeyEnabled),
				"UploadPart": describe(part.ServerSideEncryption, part.SSEKMSKeyId, part.BucketKeyEnabled),
			})
		},
		"UploadPartCopy": func(bucket, key, body string, e sse) map[string]described {
			c.mustPut(bucket, "source", body, sse{algorithm: "AES256"})
			u, _, err := c.begin(c.S3, bucket, key, e)
			c.ok(err)
			part, err := u.copied(bucket + "/source")
			c.ok(err)
			return c.completed(u, map[string]described{
				"UploadPartCopy": describe(part.ServerSideEncryption, part.SSEKMSKeyId, part.BucketKeyEnabled),
			})
		},
	}
}

func (c sseCast) completed(u *sseUpload, said map[string]described) map[string]described {
	c.Helper()
	out, err := u.complete()
	c.ok(err)
	said["CompleteMultipartUpload"] = describe(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled)
	return said
}

// TestEveryWriteAndEncryption: each way to write, with each way of encryption, requested or by default.
// The answers, HEAD and GET name the encryption, GET returns the bytes, and no ETag of an object or a
// part under a KMS key is an MD5.
func TestEveryWriteAndEncryption(t *testing.T) {
	c := newSSECast(t)
	key, yes, no := c.newKey(), true, false
	c.mustPut(c.bucketOf("managed", sse{}), "k", "x", underKMS(""))
	managed := c.head("managed", "k").key
	for name, v := range map[string]struct {
		standing, asked sse
		want            described
	}{
		"SSE-S3 by default": {sse{}, sse{}, described{"AES256", "", false}},
		"SSE-S3 asked for":  {underKMS(key), sse{algorithm: "AES256"}, described{"AES256", "", false}},
		"SSE-KMS":           {sse{}, underKMS(key), described{"aws:kms", key, false}},
		"SSE-KMS, pairs": {sse{}, sse{algorithm: "aws:kms", key: key, context: `{"a":"b"}`},
			described{"aws:kms", key, false}},
		"SSE-KMS, bucket key": {sse{}, sse{algorithm: "aws:kms", key: key, bucketKey: &yes},
			described{"aws:kms", key, true}},
		"SSE-KMS by default": {underKMS(key), sse{}, described{"aws:kms", key, false}},
		"bucket key by default": {sse{algorithm: "aws:kms", key: key, bucketKey: &yes}, sse{},
			described{"aws:kms", key, true}},
		"bucket key refused": {sse{algorithm: "aws:kms", key: key, bucketKey: &yes}, sse{bucketKey: &no},
			described{"aws:kms", key, false}},
		"bucket key alone": {underKMS(key), sse{bucketKey: &yes}, described{"aws:kms", key, true}},
		"bucket key of the default": {sse{algorithm: "aws:kms", key: key, bucketKey: &yes}, underKMS(key),
			described{"aws:kms", key, true}},
		"aws:kms is the managed key": {underKMS(key), underKMS(""), described{"aws:kms", managed, false}},
		"managed key by default":     {underKMS(""), sse{}, described{"aws:kms", managed, false}},
		"DSSE-KMS": {sse{}, sse{algorithm: "aws:kms:dsse", key: key}, described{"aws:kms:dsse",
			key, false}},
		"DSSE-KMS by default": {sse{algorithm: "aws:kms:dsse", key: key}, sse{}, described{"aws:kms:dsse",
			key, false}},
		"DSSE-KMS, managed key": {sse{algorithm: "aws:kms", key: key, bucketKey: &yes},
			sse{algorithm: "aws:kms:dsse"}, described{"aws:kms:dsse", managed, false}},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			bucket := c.bucketOf("b-"+strings.Trim(strings.ToLower(strings.NewReplacer(" ", "-", ",", "", ":",
				"").Replace(name)), "-"),
				v.standing)
			paths := c.writePaths()
			for _, path := range slices.Sorted(maps.Keys(paths)) {
				body := "the bytes of " + path
				said := paths[path](bucket, path, body, v.asked)
				text, got, err := c.get(c.S3, bucket, path)
				if err != nil || text != body {
					t.Errorf("%s: %q %v", path, text, err)
					continue
				}
				said["GetObject"] = describe(got.ServerSideEncryption, got.SSEKMSKeyId, got.BucketKeyEnabled)
				said["HeadObject"] = c.head(bucket, path)
				for operation, d := range said {
					if d != v.want {
						t.Errorf("%s, %s: %+v, want %+v", path, operation, d, v.want)
					}
				}
				plain := v.want.algorithm == "AES256" && !strings.HasPrefix(path, "Upload")
				if isMD5(got.ETag, body) != plain {
					t.Errorf("%s: the ETag is %s", path, *got.ETag)
				}
			}
		})
	}
}

// in returns the cast for a subtest.
func (c sseCast) in(t *testing.T) sseCast { c.t, c.TB = t, t; return c }

func (c sseCast) bucketOf(name string, e sse) string {
	c.Helper()
	c.defaults(name, e)
	return name
}

// TestEncryptionRequestsThatContradictThemselves: such requests are refused, and store nothing.
func TestEncryptionRequestsThatContradictThemselves(t *testing.T) {
	c := newSSECast(t)
	key, bucket := c.newKey(), c.bucketOf("contradict", sse{})
	c.mustPut(bucket, "source", "x", sse{})
	const name = "X-Amz-Server-Side-Encryption"
	for what, v := range map[string]struct {
		header map[string]string
		code   string
	}{
		"an unknown algorithm": {map[string]string{"": "aws:kmz"}, "InvalidEncryptionAlgorithmError"},
		"no algorithm":         {map[string]string{"": ""}, "InvalidEncryptionAlgorithmError"},
		"a key and AES256":     {map[string]string{"": "AES256", "-Aws-Kms-Key-Id": key}, "InvalidArgument"},
		"a key alone":          {map[string]string{"-Aws-Kms-Key-Id": key}, "InvalidArgument"},
		"an empty key":         {map[string]string{"": "aws:kms", "-Aws-Kms-Key-Id": ""}, "InvalidArgument"},
		"pairs alone":          {map[string]string{"-Context": "e30="}, "InvalidArgument"},
		"a bucket key that is maybe": {map[string]string{"": "aws:kms", "-Bucket-Key-Enabled": "maybe"},
			"InvalidArgument"},
		"a bucket key and two layers": {map[string]string{"": "aws:kms:dsse", "-Bucket-Key-Enabled": "true"},
			"InvalidArgument"},
		"pairs that are no base64": {map[string]string{"": "aws:kms", "-Context": "{}"}, "InvalidArgument"},
		"pairs that are no JSON":   {map[string]string{"": "aws:kms", "-Context": "eA=="}, "InvalidArgument"},
		"pairs that are a list":    {map[string]string{"": "aws:kms", "-Context": "W10="}, "InvalidArgument"},
		"a pair that is a number": {map[string]string{"": "aws:kms", "-Context": "eyJhIjoxfQ=="},
			"InvalidArgument"},
		"S3's own pair": {map[string]string{"": "aws:kms", "-Context": "eyJhd3M6czM6YXJuIjoieCJ9"},
			"InvalidArgument"},
		"a customer's key besides KMS": {map[string]string{"": "aws:kms", "-Customer-Algorithm": "AES256"},
			"InvalidArgument"},
	} {
		for operation, r := range map[string]raw{
			"PutObject": {method: "PUT", target: "/contradict/new", body: "x"},
			"CopyObject": {method: "PUT", target: "/contradict/new", header: has("X-Amz-Copy-Source",
				"contradict/source")},
			"CreateMultipartUpload": {method: "POST", target: "/contradict/new?uploads"},
		} {
			t.Run(what+", "+operation, func(t *testing.T) {
				h := http.Header{}
				maps.Copy(h, r.header)
				for suffix, value := range v.header {
					h.Set(name+suffix, value)
				}
				r.header = h
				if a := send(t, c.Server, r); a.status != 400 || a.code != v.code {
					t.Errorf("%d %s, want %s", a.status, a.body, v.code)
				}
			})
		}
	}
	for _, method := range []string{"GET", "HEAD"} {
		if a := send(t, c.Server, raw{method: method, target: "/contradict/source", header: has(name,
			"aws:kms")}); a.status != 400 {
			t.Errorf("%s with the header of a write: %d", method, a.status)
		}
	}
	_, _, err := c.get(c.S3, bucket, "new")
	wantCode(t, err, 404, "NoSuchKey")
}

// TestEncryptionContext: the caller's own pairs are bound to the data key. Only the answers to writes
// return them. Reads use the stored pairs, and a copy does not inherit them.
func TestEncryptionContext(t *testing.T) {
	c := newSSECast(t)
	key, bucket := c.newKey(), c.bucketOf("pairs", sse{})
	u := c.user("bound", "")
	c.grants("bound", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},`+
		`{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"StringEquals":`+
		`{"kms:EncryptionContext:team":"red"}}}]}`)
	red, blue := underKMS(key), underKMS(key)
	red.context, blue.context = `{"team":"red"}`, `{"team":"blue"}`
	out, err := c.put(u.s3, bucket, "red", "x", red)
	c.ok(err)
	if aws.ToString(out.SSEKMSEncryptionContext) != *red.contextHeader() {
		t.Errorf("echoed: %q", aws.ToString(out.SSEKMSEncryptionContext))
	}
	_, err = c.put(u.s3, bucket, "blue", "x", blue)
	wantCode(t, err, 403, "AccessDenied")
	_, err = c.put(u.s3, bucket, "none", "x", underKMS(key))
	wantCode(t, err, 403, "AccessDenied")
	c.mustPut(bucket, "blue", "x", blue)
	if text, _, err := c.get(u.s3, bucket, "red"); err != nil || text != "x" {
		t.Errorf("%q %v", text, err)
	}
	_, _, err = c.get(u.s3, bucket, "blue")
	wantCode(t, err, 403, "AccessDenied")
	a := send(t, c.Server, raw{method: "GET", target: "/pairs/red"})
	if a.status != 200 || a.header.Get("X-Amz-Server-Side-Encryption-Context") != "" {
		t.Errorf("GET returns the pairs: %v", a.header)
	}
	up, began, err := c.begin(u.s3, bucket, "parts", red)
	c.ok(err)
	if aws.ToString(began.SSEKMSEncryptionContext) != *red.contextHeader() {
		t.Errorf("echoed: %q", aws.ToString(began.SSEKMSEncryptionContext))
	}
	_, err = up.part("x")
	c.ok(err)
	_, err = up.complete()
	c.ok(err)
	if text, _, err := c.get(u.s3, bucket, "parts"); err != nil || text != "x" {
		t.Errorf("%q %v", text, err)
	}
	_, err = u.s3.CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: &bucket, Key: aws.String("copy"), CopySource: aws.String("pairs/red"), ServerSideEncryption: "aws:kms",
		SSEKMSKeyId: &key,
	})
	wantCode(t, err, 403, "AccessDenied")
}

// TestCopiesChooseTheirEncryption: a copy uses the encryption in its headers, else the target bucket's
// default, and never its source's. A copy onto itself is allowed if it changes the encryption.
func TestCopiesChooseTheirEncryption(t *testing.T) {
	c := newSSECast(t)
	key, other := c.newKey(), c.newKey()
	plain := c.bucketOf("copy-plain", sse{})
	keyed := c.bucketOf("copy-keyed", sse{algorithm: "aws:kms", key: other, bucketKey: aws.Bool(true)})
	c.mustPut(plain, "k", "x", underKMS(key))
	copied := func(to string, e sse) (*s3.CopyObjectOutput, error) {
		return c.S3.CopyObject(t.Context(), &s3.CopyObjectInput{
			Bucket: &to, Key: aws.String("k"), CopySource: aws.String(plain + "/k"), ServerSideEncryption: e.algorithm,
			SSEKMSKeyId: pointer(e.key), BucketKeyEnabled: e.bucketKey,
		})
	}
	for i, v := range []struct {
		to   string
		e    sse
		want described
	}{
		{keyed, sse{}, described{"aws:kms", other, true}},
		{keyed, sse{bucketKey: aws.Bool(false)}, described{"aws:kms", other, false}},
		{keyed, sse{algorithm: "AES256"}, described{"AES256", "", false}},
		{keyed, sse{algorithm: "aws:kms:dsse", key: key}, described{"aws:kms:dsse", key, false}},
		{plain, underKMS(other), described{"aws:kms", other, false}},
		{plain, sse{algorithm: "AES256"}, described{"AES256", "", false}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := c.in(t)
			out, err := copied(v.to, v.e)
			c.ok(err)
			if got := describe(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled); got != v.want {
				t.Errorf("%+v, want %+v", got, v.want)
			}
			if got := c.head(v.to, "k"); got != v.want {
				t.Errorf("HEAD: %+v, want %+v", got, v.want)
			}
			if text, _, err := c.get(c.S3, v.to, "k"); err != nil || text != "x" {
				t.Errorf("%q %v", text, err)
			}
		})
	}
	_, err := copied(plain, sse{})
	wantCode(t, err, 400, "InvalidRequest")
}
