package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

// TestPresigned: whoever has the URL does that one thing, and no other.
func TestPresigned(t *testing.T) {
	s := harness.Start(t)
	bucket, key := aws.String("presigned"), aws.String("a b/é+c")
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	presign := s3.NewPresignClient(s.S3)
	put, err := presign.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, ContentType: aws.String("text/plain")})
	if err != nil {
		t.Fatal(err)
	}
	get, err := presign.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key, ResponseContentType: aws.String("text/html")})
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, url, body string, header http.Header) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range header {
			req.Header[k] = v
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, string(b)
	}
	if code, _, b := do("PUT", put.URL, "content", put.SignedHeader); code != 200 {
		t.Fatalf("put: %d %s", code, b)
	}
	code, h, b := do("GET", get.URL, "", nil)
	if code != 200 || b != "content" || h.Get("Content-Type") != "text/html" {
		t.Errorf("get: %d %q as %q", code, b, h.Get("Content-Type"))
	}
	for name, url := range map[string]string{
		"another key":      strings.Replace(get.URL, "a%20b", "a%20c", 1),
		"another override": strings.Replace(get.URL, "text%2Fhtml", "text%2Fplain", 1),
		"a longer life":    strings.Replace(get.URL, "X-Amz-Expires=900", "X-Amz-Expires=9000", 1),
		"more parameters":  get.URL + "&versionId=null",
	} {
		if code, _, b := do("GET", url, "", nil); code != 403 || !strings.Contains(b, "SignatureDoesNotMatch") {
			t.Errorf("%s: %d %s", name, code, b)
		}
	}
	if code, _, _ := do("DELETE", get.URL, "", nil); code != 403 {
		t.Errorf("a GET's URL deletes: %d", code)
	}
	if code, _, _ := do("GET", get.URL, "", http.Header{"X-Amz-Server-Side-Encryption": {"AES256"}}); code != 403 {
		t.Errorf("a header nobody signed: %d", code)
	}
	old, err := s3.NewPresignClient(s.S3, s3.WithPresignExpires(time.Second)).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	// A second's life ends while the test waits for it; it may take longer.
	for deadline := time.Now().Add(20 * time.Second); ; {
		code, _, b := do("GET", old.URL, "", nil)
		if code == 403 && strings.Contains(b, "<Message>Request has expired</Message>") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never expires: %d %s", code, b)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestVirtualHosts: the bucket stands in the host name.
func TestVirtualHosts(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.Domains = []string{"s3.example.com"} })
	addr := strings.TrimPrefix(s.Endpoint, "http://")
	tr := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	client := harness.Client("http://s3.example.com:9000", harness.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey},
		func(o *s3.Options) { o.UsePathStyle = false; o.HTTPClient = &http.Client{Transport: tr} })
	for _, name := range []string{"virtual", "with.dots"} {
		bucket := aws.String(name)
		if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
			t.Fatal(err)
		}
		key := name + "/" + name // a key that looks like a bucket stays a key
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader(name)}); err != nil {
			t.Fatal(err)
		}
		for way, c := range map[string]*s3.Client{"virtual host": client, "path": s.S3} {
			if got, err := readObject(t.Context(), c, bucket, key); err != nil || string(got) != name {
				t.Errorf("%s by %s: %q, %v", name, way, got, err)
			}
		}
	}
}
