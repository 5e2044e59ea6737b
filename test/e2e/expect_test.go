package e2e

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"watertight/test/harness"
)

// expecting is an upload whose client waits for 100 Continue before it sends
// the body.
type expecting struct {
	target   string
	header   http.Header
	size     int64
	key      harness.Credentials // empty for the server's root user
	unsigned bool
	broken   bool
}

// begin sends the request's head and returns the first answer.
func (e expecting) begin(t *testing.T, s *harness.Server) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.Endpoint+e.target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = e.size
	for name, values := range e.header {
		req.Header[name] = values
	}
	if !e.unsigned {
		cred := aws.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}
		if e.key.AccessKeyID != "" {
			cred = aws.Credentials{AccessKeyID: e.key.AccessKeyID, SecretAccessKey: e.key.SecretAccessKey}
		}
		req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
		if err := signer.SignHTTP(context.Background(), cred, req, "UNSIGNED-PAYLOAD", "s3", s.Region,
			time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if e.broken {
		breakSignature(req)
	}
	conn := connect(t, s.Endpoint, headExpecting(req, req.URL.RequestURI(), int(e.size)))
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, req)
	if err != nil {
		t.Fatal(err)
	}
	return conn, r, res
}

// TestExpectContinue: a request that can be refused by its headers is refused
// before the client sends a byte of the body. Otherwise the server answers 100
// Continue.
func TestExpectContinue(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "expect")
	foreign := s.CreateAccount(t, "foreign")
	conn, r, res := expecting{target: "/expect/k", size: 5}.begin(t, s)
	if res.StatusCode != http.StatusContinue {
		t.Fatalf("a valid request: %d", res.StatusCode)
	}
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	done, err := http.ReadResponse(r, nil)
	if err != nil || done.StatusCode != 200 {
		t.Fatalf("%v, %v", done, err)
	}
	for _, c := range []struct {
		name string
		e    expecting
		want int
		code string
	}{
		{"unsigned", expecting{unsigned: true}, 403, "AccessDenied"},
		{"a wrong signature", expecting{broken: true}, 403, "SignatureDoesNotMatch"},
		{
			"an unknown key",
			expecting{key: harness.Credentials{AccessKeyID: "AKIAUNKNOWNUNKNOWN12", SecretAccessKey: "x"}}, 403,
			"InvalidAccessKeyId",
		},
		{"another account", expecting{key: foreign}, 403, "AccessDenied"},
		{"no such bucket", expecting{target: "/absent/k"}, 404, "NoSuchBucket"},
		{"more than 5 GiB", expecting{size: 5<<30 + 1}, 400, "EntityTooLarge"},
		{
			"a key that must not be there", expecting{header: http.Header{"If-None-Match": {"*"}}}, 412,
			"PreconditionFailed",
		},
		{
			"another object than expected", expecting{header: http.Header{"If-Match": {`"other"`}}}, 412,
			"PreconditionFailed",
		},
		{"a malformed checksum", expecting{header: http.Header{"X-Amz-Checksum-Crc32": {"x"}}}, 400, "InvalidRequest"},
		{
			"a class that is not there", expecting{header: http.Header{"X-Amz-Storage-Class": {"OUTPOSTS"}}}, 400,
			"InvalidStorageClass",
		},
		{
			"another owner", expecting{header: http.Header{"X-Amz-Expected-Bucket-Owner": {"000000000000"}}}, 403,
			"AccessDenied",
		},
		{
			"too much metadata", expecting{header: http.Header{"X-Amz-Meta-A": {strings.Repeat("v", 2049)}}}, 400,
			"MetadataTooLarge",
		},
		{"no such upload", expecting{target: "/expect/k?partNumber=1&uploadId=none"}, 404, "NoSuchUpload"},
		{"part 10,001", expecting{target: "/expect/k?partNumber=10001&uploadId=none"}, 400, "InvalidArgument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.e.target == "" {
				c.e.target = "/expect/k"
			}
			if c.e.size == 0 {
				c.e.size = 100_000
			}
			_, _, res := c.e.begin(t, s)
			if a := read(t, res); a.status != c.want || a.code != c.code {
				t.Errorf("%d %s, want %d %s\n%s", a.status, a.code, c.want, c.code, a.body)
			}
		})
	}
	if got, err := readObject(t.Context(), s.S3, bucket, "k"); err != nil || string(got) != "hello" {
		t.Errorf("the object is now %q, %v", got, err)
	}
}

// TestExpectContinueEmpty: an empty body gets 100 Continue as well, before the final response,
// whether that is an error or not. botocore hangs in its next upload otherwise.
func TestExpectContinueEmpty(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "expect")
	for _, c := range []struct {
		target string
		want   int
	}{{"/expect/empty", 200}, {"/absent/empty", 404}} {
		t.Run(c.target, func(t *testing.T) {
			_, r, res := expecting{target: c.target}.begin(t, s)
			if res.StatusCode != http.StatusContinue {
				t.Fatalf("the first answer: %d", res.StatusCode)
			}
			res, err := http.ReadResponse(r, nil)
			if err != nil || res.StatusCode != c.want {
				t.Fatalf("%v, %v", res, err)
			}
		})
	}
}
