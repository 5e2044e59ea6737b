package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/gateway/dialect"
	"watertight/test/harness"
)

// The tests of this file are about bugs of other S3 servers with public access. Each
// first checks that allowed access works, and then that other access does not.

// openServer returns a server with a bucket. Neither the account nor the bucket blocks public access.
func openServer(t *testing.T, name string) (*harness.Server, *string) {
	t.Helper()
	s := harness.Start(t)
	blockAccount(t, s, blocks{})
	bucket := newBucket(t, s, name)
	blockBucket(t, s, bucket, blocks{})
	return s, bucket
}

func store(t *testing.T, s *harness.Server, bucket *string, keys ...string) {
	t.Helper()
	for _, k := range keys {
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: &k, Body: strings.NewReader("of " + k),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// ask sends a stranger's request.
func ask(t *testing.T, s *harness.Server, method, target string, header ...string) answer {
	t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return send(t, s, raw{method: method, target: target, header: h, unsigned: true})
}

// TestGateForEveryAnonymousOperation (RustFS GHSA-x298): Block Public Access applies however anonymous
// callers get access. RestrictPublicBuckets refuses every row of the table that a public policy allows.
func TestGateForEveryAnonymousOperation(t *testing.T) {
	s := harness.Start(t)
	blockAccount(t, s, blocks{})
	opened := 0
	for i, row := range s.Operations("s3") {
		if at := row.Route().String(); !strings.Contains(at, "{Bucket}") || row.Name() == "CreateBucket" ||
			row.Route().Sender() == dialect.Preflight || row.Name() == "DeleteBucket" {
			continue // no bucket, not yet a bucket, anonymous by design, or it deletes the bucket
		}
		name := fmt.Sprint("gate-", i)
		bucket := newBucket(t, s, name)
		store(t, s, bucket, "object")
		blockBucket(t, s, bucket, blocks{})
		if err := putPolicy(t, s.S3, bucket, "%s", everybody(bucket)); err != nil {
			t.Fatal(err)
		}
		try := func() answer {
			r := request(row, name)
			r.unsigned = true
			if row.Route().Sender() == dialect.SignedForm {
				r = post{bucket: name, unsigned: true}.build(t, s)
			}
			return send(t, s, r)
		}
		if a := try(); a.status != 403 && a.status != 405 {
			opened++
		}
		if row.Name() == "DeleteBucketPolicy" || row.Name() == "PutBucketPolicy" {
			continue // refused to strangers either way
		}
		blockBucket(t, s, bucket, blocks{restrict: true})
		if a := try(); a.status != 403 {
			t.Errorf("%s: restricted, but a stranger is answered with %d %s", row.Name(), a.status, a.code)
		}
	}
	if opened < 30 {
		t.Errorf("the policy allowed %d operations", opened)
	}
}

// TestForwardedAddress (RustFS GHSA-fc6g): a header that any client can send
// does not change the source address.
func TestForwardedAddress(t *testing.T) {
	s, bucket := openServer(t, "forwarded")
	store(t, s, bucket, "object")
	put := func(cidr string) {
		t.Helper()
		if err := putPolicy(t, s.S3,
			bucket, `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::forwarded/*",`+
				`"Condition":{"IpAddress":{"aws:SourceIp":"%s"}}}`, cidr); err != nil {
			t.Fatal(err)
		}
	}
	put("127.0.0.0/8")
	if a := ask(t, s, "GET", "/forwarded/object"); a.status != 200 {
		t.Error("the address that is allowed", a.status)
	}
	put("203.0.113.7/32")
	for _, h := range []string{
		"X-Forwarded-For", "X-Real-Ip", "Forwarded", "Cf-Connecting-Ip", "True-Client-Ip", "X-Client-Ip",
		"X-Amz-Source-Ip", "Aws-Sourceip",
	} {
		if a := ask(t, s, "GET", "/forwarded/object", h, "203.0.113.7"); a.status != 403 {
			t.Errorf("%s changes the source address: %d", h, a.status)
		}
	}
	if a := ask(t, s, "GET", "/forwarded/object", "Forwarded", "for=203.0.113.7"); a.status != 403 {
		t.Error("Forwarded changes the source address", a.status)
	}
}

// TestPublicPrefix (Ceph CVE-2016-7031, VaultS3 4.4.67): a policy that makes a prefix public makes
// nothing else public. It does not allow listing, and a Deny applies exactly as written.
func TestPublicPrefix(t *testing.T) {
	s, bucket := openServer(t, "prefix")
	store(t, s, bucket, "public/a", "public/b/c", "public/hidden/d", "public", "publicity", "private/e", "Public/f",
		"a")
	if err := putPolicy(t, s.S3, bucket,
		`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::prefix/public/*"},
		{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::prefix/public/hidden/*"}`); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{
		"/prefix/public/a": 200, "/prefix/public/b/c": 200, "/prefix/public%2Fa": 200, "/prefix/public/hidden/d": 403,
		"/prefix/public": 403, "/prefix/publicity": 403,
		"/prefix/private/e": 403, "/prefix/Public/f": 403, "/prefix/a": 403, "/prefix/public/missing": 403,
		"/prefix": 403, "/prefix/": 403, "/prefix?list-type=2": 403,
		"/prefix?list-type=2&prefix=public/": 403, "/prefix?versions": 403, "/prefix?uploads": 403,
		"/prefix?policy": 403, "/prefix/public/a?tagging": 403, "/prefix/public/a?acl": 403,
	} {
		t.Run(target, func(t *testing.T) {
			if a := ask(t, s, "GET", target); a.status != want {
				t.Errorf("GET %s: %d, want %d", target, a.status, want)
			}
		})
	}
	for _, method := range []string{"PUT", "DELETE", "POST"} {
		if a := ask(t, s, method, "/prefix/public/a"); a.status/100 != 4 {
			t.Errorf("%s: %d", method, a.status)
		}
	}
	// Listing can be made public for one prefix only, too.
	if err := putPolicy(t, s.S3,
		bucket, `{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::prefix",`+
			`"Condition":{"StringLike":{"s3:prefix":"public/*"}}}`); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{
		"/prefix?list-type=2&prefix=public/": 200, "/prefix?prefix=public/b": 200, "/prefix?list-type=2": 403,
		"/prefix": 403, "/prefix?prefix=": 403, "/prefix?prefix=publi": 403,
		"/prefix?prefix=private/": 403, "/prefix?prefix=public/&prefix=private/": 400,
		"/prefix?versions&prefix=public/": 403, "/prefix/public/a": 403,
	} {
		t.Run(target, func(t *testing.T) {
			if a := ask(t, s, "GET", target); a.status != want {
				t.Errorf("GET %s: %d, want %d", target, a.status, want)
			}
		})
	}
}

// TestWritesStayInTheirBucket (MinIO CVE-2023-28434, SeaweedFS CVE-2026-54917):
// an anonymous caller who may write into one bucket cannot write elsewhere,
// however the name of another bucket is spelled: in the path, in a form, in a
// copy source.
func TestWritesStayInTheirBucket(t *testing.T) {
	s, bucket := openServer(t, "drop-box")
	private := newBucket(t, s, "private")
	store(t, s, private, "secret")
	if err := putPolicy(t, s.S3, bucket, "%s", everybody(bucket)); err != nil {
		t.Fatal(err)
	}
	if a := send(t, s, raw{method: "PUT", target: "/drop-box/in", body: "x", unsigned: true}); a.status != 200 {
		t.Fatal("the public bucket refuses a write", a.status)
	}
	if a := send(t, s, post{bucket: "drop-box", unsigned: true}.build(t, s)); a.status != 204 {
		t.Fatal("the public bucket refuses a form", a.status)
	}
	for _, way := range []string{
		"/drop-box/../private/secret", "/drop-box/..%2fprivate/secret", "/drop-box/%2e%2e/private/secret",
		"/drop-box%2f..%2fprivate/secret", "/drop-box/..%5cprivate/secret",
		"//private/secret", "/./private/secret", "/private/secret", "/Private/secret", "/private%00/secret",
		"/drop-box/%252e%252e/private/secret", "/drop-box/..;/private/secret",
		"/.minio.sys/x", "/audit/x", "/meta/x", "/..%2faudit/x", "/drop-box/../../audit/x",
	} {
		t.Run(way, func(t *testing.T) {
			send(t, s, raw{method: "PUT", target: way, body: "stolen", unsigned: true})
			send(t, s, raw{method: "DELETE", target: way, unsigned: true})
			if a := ask(t, s, "GET", way); strings.Contains(a.body, "of secret") {
				t.Errorf("%s reads another bucket", way)
			}
			source := strings.TrimPrefix(way, "/")
			if a := ask(t, s, "PUT", "/drop-box/copy", "X-Amz-Copy-Source",
				source); a.status == 200 && !strings.Contains(way, "252e") {
				t.Errorf("a copy from %q: %d", source, a.status)
			}
			r := post{
				bucket: "drop-box", unsigned: true, fields: map[string]string{"key": source, "bucket": "private"},
			}.build(t, s)
			send(t, s, r)
		})
	}
	if got := strings.Join(keysOf(t, s, "private"), " "); got != "secret" {
		t.Error("the other bucket has", got)
	}
	if got := contents(t, s, "private", "secret"); got != "of secret" {
		t.Errorf("%q", got)
	}
}

// TestVersionIsAnotherAction (RustFS GHSA-3ppv): the permission to read objects does not include reading
// their versions, nor the other way round: directly, in part, or as the source of a copy.
func TestVersionIsAnotherAction(t *testing.T) {
	s := harness.Start(t)
	blockAccount(t, s, blocks{})
	v := newVersioned(t, s, "versions")
	v.turn(types.BucketVersioningStatusEnabled)
	bucket := aws.String("versions")
	blockBucket(t, s, bucket, blocks{})
	old := v.put("key", "old")
	v.put("key", "new")
	for action, want := range map[string]map[bool]int{
		"s3:GetObject": {false: 200, true: 403}, "s3:GetObjectVersion": {false: 403, true: 200},
	} {
		t.Run(action, func(t *testing.T) {
			if err := putPolicy(t, s.S3, bucket,
				`{"Effect":"Allow","Principal":"*","Action":["%s","s3:PutObject"],`+
					`"Resource":"arn:aws:s3:::versions/*"}`, action); err != nil {
				t.Fatal(err)
			}
			for query, versioned := range map[string]bool{
				"": false, "?versionId=" + old: true, "?versionId=null": true,
			} {
				target := "/versions/key" + query
				for _, c := range []struct {
					what string
					a    answer
				}{
					{"GET", ask(t, s, "GET", target)}, {"HEAD", ask(t, s, "HEAD", target)},
					{"a range", ask(t, s, "GET", target, "Range", "bytes=0-1")},
					{"a copy", ask(t, s, "PUT", "/versions/copied", "X-Amz-Copy-Source", target)},
				} {
					got, allowed := c.a.status, want[versioned]
					if got == 206 {
						got = 200
					}
					if query == "?versionId=null" && allowed == 200 {
						allowed = 404 // it is missing; a caller who may not list gets 403
					}
					if got != allowed && !(allowed == 404 && got == 403) {
						t.Errorf("%s, %s %s: %d, want %d", action, c.what, query, got, allowed)
					}
				}
			}
		})
	}
}

// TestCopySourceIsAsked (SeaweedFS #9546; RustFS GHSA-mx42, GHSA-wfxj): a
// caller who may write into one bucket may not copy objects there that it may
// not read.
func TestCopySourceIsAsked(t *testing.T) {
	s, target := openServer(t, "target")
	source := newBucket(t, s, "source")
	store(t, s, source, "secret", "shared")
	if err := putPolicy(t, s.S3, target, "%s", everybody(target)); err != nil {
		t.Fatal(err)
	}
	blockBucket(t, s, source, blocks{})
	if err := putPolicy(t, s.S3, source,
		`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",`+
			`"Resource":"arn:aws:s3:::source/shared"}`); err != nil {
		t.Fatal(err)
	}
	newUser(t, s, "writer")
	if _, err := rootIAM(s).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("writer"),
		PolicyName: aws.String("w"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*",` +
			`"Resource":"arn:aws:s3:::target/*"}}`)}); err != nil {
		t.Fatal(err)
	}
	keys, err := rootIAM(s).CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("writer")})
	if err != nil {
		t.Fatal(err)
	}
	upload := begin(t, s, s3.CreateMultipartUploadInput{Bucket: target, Key: aws.String("parts")})
	for key, want := range map[string]int{"shared": 200, "secret": 403} {
		t.Run(key, func(t *testing.T) {
			for who, change := range map[string]func(*raw){
				"a stranger": func(r *raw) { r.unsigned = true },
				"a user": func(r *raw) {
					r.key, r.secret = *keys.AccessKey.AccessKeyId, *keys.AccessKey.SecretAccessKey
				},
				"a user's presigned URL": func(r *raw) {
					r.key, r.secret, r.presign = *keys.AccessKey.AccessKeyId, *keys.AccessKey.SecretAccessKey, true
				},
			} {
				for what, at := range map[string]string{
					"a copy": "/target/copy", "a part": "/target/parts?partNumber=1&uploadId=" + *upload,
				} {
					r := raw{method: "PUT", target: at, header: has("X-Amz-Copy-Source", "/source/"+key)}
					change(&r)
					if a := send(t, s, r); a.status != want {
						t.Errorf("%s, %s of %s: %d %s", who, what, key, a.status, a.code)
					}
				}
			}
		})
	}
}

