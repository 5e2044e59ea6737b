package e2e

import (
	"bufio"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/test/harness"
)

// put makes an object, and fails the test if it can't.
func put(t *testing.T, s *harness.Server, bucket, key, body string) {
	t.Helper()
	if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: strings.NewReader(body),
	}); err != nil {
		t.Fatal(err)
	}
}

// TestOneReading: a header that is sent in another form, which the signature covers as well, is
// refused or read as it was signed.
func TestOneReading(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "bkt")
	for key, body := range map[string]string{
		"report,final": "meant", "report": "NOT MEANT", "to do": "meant", "to  do": "NOT MEANT",
	} {
		put(t, s, "bkt", key, body)
	}
	for what, c := range map[string]struct {
		signed string
		sent   []string
	}{
		"twice":       {"bkt/report,final", []string{"bkt/report", "final"}},
		"two blanks":  {"bkt/to do", []string{"bkt/to  do"}},
		"a tab":       {"bkt/to do", []string{"bkt/to\tdo"}},
		"blank, same": {"bkt/to do", []string{"bkt/to do"}},
	} {
		t.Run(what, func(t *testing.T) {
			for _, presign := range []bool{false, true} {
				a := sendChanged(t, s,
					raw{
						method: "PUT", target: "/bkt/out", header: http.Header{"X-Amz-Copy-Source": {c.signed}},
						presign: presign,
					},
					func(r *http.Request) { r.Header["X-Amz-Copy-Source"] = c.sent })
				if a.status == 200 && contents(t, s, "bkt", "out") != "meant" || a.status != 200 && a.status != 400 {
					t.Errorf("%s, presigned %v: %d, copied %q", what, presign, a.status, contents(t, s, "bkt", "out"))
				}
			}
		})
	}
	for _, name := range []string{
		"X-Amz-Meta-A", "X-Amz-Acl", "X-Amz-Tagging", "X-Amz-Storage-Class", "Content-Type", "Cache-Control",
		"If-Match", "Range", "Content-Md5", "Date",
	} {
		t.Run(name, func(t *testing.T) {
			a := sendChanged(t, s,
				raw{
					method: "PUT", target: "/bkt/twice", header: http.Header{name: {"a,b"}}, body: "x",
				}, func(r *http.Request) { r.Header[name] = []string{"a", "b"} })
			if a.status != 400 || a.code != "InvalidArgument" {
				t.Errorf("%s twice: %d %s", name, a.status, a.code)
			}
		})
	}
	a := sendChanged(t, s,
		raw{
			method: "PUT", target: "/bkt/meta", header: http.Header{"X-Amz-Meta-A": {"a b"}}, body: "x",
		}, func(r *http.Request) { r.Header["X-Amz-Meta-A"] = []string{"a  \t b"} })
	if head := send(t, s, raw{method: "HEAD", target: "/bkt/meta"}); a.status != 200 ||
		head.header.Get("X-Amz-Meta-A") != "a b" {
		t.Errorf("blanks in metadata: %d, %q", a.status, head.header.Get("X-Amz-Meta-A"))
	}
	for _, target := range []string{
		"/bkt/report?versionId=null&versionId=x", "/bkt?prefix=a&prefix=b", "/bkt?list-type=2&list-type=2",
		"/bkt?acl&acl",
	} {
		if a := send(t, s, raw{method: "GET", target: target}); a.status != 400 || a.code != "InvalidArgument" {
			t.Errorf("%s: %d %s", target, a.status, a.code)
		}
	}
}

