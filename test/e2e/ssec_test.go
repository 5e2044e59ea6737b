package e2e

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/server"
	"watertight/test/harness"
)

// ownKey is a customer's key in the form of its headers.
type ownKey struct{ algorithm, key, md5 *string }

func newOwnKey(seed string) ownKey {
	raw := []byte(strings.Repeat(seed, 32)[:32])
	sum := md5.Sum(raw)
	encode := func(b []byte) *string { return aws.String(base64.StdEncoding.EncodeToString(b)) }
	return ownKey{aws.String("AES256"), encode(raw), encode(sum[:])}
}

// header returns the key's headers; prefix is x-amz- or x-amz-copy-source-.
func (k ownKey) header(prefix string) http.Header {
	h := http.Header{}
	for name, v := range map[string]*string{"algorithm": k.algorithm, "key": k.key, "key-MD5": k.md5} {
		if v != nil {
			h.Set(prefix+"server-side-encryption-customer-"+name, *v)
		}
	}
	return h
}

func overTLS(c *server.Config) { c.TLS.SelfSigned = true }

// allowingSSEC makes new buckets accept SSE-C.
func allowingSSEC(c *server.Config) { c.AllowCustomerKeys = true }

// secured starts a server with TLS, and makes a bucket that accepts SSE-C.
func secured(t *testing.T, name string) (*harness.Server, *string) {
	t.Helper()
	s := harness.Start(t, overTLS, allowingSSEC)
	return s, newBucket(t, s, name)
}

func putOwn(t *testing.T, s *harness.Server, bucket *string, key string, body []byte, k ownKey) *s3.PutObjectOutput {
	t.Helper()
	out, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: &key, Body: bytes.NewReader(body), SSECustomerAlgorithm: k.algorithm,
		SSECustomerKey: k.key, SSECustomerKeyMD5: k.md5,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func getOwn(t *testing.T, s *harness.Server, in s3.GetObjectInput, k ownKey) ([]byte, *s3.GetObjectOutput, error) {
	t.Helper()
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = k.algorithm, k.key, k.md5
	out, err := s.S3.GetObject(t.Context(), &in)
	if err != nil {
		return nil, nil, err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b, out, nil
}

func headOwn(t *testing.T, s *harness.Server, bucket *string, key string, k ownKey) (*s3.HeadObjectOutput, error) {
	t.Helper()
	return s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{
		Bucket: bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled, SSECustomerAlgorithm: k.algorithm,
		SSECustomerKey: k.key, SSECustomerKeyMD5: k.md5,
	})
}

// TestOwnKey: an object of any size that was written with a customer's key can only be read with it,
// whole and in ranges.
func TestOwnKey(t *testing.T) {
	s, bucket := secured(t, "own-key")
	mine, other := newOwnKey("mine"), newOwnKey("other")
	for _, size := range []int{0, 1, 1000, 16<<10 + 1, 3 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			key, body := fmt.Sprint(size), randomBody(size)
			put := putOwn(t, s, bucket, key, body, mine)
			if put.ServerSideEncryption != "" || aws.ToString(put.SSECustomerAlgorithm) != "AES256" ||
				aws.ToString(put.SSECustomerKeyMD5) != *mine.md5 || put.ChecksumCRC64NVME == nil {
				t.Errorf("%d: put answers %+v", size, put)
			}
			if *put.ETag == fmt.Sprintf(`"%x"`, md5.Sum(body)) {
				t.Errorf("%d: the ETag is the MD5 of the plaintext", size)
			}
			got, out, err := getOwn(t, s,
				s3.GetObjectInput{Bucket: bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled}, mine)
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%d: %d bytes, %v", size, len(got), err)
			}
			if *out.ETag != *put.ETag || out.ServerSideEncryption != "" ||
				aws.ToString(
					out.SSECustomerKeyMD5,
				) != *mine.md5 || aws.ToString(out.ChecksumCRC64NVME) != *put.ChecksumCRC64NVME {
				t.Errorf("%d: get answers %+v", size, out)
			}
			head, err := headOwn(t, s, bucket, key, mine)
			if err != nil || *head.ETag != *put.ETag || head.ServerSideEncryption != "" ||
				aws.ToString(
					head.SSECustomerAlgorithm,
				) != "AES256" || aws.ToString(head.ChecksumCRC64NVME) != *put.ChecksumCRC64NVME {
				t.Errorf("%d: head answers %+v, %v", size, head, err)
			}
			if size > 10 {
				got, out, err = getOwn(t, s,
					s3.GetObjectInput{Bucket: bucket, Key: &key, Range: aws.String("bytes=3-9")}, mine)
				if err != nil || !bytes.Equal(got, body[3:10]) || aws.ToString(out.SSECustomerKeyMD5) != *mine.md5 {
					t.Errorf("%d: range: %x, %v", size, got, err)
				}
			}
			_, _, err = getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: &key}, ownKey{})
			wantCode(t, err, 400, "InvalidRequest")
			_, _, err = getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: &key}, other)
			wantCode(t, err, 403, "AccessDenied")
			// Without the key, no condition reveals anything.
			_, _, err = getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: &key, IfNoneMatch: put.ETag}, other)
			wantCode(t, err, 403, "AccessDenied")
			_, err = headOwn(t, s, bucket, key, ownKey{})
			wantCode(t, err, 400, "")
			_, err = headOwn(t, s, bucket, key, other)
			wantCode(t, err, 403, "")
		})
	}
	// Listing, tagging and deleting take no key.
	putOwn(t, s, bucket, "1000", randomBody(1000), mine)
	if listed := keysOf(t, s, *bucket); !slices.Contains(listed, "1000") {
		t.Fatalf("listed: %q", listed)
	}
	if _, err := s.S3.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
		Bucket: bucket, Key: aws.String("1000"), Tagging: &types.Tagging{TagSet: tags("a", "b")},
	}); err != nil {
		t.Error(err)
	}
	if h, err := headOwn(t, s, bucket, "1000", mine); err != nil || h.ChecksumCRC64NVME == nil {
		t.Errorf("tagged: %+v, %v", h, err)
	}
	if _, err := s.S3.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{
		Bucket: bucket, Key: aws.String("1000"),
	}); err != nil {
		t.Error(err)
	}
	if _, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{
		Bucket: bucket, Key: aws.String("1000"),
	}); err != nil {
		t.Error(err)
	}
}