// TestConditionsBeforeAuthorization (MinIO CVE-2024-36107): a conditional
// request of a stranger reveals nothing: it gets the same 403, without any header
// of the object, whether the object exists or not.
func TestConditionsBeforeAuthorization(t *testing.T) {
	s, bucket := openServer(t, "conditional")
	store(t, s, bucket, "present")
	if err := putPolicy(t, s.S3, bucket,
		`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",`+
			`"Resource":"arn:aws:s3:::conditional/*"}`); err != nil {
		t.Fatal(err)
	}
	open := ask(t, s, "GET", "/conditional/present")
	etag := open.header.Get("Etag")
	if open.status != 200 || etag == "" {
		t.Fatal(open.status)
	}
	if a := ask(t, s, "GET", "/conditional/present", "If-None-Match", etag); a.status != 304 {
		t.Error("the bucket is public, but the condition is ignored", a.status)
	}
	// response-* needs a signature (S3 API reference, GetObject).
	if a := ask(t, s, "GET",
		"/conditional/present?response-content-type=text/html"); a.status != 400 || a.code != "InvalidRequest" {
		t.Error("a stranger can choose the type of the answer", a.status, a.code)
	}
	blockBucket(t, s, bucket, blocks{restrict: true})
	for _, header := range [][]string{
		nil, {"If-None-Match", etag}, {"If-Match", etag}, {"If-Match", `"x"`}, {"If-None-Match", "*"},
		{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"},
		{"If-Modified-Since", "Mon, 02 Jan 2096 15:04:05 GMT"},
		{"If-Unmodified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}, {"Range", "bytes=100-"}, {"If-Range", etag},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method, func(t *testing.T) {
				present, absent := ask(t, s, method, "/conditional/present",
					header...), ask(t, s, method, "/conditional/absent", header...)
				for what, a := range map[string]answer{"present": present, "absent": absent} {
					if a.status != 403 {
						t.Errorf("%s %v, %s: %d", method, header, what, a.status)
					}
					for _, h := range []string{
						"Etag", "Last-Modified", "Content-Range", "Accept-Ranges", "X-Amz-Version-Id",
						"X-Amz-Server-Side-Encryption",
					} {
						if a.header.Get(h) != "" {
							t.Errorf("%s %v, %s reveals its %s", method, header, what, h)
						}
					}
				}
				if len(present.body) != len(absent.body) {
					t.Errorf("%s %v: the answers differ", method, header)
				}
			})
		}
	}
}
