package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/server"
	"watertight/test/harness"
)

// TestOwnKeyVersions: each version needs the key that it was written with.
func TestOwnKeyVersions(t *testing.T) {
	s, bucket := secured(t, "own-versions")
	if _, err := s.S3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled"},
	}); err != nil {
		t.Fatal(err)
	}
	keys := []ownKey{newOwnKey("one"), newOwnKey("two"), {}}
	ids := make([]*string, len(keys))
	for i, k := range keys {
		ids[i] = putOwn(t, s, bucket, "k", fmt.Appendf(nil, "version %d", i), k).VersionId
	}
	for i, id := range ids {
		for j, k := range keys {
			t.Run(fmt.Sprint(j), func(t *testing.T) {
				got, _, err := getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: aws.String("k"), VersionId: id}, k)
				switch {
				case i == j && (err != nil || string(got) != fmt.Sprintf("version %d", i)):
					t.Errorf("version %d: %q, %v", i, got, err)
				case i == j:
				case i == 2 || j == 2:
					wantCode(t, err, 400, "InvalidRequest")
				default:
					wantCode(t, err, 403, "AccessDenied")
				}
			})
		}
	}
	l, err := s.S3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket})
	if err != nil || len(l.Versions) != 3 {
		t.Fatalf("%+v, %v", l, err)
	}
	for _, v := range l.Versions {
		if len(v.ChecksumAlgorithm) != 1 {
			t.Errorf("version %s: %v", *v.VersionId, v.ChecksumAlgorithm)
		}
	}
}

// TestOwnKeyCopy copies from every kind of encryption to every other one, also onto the same object.
func TestOwnKeyCopy(t *testing.T) {
	s, bucket := secured(t, "own-copy")
	keys := map[string]ownKey{"one": newOwnKey("one"), "two": newOwnKey("two"), "none": {}}
	body := randomBody(100_000)
	copyTo := func(
		from, to string, source, target ownKey, change ...func(*s3.CopyObjectInput),
	) (*s3.CopyObjectOutput, error) {
		in := &s3.CopyObjectInput{
			Bucket: bucket, Key: &to, CopySource: aws.String(*bucket + "/" + from),
			CopySourceSSECustomerAlgorithm: source.algorithm, CopySourceSSECustomerKey: source.key,
			CopySourceSSECustomerKeyMD5: source.md5,
			SSECustomerAlgorithm:        target.algorithm, SSECustomerKey: target.key, SSECustomerKeyMD5: target.md5,
		}
		for _, f := range change {
			f(in)
		}
		return s.S3.CopyObject(t.Context(), in)
	}
	for name, key := range keys {
		putOwn(t, s, bucket, name, body, key)
	}
	for from, source := range keys {
		t.Run(from, func(t *testing.T) {
			putOwn(t, s, bucket, from, body, source)
			for to, target := range keys {
				for _, name := range []string{from + " to " + to, from} {
					out, err := copyTo(from, name, source, target)
					if from == "none" && to == "none" && name == from {
						wantCode(t, err, 400, "InvalidRequest") // a copy that changes nothing
						continue
					}
					if err != nil {
						t.Fatalf("%s to %s under %s: %v", from, name, to, err)
					}
					if (out.ServerSideEncryption == "AES256") != (to == "none") ||
						aws.ToString(out.SSECustomerKeyMD5) != aws.ToString(target.md5) {
						t.Errorf("%s to %s: %+v", from, to, out)
					}
					md5OfBody := fmt.Sprintf(`"%x"`, md5Of(string(body)))
					if (*out.CopyObjectResult.ETag == md5OfBody) != (to == "none") {
						t.Errorf("%s to %s: ETag %s", from, to, *out.CopyObjectResult.ETag)
					}
					got, _, err := getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: &name}, target)
					if err != nil || !bytes.Equal(got, body) {
						t.Errorf("%s to %s: %d bytes, %v", from, to, len(got), err)
					}
					if h, err := headOwn(t, s, bucket, name, target); err != nil || h.ChecksumCRC64NVME == nil {
						t.Errorf("%s to %s: checksum %+v, %v", from, to, h, err)
					}
					putOwn(t, s, bucket, from, body, source)
				}
			}
		})
	}
	_, err := copyTo("one", "x", ownKey{}, keys["two"])
	wantCode(t, err, 400, "InvalidRequest")
	_, err = copyTo("one", "x", keys["two"], keys["two"])
	wantCode(t, err, 403, "AccessDenied")
	_, err = copyTo("none", "x", keys["two"], ownKey{})
	wantCode(t, err, 400, "InvalidRequest")
	_, err = copyTo("one", "x", keys["one"], keys["two"], func(in *s3.CopyObjectInput) {
		in.ServerSideEncryption = "AES256"
	})
	wantCode(t, err, 400, "InvalidArgument")
	_, err = headOwn(t, s, bucket, "x", ownKey{})
	wantCode(t, err, 404, "")
}

