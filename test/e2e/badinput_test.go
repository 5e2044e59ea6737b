package e2e

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/test/harness"
)

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// TestBadInput sends invalid requests: each gets a precise error, and nothing is
// stored.
func TestBadInput(t *testing.T) {
	s := harness.Start(t)
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bad")}); err != nil {
		t.Fatal(err)
	}
	del := func(inner string) string {
		return `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + inner + `</Delete>`
	}
	md5 := func(r raw) raw {
		r.header.Set("Content-Md5", base64.StdEncoding.EncodeToString(md5Of(r.body)))
		return r
	}
	h := func(kv ...string) http.Header {
		out := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			out.Set(kv[i], kv[i+1])
		}
		return out
	}
	bomb := `<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>` +
		del(`<Object><Key>&b;</Key></Object>`)
	for _, c := range []struct {
		name string
		r    raw
		want int
		code string
	}{
		{"key climbs above the root", raw{method: "PUT", target: "/bad/../x"}, 400, "InvalidURI"},
		{"key climbs above the root, encoded", raw{method: "PUT", target: "/bad/a/%2e%2e/%2e%2e/x"}, 400, "InvalidURI"},
		{"key climbs above the root, slash encoded", raw{method: "PUT", target: "/bad/..%2Fx"}, 400, "InvalidURI"},
		{"slash in the bucket", raw{method: "PUT", target: "/bad%2Fkey"}, 400, "InvalidBucketName"},
		{"dots as the bucket", raw{method: "PUT", target: "/../x"}, 400, "InvalidBucketName"},
		{"NUL in the key", raw{method: "PUT", target: "/bad/a%00b"}, 400, "InvalidURI"},
		{"invalid UTF-8", raw{method: "PUT", target: "/bad/a%ffb"}, 400, "InvalidURI"},
		{"broken escape, refused by net/http before anything else", raw{method: "PUT", target: "/bad/a%zz"}, 400, ""},
		{"1,025 bytes", raw{method: "PUT", target: "/bad/" + strings.Repeat("k", 1025)}, 400, "KeyTooLongError"},
		{
			"1,026 bytes of é", raw{method: "PUT", target: "/bad/" + strings.Repeat("%C3%A9", 513)}, 400,
			"KeyTooLongError",
		},
		{
			"too much metadata",
			raw{method: "PUT", target: "/bad/meta", header: h("X-Amz-Meta-A", strings.Repeat("v", 2049))}, 400,
			"MetadataTooLarge",
		},
		{
			"too many headers",
			raw{method: "PUT", target: "/bad/headers", header: h("X-Filler", strings.Repeat("v", 9000))}, 400,
			"RequestHeaderSectionTooLarge",
		},
		{
			"wrong payload hash", raw{method: "PUT", target: "/bad/hash", body: "x", hash: emptyHash}, 400,
			"XAmzContentSHA256Mismatch",
		},
		{
			"wrong Content-MD5",
			raw{method: "PUT", target: "/bad/md5", body: "x", header: h("Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg==")},
			400, "BadDigest",
		},
		{
			"malformed Content-MD5", raw{method: "PUT", target: "/bad/md5", body: "x", header: h("Content-Md5", "zz")},
			400, "InvalidDigest",
		},
		{
			"wrong checksum",
			raw{method: "PUT", target: "/bad/crc", body: "x", header: h("X-Amz-Checksum-Crc32", "AAAAAA==")}, 400,
			"BadDigest",
		},
		{
			"malformed checksum",
			raw{method: "PUT", target: "/bad/crc", body: "x", header: h("X-Amz-Checksum-Crc32", "A")}, 400,
			"InvalidRequest",
		},
		{
			"two checksums",
			raw{
				method: "PUT", target: "/bad/crc", body: "x",
				header: h("X-Amz-Checksum-Crc32", "jNlHXg==", "X-Amz-Checksum-Sha1", "EfatjsUqKYEMqzrn6dUu3TRyZBQ="),
			},
			400, "InvalidRequest",
		},
		{
			"an empty Content-MD5", raw{method: "PUT", target: "/bad/md5", body: "x", header: h("Content-Md5", "")},
			400, "InvalidDigest",
		},
		{
			"an empty Content-MD5 of a document",
			raw{
				method: "POST", target: "/bad?delete", body: del("<Object><Key>k</Key></Object>"),
				header: h("Content-Md5", ""),
			},
			400, "InvalidDigest",
		},
		{
			"an empty checksum",
			raw{method: "PUT", target: "/bad/crc", body: "x", header: h("X-Amz-Checksum-Crc32", "")}, 400,
			"InvalidRequest",
		},
		{
			"two empty checksums",
			raw{
				method: "PUT", target: "/bad/crc", body: "x",
				header: h("X-Amz-Checksum-Crc32", "", "X-Amz-Checksum-Sha1", ""),
			},
			400, "InvalidRequest",
		},
		{
			"unknown checksum algorithm",
			raw{method: "PUT", target: "/bad/crc", body: "x", header: h("X-Amz-Checksum-Crc16", "AAA=")}, 400,
			"InvalidRequest",
		},
		{
			"a document in unsigned chunks",
			raw{
				method: "PUT", target: "/bad?tagging", body: "0\r\n\r\n", hash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
				header: h("X-Amz-Decoded-Content-Length", "0"),
			},
			400, "InvalidRequest",
		},
		{
			"clock 16 minutes slow", raw{method: "GET", target: "/bad", at: time.Now().Add(-16 * time.Minute)}, 403,
			"RequestTimeTooSkewed",
		},
		{
			"clock 16 minutes fast", raw{method: "GET", target: "/bad", at: time.Now().Add(16 * time.Minute)}, 403,
			"RequestTimeTooSkewed",
		},
		{"max-keys is not a number", raw{method: "GET", target: "/bad?max-keys=abc"}, 400, "InvalidArgument"},
		{"max-keys is negative", raw{method: "GET", target: "/bad?max-keys=-1"}, 400, "InvalidArgument"},
		{"unknown encoding", raw{method: "GET", target: "/bad?encoding-type=rot13"}, 400, "InvalidArgument"},
		{
			"foreign continuation token", raw{method: "GET", target: "/bad?list-type=2&continuation-token=nonsense"},
			400, "InvalidArgument",
		},
		{"repeated parameter", raw{method: "GET", target: "/bad/k?versionId=a&versionId=b"}, 400, "InvalidArgument"},
		{"malformed version", raw{method: "GET", target: "/bad/k?versionId=nonsense"}, 400, "InvalidArgument"},
		{"an XML bomb", md5(raw{method: "POST", target: "/bad?delete", body: bomb, header: h()}), 400, "MalformedXML"},
		{"not XML", md5(raw{method: "POST", target: "/bad?delete", body: "{}", header: h()}), 400, "MalformedXML"},
		{
			"another root", md5(raw{method: "POST", target: "/bad?delete", body: "<Other/>", header: h()}), 400,
			"MalformedXML",
		},
		{
			"nothing to delete", md5(raw{method: "POST", target: "/bad?delete", body: del(""), header: h()}), 400,
			"MalformedXML",
		},
		{
			"1,001 keys to delete",
			md5(raw{
				method: "POST", target: "/bad?delete", body: del(strings.Repeat("<Object><Key>k</Key></Object>", 1001)),
				header: h(),
			}),
			400, "MalformedXML",
		},
		{
			"XML too deep",
			md5(raw{method: "POST", target: "/bad?delete", body: strings.Repeat("<a>", 5000), header: h()}), 400,
			"MalformedXML",
		},
		{
			"delete without a checksum",
			raw{method: "POST", target: "/bad?delete", body: del("<Object><Key>k</Key></Object>")}, 400,
			"InvalidRequest",
		},
		{"unknown sub-resource of S3", raw{method: "PUT", target: "/bad/k?torrent"}, 501, "NotImplemented"},
		{
			"a copy of nothing", raw{method: "PUT", target: "/bad/k", header: h("X-Amz-Copy-Source", "/bad/x")}, 404,
			"NoSuchKey",
		},
		{
			"a copy from above the bucket",
			raw{method: "PUT", target: "/bad/k", header: h("X-Amz-Copy-Source", "/bad/../other/x")}, 400, "InvalidURI",
		},
		{
			"the same, encoded",
			raw{method: "PUT", target: "/bad/k", header: h("X-Amz-Copy-Source", "/bad/%2e%2e%2fother%2fx")}, 400,
			"InvalidURI",
		},
		{
			"a copy without a key", raw{method: "PUT", target: "/bad/k", header: h("X-Amz-Copy-Source", "/bad")}, 400,
			"InvalidArgument",
		},
		{
			"a copy with a broken escape",
			raw{method: "PUT", target: "/bad/k", header: h("X-Amz-Copy-Source", "/bad/%zz")}, 400, "InvalidArgument",
		},
		{
			"a copy of no bucket's name",
			raw{method: "PUT", target: "/bad/k", header: h("X-Amz-Copy-Source", "192.168.1.1/k")}, 400,
			"InvalidArgument",
		},
		{
			"a copy with metadata too large, though it is not to be used",
			raw{
				method: "PUT", target: "/bad/k",
				header: h("X-Amz-Copy-Source", "/bad/x", "X-Amz-Meta-A", strings.Repeat("v", 2049)),
			},
			400, "MetadataTooLarge",
		},
		{
			"part 10,001 of a copy of nothing",
			raw{
				method: "PUT", target: "/bad/k?partNumber=10001&uploadId=none",
				header: h("X-Amz-Copy-Source", "/bad/x"),
			},
			400, "InvalidArgument",
		},
		{
			"a copy onto itself", raw{method: "PUT", target: "/bad/k", header: h("X-Amz-Copy-Source", "/bad/k")}, 400,
			"InvalidRequest",
		},
		{
			"a copy by an unknown directive",
			raw{
				method: "PUT", target: "/bad/k",
				header: h("X-Amz-Copy-Source", "/bad/x", "X-Amz-Metadata-Directive", "MERGE"),
			},
			400, "InvalidArgument",
		},
		{"bad bucket name", raw{method: "PUT", target: "/Bad_Name"}, 400, "InvalidBucketName"},
		{
			"bad location",
			raw{
				method: "PUT", target: "/bad-location",
				body: `<CreateBucketConfiguration><LocationConstraint>mars-1</LocationConstraint>` +
					`</CreateBucketConfiguration>`,
			},
			400, "InvalidLocationConstraint",
		},
		{
			"foreign owner expected",
			raw{method: "GET", target: "/bad", header: h("X-Amz-Expected-Bucket-Owner", "000000000000")}, 403,
			"AccessDenied",
		},
		{
			"owner not an account", raw{method: "GET", target: "/bad", header: h("X-Amz-Expected-Bucket-Owner", "abc")},
			400, "InvalidBucketOwnerAWSAccountID",
		},
		{
			"encryption that does not exist",
			raw{method: "PUT", target: "/bad/enc", header: h("X-Amz-Server-Side-Encryption", "ROT13")}, 400,
			"InvalidEncryptionAlgorithmError",
		},
		{
			"encryption that is not built",
			raw{method: "PUT", target: "/bad/enc", header: h("X-Amz-Server-Side-Encryption", "aws:fsx")}, 501,
			"NotImplemented",
		},
		{
			"tags of no form", raw{method: "PUT", target: "/bad/tags", header: h("X-Amz-Tagging", "a=1&a=2")}, 400,
			"InvalidArgument",
		},
		{
			"an ACL", raw{method: "PUT", target: "/bad/acl", header: h("X-Amz-Acl", "public-read")}, 400,
			"AccessControlListNotSupported",
		},
		{"unknown method", raw{method: "BREW", target: "/bad/k"}, 405, "MethodNotAllowed"},
		{
			"only If-None-Match: * on a put",
			raw{method: "PUT", target: "/bad/cond", header: h("If-None-Match", `"etag"`)}, 501, "NotImplemented",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := send(t, s, c.r)
			if a.status != c.want || a.code != c.code {
				t.Errorf("got %d %s, want %d %s\n%s", a.status, a.code, c.want, c.code, a.body)
			}
		})
	}
	out, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bad")})
	if err != nil || len(out.Contents) != 0 {
		t.Errorf("bad input stored %d objects, %v", len(out.Contents), err)
	}
}

// TestOddKeys: valid keys that look dangerous are stored and found.
func TestOddKeys(t *testing.T) {
	s := harness.Start(t)
	bucket := aws.String("odd")
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	keys := []string{
		"a//b", "a/./b", "a/../b", "/leading", "trailing/", "plus+sign", "per%25cent", "%2F", "é", "a b", "a*b", "~t",
		"new\nline", "quote\"s", "<xml>&amp;",
		"tab\there", strings.Repeat("k", 1024), strings.Repeat("é", 512), "?acl", "#frag", ";v=1", "...", "日本語",
		"\x01control",
	}
	for i, k := range keys {
		body := strconv.Itoa(i)
		in := &s3.PutObjectInput{Bucket: bucket, Key: &k, Body: strings.NewReader(body)}
		if _, err := s.S3.PutObject(t.Context(), in); err != nil {
			t.Errorf("put %q: %v", k, err)
			continue
		}
		if got, err := readObject(t.Context(), s.S3, bucket, k); err != nil || string(got) != body {
			t.Errorf("get %q: %q, %v", k, got, err)
		}
	}
	listed := map[string]bool{}
	pages := s3.NewListObjectsV2Paginator(s.S3, &s3.ListObjectsV2Input{
		Bucket: bucket, EncodingType: "url", MaxKeys: aws.Int32(5),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			listed[unescape(t, *o.Key)] = true
		}
	}
	for _, k := range keys {
		if !listed[k] {
			t.Errorf("%q is not listed", k)
		}
	}
}