// TestEmptyHeaders: an empty header is checked, and never treated like a missing one.
func TestEmptyHeaders(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "bkt")
	put(t, s, "bkt", "victim", "precious")
	up, err := s.S3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: aws.String("bkt"), Key: aws.String("victim"),
	})
	if err != nil {
		t.Fatal(err)
	}
	part := "/bkt/victim?partNumber=1&uploadId=" + url.QueryEscape(*up.UploadId)
	source := http.Header{"X-Amz-Copy-Source": {"bkt/victim"}}
	for _, c := range []struct {
		method, target, name, code string
		header                     http.Header
	}{
		{"PUT", "/bkt/victim", "X-Amz-Copy-Source", "InvalidArgument", nil},
		{"PUT", part, "X-Amz-Copy-Source", "InvalidArgument", nil},
		{"GET", "/bkt/victim", "X-Amz-Copy-Source", "InvalidArgument", nil},
		{"PUT", part, "X-Amz-Copy-Source-Range", "InvalidArgument", source},
		{"PUT", "/bkt/victim", "X-Amz-Metadata-Directive", "InvalidArgument", source},
		{"PUT", "/bkt/victim", "X-Amz-Tagging-Directive", "InvalidArgument", source},
		{"PUT", "/bkt/victim", "X-Amz-Copy-Source-If-Unmodified-Since", "InvalidArgument", source},
		{"PUT", "/bkt/victim", "X-Amz-Source-Expected-Bucket-Owner", "InvalidBucketOwnerAWSAccountID", source},
		{"PUT", "/bkt/victim", "X-Amz-Acl", "InvalidArgument", nil},
		{"PUT", "/bkt/victim", "X-Amz-Grant-Read", "InvalidArgument", nil},
		{"PUT", "/bkt/victim", "X-Amz-Storage-Class", "InvalidStorageClass", nil},
		{"PUT", "/bkt/victim", "X-Amz-Server-Side-Encryption", "InvalidEncryptionAlgorithmError", nil},
		{"PUT", "/bkt/victim", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "InvalidArgument", nil},
		{"PUT", "/bkt/victim", "X-Amz-Server-Side-Encryption-Customer-Algorithm", "InvalidArgument", nil},
		{"PUT", "/bkt/victim", "X-Amz-Server-Side-Encryption-Customer-Key", "InvalidArgument", nil},
		{"PUT", "/bkt/victim", "X-Amz-Object-Lock-Mode", "InvalidArgument", nil},
		{"PUT", "/bkt/victim", "X-Amz-Object-Lock-Legal-Hold", "InvalidArgument", nil},
		{"PUT", "/bkt/victim", "X-Amz-Website-Redirect-Location", "InvalidRedirectLocation", nil},
		{"PUT", "/bkt/victim", "X-Amz-Sdk-Checksum-Algorithm", "InvalidRequest", nil},
		{"PUT", "/bkt/victim", "X-Amz-Checksum-Crc32", "InvalidRequest", nil},
		{"PUT", "/bkt/victim", "X-Amz-Expected-Bucket-Owner", "InvalidBucketOwnerAWSAccountID", nil},
		{"PUT", "/bkt/victim", "Content-Md5", "InvalidDigest", nil},
		{"GET", "/bkt/victim", "X-Amz-Expected-Bucket-Owner", "InvalidBucketOwnerAWSAccountID", nil},
		{"DELETE", "/bkt/victim", "X-Amz-Expected-Bucket-Owner", "InvalidBucketOwnerAWSAccountID", nil},
		{"DELETE", "/bkt/victim?versionId=", "", "InvalidArgument", nil},
		{"PUT", "/bktnew", "X-Amz-Bucket-Object-Lock-Enabled", "InvalidArgument", nil},
		{"PUT", "/bkt/victim", "X-Amz-Trailer", "InvalidArgument", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			for k, v := range c.header {
				h[k] = v
			}
			if c.name != "" {
				h[c.name] = []string{""}
			}
			a := send(t, s, raw{method: c.method, target: c.target, header: h})
			if a.status != 400 || a.code != c.code {
				t.Errorf("%s %s with an empty %s: %d %s, want %s", c.method, c.target, c.name, a.status, a.code, c.code)
			}
			if c.name == "" || c.code == "InvalidDigest" {
				return
			}
			at, join := c.target, "?"
			if strings.Contains(at, "?") {
				join = "&"
			}
			a = send(t, s, raw{
				method: c.method, target: at + join + strings.ToLower(c.name) + "=", header: c.header, presign: true,
			})
			if sum := strings.Contains(c.name, "Checksum"); (a.status == 200) != sum {
				t.Errorf("%s %s with an empty %s in the query: %d %s", c.method, c.target, c.name, a.status, a.code)
			}
			if got := contents(t, s, "bkt", "victim"); got != "precious" && a.status != 200 {
				t.Fatalf("after %s %s the object is %q", c.method, c.name, got)
			}
			put(t, s, "bkt", "victim", "precious")
		})
	}
	if a := send(t, s, raw{
		method: "PUT", target: "/bkt/plain", header: http.Header{"X-Amz-Tagging": {""}, "X-Amz-Meta-Empty": {""}},
		body: "x",
	}); a.status != 200 {
		t.Errorf("no tags, and empty metadata: %d %s", a.status, a.code)
	}
	if a := send(t, s, raw{
		method: "GET", target: "/bkt/plain", unsigned: true, header: http.Header{"X-Amz-Security-Token": {""}},
	}); a.status != 403 {
		t.Errorf("an empty token: %d", a.status)
	}
	if a := send(t, s, raw{
		method: "GET", target: "/bkt/plain", header: http.Header{"X-Amz-Security-Token": {""}},
	}); a.status != 400 || a.code != "InvalidToken" {
		t.Errorf("an empty token that is signed: %d %s", a.status, a.code)
	}
	if a := send(t, s, raw{
		method: "GET", target: "/bkt/plain?X-Amz-Security-Token=", presign: true,
	}); a.status != 400 || a.code != "InvalidToken" {
		t.Errorf("an empty token in a presigned URL: %d %s", a.status, a.code)
	}
}