// TestOwnKeyPresigned: the holder of a presigned URL needs the customer's key
// as well, and no URL may contain one.
func TestOwnKeyPresigned(t *testing.T) {
	s, bucket := secured(t, "own-presigned")
	mine := newOwnKey("mine")
	p := s3.NewPresignClient(s.S3)
	must := mustPresign(t)
	put := must(p.PresignPutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("k"), SSECustomerAlgorithm: mine.algorithm, SSECustomerKey: mine.key,
		SSECustomerKeyMD5: mine.md5,
	}))
	get := must(p.PresignGetObject(t.Context(), &s3.GetObjectInput{
		Bucket: bucket, Key: aws.String("k"), SSECustomerAlgorithm: mine.algorithm, SSECustomerKey: mine.key,
		SSECustomerKeyMD5: mine.md5,
	}))
	for _, u := range []string{put.URL, get.URL} {
		if strings.Contains(strings.ToLower(u), "customer-key=") {
			t.Fatalf("the SDK puts the key into the URL: %s", u)
		}
	}
	if a := follow(t, s, put, "secret"); a.status != 200 ||
		a.header.Get("x-amz-server-side-encryption-customer-algorithm") != "AES256" {
		t.Errorf("put: %d %s", a.status, a.body)
	}
	if a := follow(t, s, get, ""); a.status != 200 || a.body != "secret" {
		t.Errorf("get: %d %s", a.status, a.body)
	}
	without := func(r *http.Request) {
		for name := range r.Header {
			if strings.Contains(strings.ToLower(name), "customer") {
				r.Header.Del(name)
			}
		}
	}
	if a := follow(t, s, get, "", without); a.status != 403 {
		t.Errorf("get without the headers: %d %s", a.status, a.body)
	}
	if a := follow(t, s, put, "other", without); a.status != 403 {
		t.Errorf("put without the headers: %d %s", a.status, a.body)
	}
	// The headers are refused as parameters of a signed URL, not ignored.
	for _, name := range []string{"key", "key-MD5"} {
		t.Run(name, func(t *testing.T) {
			target := "/" + *bucket + "/k?x-amz-server-side-encryption-customer-" + name + "=AAAA"
			if a := send(t, s, raw{method: "PUT", target: target, body: "x", presign: true}); a.status != 400 ||
				a.code != "InvalidArgument" || strings.Contains(a.body, "AAAA") {
				t.Errorf("%s in the URL: %d %s", name, a.status, a.body)
			}
		})
	}
	if a := follow(t, s, get, ""); a.body != "secret" {
		t.Errorf("after it: %d %s", a.status, a.body)
	}
}

// TestOwnKeyForm: POST forms have a customer's key in fields.
func TestOwnKeyForm(t *testing.T) {
	s := harness.Start(t, allowingSSEC)
	bucket := newBucket(t, s, "own-form")
	mine := newOwnKey("mine")
	fields := map[string]string{"key": "posted"}
	for name, v := range mine.header("x-amz-") {
		fields[strings.ToLower(name)] = v[0]
	}
	a := send(t, s, post{bucket: *bucket, fields: fields, file: "secret"}.build(t, s))
	if a.status != 204 || a.header.Get("x-amz-server-side-encryption-customer-key-MD5") != *mine.md5 ||
		a.header.Get("x-amz-server-side-encryption") != "" {
		t.Fatalf("%d %s %v", a.status, a.body, a.header)
	}
	if a := send(t, s, raw{method: "GET", target: "/own-form/posted"}); a.status != 400 {
		t.Errorf("read without the key: %d %s", a.status, a.body)
	}
	if a := send(t, s, raw{
		method: "GET", target: "/own-form/posted", header: mine.header("x-amz-"),
	}); a.body != "secret" {
		t.Errorf("read with the key: %d %s", a.status, a.body)
	}
	// A policy for another key, and a repeated key: neither answer contains the key.
	conditions := []any{map[string]string{"bucket": *bucket}, []string{"starts-with", "$", ""}}
	for name := range fields {
		conditions = append(conditions, []string{"starts-with", "$" + name, ""})
	}
	wrong := append(conditions[:len(conditions):len(conditions)], []string{
		"eq", "$x-amz-server-side-encryption-customer-key", *newOwnKey("else").key,
	})
	for what, p := range map[string]post{
		"another key": {bucket: *bucket, fields: fields, conditions: wrong, file: "x"},
		"twice": {
			bucket: *bucket, fields: fields,
			more: [][2]string{{"x-amz-server-side-encryption-customer-key", *mine.key}}, file: "x",
		},
	} {
		t.Run(what, func(t *testing.T) {
			a := send(t, s, p.build(t, s))
			if a.status/100 != 4 || strings.Contains(a.body, *mine.key) ||
				strings.Contains(a.body, *newOwnKey("else").key) {
				t.Errorf("%s: %d %s", what, a.status, a.body)
			}
		})
	}
}

