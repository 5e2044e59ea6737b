package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/server"
	"watertight/test/harness"
)

const domain = "s3.test"

func startVirtual(t *testing.T) (*harness.Server, string) {
	t.Helper()
	s := harness.Start(t, func(c *server.Config) { c.Domains = []string{"other.test", "S3.test"} })
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.Endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return s, port
}

// TestVirtualHost uses the SDK's default style, with every name resolved to the listener.
func TestVirtualHost(t *testing.T) {
	s, port := startVirtual(t)
	var hosts []string
	tr := s.HTTP.Clone()
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		hosts = append(hosts, addr)
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(s.Endpoint, "http://"))
	}
	t.Cleanup(tr.CloseIdleConnections)
	c := harness.Client("http://"+domain+":"+port,
		harness.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}, func(o *s3.Options) {
			o.UsePathStyle, o.HTTPClient = false, harness.SDK(tr)
		})
	for _, bucket := range []string{"virtual", "with.some.dots"} {
		t.Run(bucket, func(t *testing.T) {
			if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"key", bucket + "/key", "/leading//slashes", "a b/ü+%", "trailing/"} {
				if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{
					Bucket: &bucket, Key: &key, Body: strings.NewReader(bucket + key),
				}); err != nil {
					t.Errorf("put %s %s: %v", bucket, key, err)
					continue
				}
				// Both styles name the same object.
				for style, client := range map[string]*s3.Client{"virtual": c, "path": s.S3} {
					if got, err := readObject(t.Context(), client, &bucket,
						key); err != nil || string(got) != bucket+key {
						t.Errorf("%s, %s %s: %q, %v", style, bucket, key, got, err)
					}
				}
			}
			list, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
			if err != nil || len(list.Contents) != 5 {
				t.Errorf("list %s: %v", bucket, err)
			}
			p, err := s3.NewPresignClient(c).PresignGetObject(t.Context(), &s3.GetObjectInput{
				Bucket: &bucket, Key: aws.String("key"),
			})
			if err != nil || !strings.HasPrefix(p.URL, "http://"+bucket+"."+domain+":"+port+"/key?") {
				t.Fatalf("presigned %v, %v", p, err)
			}
			old := s.HTTP
			s.HTTP = tr
			if a := follow(t, s, p, ""); a.status != 200 || a.body != bucket+"key" {
				t.Errorf("presigned: %d %s", a.status, a.body)
			}
			s.HTTP = old
			if all := strings.Join(hosts, " "); !strings.Contains(all, bucket+"."+domain) {
				t.Errorf("the SDK went to %s; this test needs the bucket in the name", all)
			}
			// The domain itself names no bucket.
			all, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{Prefix: &bucket})
			if err != nil || len(all.Buckets) != 1 {
				t.Errorf("buckets of the domain: %+v, %v", all, err)
			}
		})
	}
}

// TestHostNames: which host names contain a bucket, and which do not.
func TestHostNames(t *testing.T) {
	s, port := startVirtual(t)
	bucket := newBucket(t, s, "virtual")
	newBucket(t, s, "other.test") // a bucket named like a domain
	if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("virtual/k"), Body: strings.NewReader("inner"),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("outer"),
	}); err != nil {
		t.Fatal(err)
	}
	if err := putCORS(t, s, bucket, types.CORSRule{
		AllowedOrigins: []string{"*"}, AllowedMethods: []string{"POST", "GET"},
	}); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		host, target string
		want         int
		body         string
	}{
		{"virtual.s3.test:" + port, "/k", 200, "outer"},
		{"virtual.s3.test", "/k", 200, "outer"},
		{"virtual.s3.test:443", "/virtual/k", 200, "inner"},
		{"VIRTUAL.S3.TEST:" + port, "/k", 200, "outer"},
		{"virtual.s3.test.", "/k", 200, "outer"},
		{"virtual.other.test", "/k", 200, "outer"},
		{"s3.test:" + port, "/virtual/k", 200, "outer"},
		{"s3.test", "/virtual/virtual/k", 200, "inner"},
		// Names outside of the base domain do not name a bucket.
		{"virtual.example.com", "/virtual/k", 200, "outer"},
		{"virtual.example.com", "/k", 404, "<Code>NoSuchBucket</Code>"},
		{"virtual.s3.test.example.com", "/k", 404, "<Code>NoSuchBucket</Code>"},
		{"virtuals3.test", "/k", 404, "<Code>NoSuchBucket</Code>"},
		{".s3.test", "/virtual/k", 200, "outer"},
		{"absent.s3.test", "/virtual/k", 404, "<BucketName>absent</BucketName>"},
		{"other.test", "/virtual/k", 200, "outer"},
		{"other.test.s3.test", "/k", 404, "<Code>NoSuchKey</Code>"},
		{"127.0.0.1:" + port, "/virtual/k", 200, "outer"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			a := send(t, s, raw{method: "GET", target: c.target, host: c.host})
			if a.status != c.want || !strings.Contains(a.body, c.body) {
				t.Errorf("%s%s: %d %s, want %d %s", c.host, c.target, a.status, a.body, c.want, c.body)
			}
		})
	}
	// A signature is for one host, and is refused under another.
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.Endpoint+"/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "virtual.s3.test"
	sign(t, s, req, raw{})
	req.Host = "other.test.s3.test"
	if a := roundTrip(t, s, req); a.status != 403 || a.code != "SignatureDoesNotMatch" {
		t.Errorf("under another host: %d %s", a.status, a.code)
	}
	form := post{
		bucket: "virtual", file: "posted",
		fields: map[string]string{"key": "virtual/posted", "success_action_status": "201"}, target: "/",
	}.build(t, s)
	form.host = "virtual.s3.test:" + port
	form.header.Set("Origin", "https://a.example")
	if a := send(t, s, form); a.status != 201 ||
		!strings.Contains(a.body,
			"<Location>http://virtual.s3.test:"+port+
				"/virtual/posted</Location>") || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a form: %d %s", a.status, a.body)
	}
	preflight := raw{
		method: "OPTIONS", target: "/k", host: "virtual.s3.test", unsigned: true,
		header: http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"GET"}},
	}
	if a := send(t, s, preflight); a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a preflight: %d %s", a.status, a.body)
	}
}