// TestNamesOnTheWire: names of headers are written as AWS writes them, because some clients compare
// them case-sensitively.
func TestNamesOnTheWire(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "bkt")
	head := exchange(t, s, onWire(t, s, raw{method: "PUT", target: "/bkt/k", body: "x"}))
	_, etag, _ := strings.Cut(head, "ETag: ")
	etag, _, _ = strings.Cut(etag, "\r\n")
	for what, r := range map[string]raw{
		"get":          {method: "GET", target: "/bkt/k"},
		"head":         {method: "HEAD", target: "/bkt/k"},
		"not modified": {method: "GET", target: "/bkt/k", header: http.Header{"If-None-Match": {etag}}},
	} {
		t.Run(what, func(t *testing.T) {
			head := exchange(t, s, onWire(t, s, r))
			for _, name := range []string{"ETag: ", "x-amz-request-id: ", "x-amz-id-2: ", "Last-Modified: ", "Date: "} {
				if !strings.Contains(head, "\r\n"+name) {
					t.Errorf("%s: no %q in\n%s", what, name, head)
				}
			}
		})
	}
}

// TestUploadWithoutLength: an upload without a length is refused, because a truncated body could not
// be recognized.
func TestUploadWithoutLength(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "bkt")
	up, err := s.S3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: aws.String("bkt"), Key: aws.String("m"),
	})
	if err != nil {
		t.Fatal(err)
	}
	part := "/bkt/m?partNumber=1&uploadId=" + url.QueryEscape(*up.UploadId)
	for _, target := range []string{"/bkt/none", part} {
		for _, presign := range []bool{false, true} {
			t.Run(fmt.Sprint(presign), func(t *testing.T) {
				r := raw{method: "PUT", target: target, presign: presign}
				if head := exchange(t, s,
					onWire(t, s, r, "Content-Length")); !strings.HasPrefix(head, "HTTP/1.1 411 ") {
					t.Errorf("%s, presigned %v, without a length: %s", target, presign, head)
				}
				text := strings.Replace(onWire(t, s, r, "Content-Length"), "\r\n\r\n",
					"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1)
				if head := exchange(t, s, text); !strings.HasPrefix(head, "HTTP/1.1 501 ") {
					t.Errorf("%s, presigned %v, chunked: %s", target, presign, head)
				}
			})
		}
	}
	if keys := keysOf(t, s, "bkt"); len(keys) != 0 {
		t.Errorf("stored: %q", keys)
	}
}

// TestPlusInPath: + is a blank, and %2B a plus sign, in the key and in the signed text.
func TestPlusInPath(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "bkt")
	put(t, s, "bkt", "g x", "blank")
	put(t, s, "bkt", "g+x", "plus")
	for _, c := range []struct {
		signed, sent string
		status       int
		body         string
	}{
		{"/bkt/g%20x", "/bkt/g+x", 200, "blank"}, {"/bkt/g%2Bx", "/bkt/g%2Bx", 200, "plus"},
		{"/bkt/g%2Bx", "/bkt/g+x", 403, ""},
	} {
		t.Run(c.signed+" "+c.sent, func(t *testing.T) {
			a := sendChanged(t, s, raw{method: "GET", target: c.signed}, func(r *http.Request) {
				r.URL.Opaque = "//" + r.Host + c.sent
			})
			if a.status != c.status || c.body != "" && a.body != c.body {
				t.Errorf("%s signed as %s: %d %q", c.sent, c.signed, a.status, a.body)
			}
		})
	}
}