// TestOwnKeyPolicy: a policy can require a customer's key for every write, or forbid all of them.
func TestOwnKeyPolicy(t *testing.T) {
	s := harness.Start(t, allowingSSEC)
	bucket := newBucket(t, s, "own-policy")
	mine := newOwnKey("mine")
	const key = "s3:x-amz-server-side-encryption-customer-algorithm"
	for name, null := range map[string]string{"demands": "true", "forbids": "false"} {
		_, c, _ := newUser(t, s, name)
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},
			{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"Null":{"` +
			key + `":"` + null + `"}}}]}`
		if _, err := rootIAM(s).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
			UserName: &name, PolicyName: aws.String("p"), PolicyDocument: &policy,
		}); err != nil {
			t.Fatal(err)
		}
		for with, k := range map[bool]ownKey{true: mine, false: {}} {
			want := ""
			if with != (name == "demands") {
				want = "AccessDenied"
			}
			_, err := c.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("x"), SSECustomerAlgorithm: k.algorithm,
				SSECustomerKey: k.key, SSECustomerKeyMD5: k.md5,
			})
			expect(t, err, want)
			u, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
				Bucket: bucket, Key: aws.String("u"), SSECustomerAlgorithm: k.algorithm, SSECustomerKey: k.key,
				SSECustomerKeyMD5: k.md5,
			})
			expect(t, err, want)
			id := aws.String("AAAA")
			if err == nil {
				id = u.UploadId
			}
			_, err = c.UploadPart(t.Context(), &s3.UploadPartInput{
				Bucket: bucket, Key: aws.String("u"), UploadId: id, PartNumber: aws.Int32(1),
				Body: strings.NewReader("x"), SSECustomerAlgorithm: k.algorithm, SSECustomerKey: k.key,
				SSECustomerKeyMD5: k.md5,
			})
			expect(t, err, want)
		}
	}
}

// TestOwnKeyInsecure: a key that was sent over plain HTTP is refused, and the error
// says why.
func TestOwnKeyInsecure(t *testing.T) {
	address := ownAddress(t)
	s := harness.Start(t, allowingSSEC, func(c *server.Config) {
		c.Listen, c.AllowPlainHTTP = []string{net.JoinHostPort(address, "0")}, true
	})
	newBucket(t, s, "insecure")
	mine := newOwnKey("mine")
	if a := send(t, s, raw{method: "PUT", target: "/insecure/k", body: "x"}); a.status != 200 {
		t.Fatalf("without a key: %d %s", a.status, a.body)
	}
	source := mine.header("x-amz-copy-source-")
	source.Set("x-amz-copy-source", "insecure/k")
	for what, r := range map[string]raw{
		"put":    {method: "PUT", target: "/insecure/k", body: "x", header: mine.header("x-amz-")},
		"get":    {method: "GET", target: "/insecure/k", header: mine.header("x-amz-")},
		"create": {method: "POST", target: "/insecure/k?uploads", header: mine.header("x-amz-")},
		"copy":   {method: "PUT", target: "/insecure/c", header: source},
	} {
		t.Run(what, func(t *testing.T) {
			a := send(t, s, r)
			if a.status != 400 || a.code != "InvalidRequest" ||
				!strings.Contains(a.body, "must be made over a secure connection.") {
				t.Errorf("%s: %d %s", what, a.status, a.body)
			}
		})
	}
}

// ownAddress returns an address of this machine that is not loopback.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}