// TestOwnKeyHeaders: an invalid key is refused with AWS's messages in every kind of request, and no
// answer contains it.
func TestOwnKeyHeaders(t *testing.T) {
	s := harness.Start(t, allowingSSEC) // keys are accepted over loopback without TLS
	newBucket(t, s, "headers")
	mine := newOwnKey("mine")
	short, long := "c2hvcnQ=", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MA=="
	sum := func(b64 string) *string {
		raw, err := base64.StdEncoding.DecodeString(b64)
		if err != nil {
			t.Fatal(err)
		}
		m := md5.Sum(raw)
		return aws.String(base64.StdEncoding.EncodeToString(m[:]))
	}
	stored := raw{method: "PUT", target: "/headers/own", body: "secret", header: mine.header("x-amz-")}
	if a := send(t, s, stored); a.status != 200 ||
		a.header.Get(
			"x-amz-server-side-encryption-customer-key-MD5",
		) != *mine.md5 || a.header.Get("x-amz-server-side-encryption-customer-key") != "" {
		t.Fatalf("%+v", a)
	}
	if a := send(t, s, raw{method: "PUT", target: "/headers/plain", body: "open"}); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	const noAlgorithm, noKey = "provide a valid encryption algorithm.", "provide an appropriate secret key."
	const badKey = "The secret key was invalid for the specified algorithm."
	const badMD5, badAlgorithm, wrongKey = "The calculated MD5 hash of the key did not " +
		"match", "Supported value: AES256.", "must provide the correct secret key."
	for name, c := range map[string]struct {
		key                     ownKey
		code, message           string
		readCode, readMessage   string
		writeStatus, readStatus int
	}{
		"no algorithm": {
			ownKey{nil, mine.key, mine.md5}, "InvalidArgument", noAlgorithm, "InvalidArgument", noAlgorithm, 400, 400,
		},
		"only the MD5": {
			ownKey{nil, nil, mine.md5}, "InvalidArgument", noAlgorithm, "InvalidArgument", noAlgorithm, 400, 400,
		},
		"no key": {
			ownKey{mine.algorithm, nil, mine.md5}, "InvalidArgument", noKey, "InvalidArgument", noKey, 400, 400,
		},
		"only the algorithm": {
			ownKey{mine.algorithm, nil, nil}, "InvalidArgument", noKey, "InvalidArgument", noKey, 400, 400,
		},
		"no MD5": {
			ownKey{mine.algorithm, mine.key, nil}, "InvalidArgument", "client calculated MD5", "AccessDenied", wrongKey,
			400, 403,
		},
		"another algo": {
			ownKey{aws.String("AES128"), mine.key, mine.md5}, "InvalidEncryptionAlgorithmError", badAlgorithm,
			"InvalidEncryptionAlgorithmError", badAlgorithm, 400, 400,
		},
		"lower case": {
			ownKey{aws.String("aes256"), mine.key, mine.md5}, "InvalidEncryptionAlgorithmError", badAlgorithm,
			"InvalidEncryptionAlgorithmError", badAlgorithm, 400, 400,
		},
		"short key": {
			ownKey{mine.algorithm, &short, sum(short)}, "InvalidArgument", badKey, "AccessDenied", wrongKey, 400, 403,
		},
		"long key": {
			ownKey{mine.algorithm, &long, sum(long)}, "InvalidArgument", badKey, "AccessDenied", wrongKey, 400, 403,
		},
		"short, wrong MD5": {
			ownKey{mine.algorithm, &short, mine.md5}, "InvalidArgument", badMD5, "InvalidArgument", badMD5, 400, 400,
		},
		"key not base64": {
			ownKey{mine.algorithm, aws.String("%%%"), mine.md5}, "InvalidArgument", badKey, "AccessDenied", wrongKey,
			400, 403,
		},
		"wrong MD5": {
			ownKey{mine.algorithm, mine.key, sum(short)}, "InvalidArgument", badMD5, "InvalidArgument", badMD5, 400,
			400,
		},
		"MD5 not base64": {
			ownKey{mine.algorithm, mine.key, aws.String("%%%")}, "InvalidArgument", badMD5, "InvalidArgument", badMD5,
			400, 400,
		},
	} {
		t.Run(name, func(t *testing.T) {
			check := func(what string, a answer, status int, code, message string) {
				t.Helper()
				if a.status != status || a.code != code || !strings.Contains(a.body, message) {
					t.Errorf("%s, %s: %d %s, want %d %s %q", name, what, a.status, a.body, status, code, message)
				}
				if k := aws.ToString(c.key.key); k != "" && strings.Contains(a.body, k) {
					t.Errorf("%s, %s: the answer repeats the key: %s", name, what, a.body)
				}
			}
			own, source := c.key.header("x-amz-"), c.key.header("x-amz-copy-source-")
			check("put", send(t, s, raw{method: "PUT", target: "/headers/new", body: "x", header: own}), c.writeStatus,
				c.code, c.message)
			check("create", send(t, s, raw{method: "POST", target: "/headers/new?uploads", header: own}), c.writeStatus,
				c.code, c.message)
			check("get", send(t, s, raw{method: "GET", target: "/headers/own", header: own}), c.readStatus, c.readCode,
				c.readMessage)
			own.Set("x-amz-object-attributes", "ETag")
			check("attributes", send(t, s, raw{method: "GET", target: "/headers/own?attributes", header: own}),
				c.readStatus, c.readCode, c.readMessage)
			own.Del("x-amz-object-attributes")
			if a := send(t, s, raw{method: "HEAD", target: "/headers/own", header: own}); a.status != c.readStatus {
				t.Errorf("%s, head: %d, want %d", name, a.status, c.readStatus)
			}
			own.Set("x-amz-copy-source", "headers/plain")
			check("copy to", send(t, s, raw{method: "PUT", target: "/headers/new", header: own}), c.writeStatus, c.code,
				c.message)
			source.Set("x-amz-copy-source", "headers/own")
			check("copy from", send(t, s, raw{method: "PUT", target: "/headers/new", header: source}), c.readStatus,
				c.readCode, c.readMessage)
		})
	}
	if a := send(t, s, raw{method: "GET", target: "/headers/new"}); a.status != 404 {
		t.Errorf("a refused write stored an object: %d %s", a.status, a.body)
	}
	for _, other := range []string{"AES256", "aws:kms", "rot13"} {
		t.Run(other, func(t *testing.T) {
			both := mine.header("x-amz-")
			both.Set("x-amz-server-side-encryption", other)
			for _, r := range []raw{
				{method: "PUT", target: "/headers/new", body: "x", header: both},
				{method: "POST", target: "/headers/new?uploads", header: both},
			} {
				if a := send(t, s, r); a.status != 400 || a.code != "InvalidArgument" ||
					!strings.Contains(a.body,
						"incompatible with the encryption method "+
							"specified") || !strings.Contains(a.body, "<ArgumentValue>"+other+"<") {
					t.Errorf("%s %s with both: %d %s", r.method, other, a.status, a.body)
				}
			}
		})
	}
	a := send(t, s, raw{method: "GET", target: "/headers/plain", header: mine.header("x-amz-")})
	if a.status != 400 || a.code != "InvalidRequest" ||
		!strings.Contains(a.body, "The encryption parameters are not applicable to this object.") {
		t.Errorf("a key for an object without one: %d %s", a.status, a.body)
	}
	a = send(t, s, raw{method: "GET", target: "/headers/own"})
	if a.status != 400 ||
		!strings.Contains(a.body,
			"The object was stored using a form of Server Side Encryption. The correct parameters must be provided "+
				"to retrieve the object.") {
		t.Errorf("no key: %d %s", a.status, a.body)
	}
	broken := stored
	broken.breakSignature = true
	if a := send(t, s, broken); a.code != "SignatureDoesNotMatch" || strings.Contains(a.body, *mine.key) {
		t.Errorf("a wrong signature: %d %s", a.status, a.body)
	}
}