// TestMetadataBeyondASCII: the answer's header is ASCII (RFC 2047).
func TestMetadataBeyondASCII(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "bkt")
	for value, want := range map[string]string{
		"öha, 漢字": "öha, 漢字", "plain": "plain", "=?UTF-8?B?w7ZoYQ==?=": "öha", "\xf6ha": "öha",
	} {
		t.Run(value, func(t *testing.T) {
			if a := send(t, s, raw{
				method: "PUT", target: "/bkt/k", header: http.Header{"X-Amz-Meta-N": {value}}, body: "x",
			}); a.status != 200 {
				t.Errorf("%q: %d %s", value, a.status, a.code)
			}
			got := send(t, s, raw{method: "HEAD", target: "/bkt/k"}).header.Get("X-Amz-Meta-N")
			if text, err := new(mime.WordDecoder).DecodeHeader(got); err != nil || text != want ||
				strings.ContainsFunc(got, func(r rune) bool { return r > 0x7e }) {
				t.Errorf("%q is returned as %q (%q, %v)", value, got, text, err)
			}
		})
	}
}

// TestBucketRegionOfFailures: a failed HEAD returns only the region, and does not
// reveal which buckets exist.
func TestBucketRegionOfFailures(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "bkt")
	for i, r := range []raw{
		{method: "HEAD", target: "/bkt", unsigned: true}, {method: "HEAD", target: "/missing", unsigned: true},
		{method: "HEAD", target: "/bkt", breakSignature: true},
		{method: "HEAD", target: "/missing", breakSignature: true},
		{method: "HEAD", target: "/bkt/none", unsigned: true}, {method: "GET", target: "/bkt?versions", unsigned: true},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if a := send(t, s, r); a.status != 403 || a.header.Get("X-Amz-Bucket-Region") != "us-east-1" {
				t.Errorf("%s %s: %d, region %q", r.method, r.target, a.status, a.header.Get("X-Amz-Bucket-Region"))
			}
		})
	}
	if a := send(t, s, raw{method: "HEAD", target: "/missing"}); a.status != 404 ||
		a.header.Get("X-Amz-Bucket-Region") != "" {
		t.Errorf("a missing bucket: %d, region %q", a.status, a.header.Get("X-Amz-Bucket-Region"))
	}
}

// TestClientThatHangsUp: a client that disconnects during a request does not cause a server error, and
// a truncated form is the client's error.
func TestClientThatHangsUp(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "bkt")
	put(t, s, "bkt", "large", strings.Repeat("x", 16<<20))
	for i := range 8 {
		text := onWire(t, s, raw{method: "GET", target: "/bkt/large"})
		if i%2 == 1 {
			text = "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
				"100\r\n\r\nAction=A"
		}
		c := connect(t, s.Endpoint, text)
		if i%2 == 0 {
			io.ReadFull(c, make([]byte, 1000))
			c.SetLinger(0)
			c.Close()
			continue
		}
		c.CloseWrite()
		line, _ := bufio.NewReader(c).ReadString('\n')
		c.Close()
		if !strings.HasPrefix(line, "HTTP/1.1 400 ") {
			t.Errorf("a truncated form: %q", line)
		}
	}
	s.Stop() // waits for every request
	if logs := s.Logs.String(); strings.Contains(logs, "level=ERROR") {
		t.Errorf("the log has faults:\n%s", logs)
	}
}

// TestServiceThatIsNotHere: the error for a valid request to an unknown service is not about its
// signature.
func TestServiceThatIsNotHere(t *testing.T) {
	s := harness.Start(t)
	a := send(t, s, raw{
		method: "POST", target: "/", service: "secretsmanager",
		header: http.Header{
			"X-Amz-Target": {"secretsmanager.ListSecrets"}, "Content-Type": {"application/x-amz-json-1.1"},
		},
		body: "{}",
	})
	if a.status != 501 || !strings.Contains(a.body, "The service secretsmanager is not implemented here.") {
		t.Errorf("%d %s", a.status, a.body)
	}
}
