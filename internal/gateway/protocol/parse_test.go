package protocol

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"watertight/internal/fault"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("k", 1024)
	for _, c := range []struct {
		target, host string
		bucket, key  string
		code         string
	}{
		{"/", "", "", "", ""},
		{"/bucket", "", "bucket", "", ""},
		{"/bucket/", "", "bucket", "", ""},
		{"/bucket/key", "", "bucket", "key", ""},
		{"/bucket//key", "", "bucket", "/key", ""},
		{"/bucket/a//b/", "", "bucket", "a//b/", ""},
		{"/bucket/a%2Fb", "", "bucket", "a/b", ""},
		{"/bucket/a%2fb%25", "", "bucket", "a/b%", ""},
		{"/bucket/a+b", "", "bucket", "a b", ""},
		{"/bucket/a%2Bb", "", "bucket", "a+b", ""},
		{"/bucket/%C3%A9", "", "bucket", "é", ""},
		{"/bucket/a/../b", "", "bucket", "a/../b", ""},
		{"/bucket/" + long, "", "bucket", long, ""},
		{"/bucket/" + long + "k", "", "", "", "KeyTooLongError"},
		{"/bucket/..", "", "", "", "InvalidURI"},
		{"/bucket/a/../../b", "", "", "", "InvalidURI"},
		{"/bucket/%2e%2e/x", "", "", "", "InvalidURI"},
		{"/bucket/./../x", "", "", "", "InvalidURI"},
		{"/bucket/x%00", "", "", "", "InvalidURI"},
		{"/bucket/%ff", "", "", "", "InvalidURI"},
		{"/bucket/%g0", "", "", "", "InvalidURI"},
		{"/bucket/%1", "", "", "", "InvalidURI"},
		{"/buc%2Fket/x", "", "", "", "InvalidBucketName"},
		{"/../x", "", "", "", "InvalidBucketName"},
		{"//x", "", "", "", "InvalidBucketName"},
		{"http://example.com/bucket/key", "", "bucket", "key", ""},
		{"http://example.com", "", "", "", ""},
		{"/key/part", "bucket.s3.example.com", "bucket", "key/part", ""},
		{"/key", "my.bucket.S3.example.com:9000", "my.bucket", "key", ""},
		{"/bucket/key", "s3.example.com", "bucket", "key", ""},
		{"/bucket/key", "evils3.example.com", "bucket", "key", ""},
	} {
		hr := httptest.NewRequest("GET", "http://example.com/", nil)
		hr.RequestURI = c.target
		if c.host != "" {
			hr.Host = c.host
		}
		r, err := Parse(hr, Options{Domains: []string{"s3.example.com"}}, "ID", time.Unix(0, 0))
		if c.code != "" {
			if !fault.Is(err, fault.Code(c.code)) {
				t.Errorf("%.60s: %v, want %s", c.target, err, c.code)
			}
			continue
		}
		if err != nil || r.Bucket != c.bucket || r.Key != c.key {
			t.Errorf("%.60s on %s: %+v, %v; want %q, %q", c.target, c.host, r, err, c.bucket, c.key)
		}
	}
}

func TestParseQuery(t *testing.T) {
	hr := httptest.NewRequest("GET", "http://example.com/", nil)
	hr.RequestURI = "/b?prefix=a+b%2Bc&empty=&flag&&x=%C3%A9"
	r, err := Parse(hr, Options{}, "ID", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"prefix": "a b+c", "empty": "", "flag": "", "x": "é"} {
		if got, ok := r.Param(name); !ok || got != want {
			t.Errorf("%s is %q, %v", name, got, ok)
		}
	}
	hr.RequestURI = "/b?" + strings.Repeat("a=1&", maxParams+1)
	if _, err := Parse(hr, Options{}, "ID", time.Unix(0, 0)); !fault.Is(err, "InvalidArgument") {
		t.Errorf("too many parameters: %v", err)
	}
}

func TestService(t *testing.T) {
	for header, want := range map[string]string{
		"": "s3", "AWS4-HMAC-SHA256 Credential=AKIA/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0": "s3",
		"AWS4-HMAC-SHA256 SignedHeaders=host,Credential=AKIA/20130524/us-east-1/iam/aws4_request,Signature=0": "iam",
		"AWS4-HMAC-SHA256 Credential=AKIA/20130524/us-east-1/evil/aws4_request":                               "s3", "Credential=": "s3",
	} {
		hr := httptest.NewRequest("GET", "http://example.com/v20180820/x", nil)
		hr.RequestURI = "/v20180820/x"
		if header != "" {
			hr.Header.Set("Authorization", header)
		}
		r, err := Parse(hr, Options{}, "ID", time.Unix(0, 0))
		if err != nil || r.Service != want {
			t.Errorf("%q is for %v, %v; want %s", header, r, err, want)
		}
	}
}

func TestHeaderLimits(t *testing.T) {
	hr := httptest.NewRequest("GET", "http://example.com/", nil)
	hr.RequestURI = "/b"
	hr.Header.Set("X-Fill", strings.Repeat("x", maxHeaders))
	if _, err := Parse(hr, Options{}, "ID", time.Unix(0, 0)); !fault.Is(err, "RequestHeaderSectionTooLarge") {
		t.Errorf("too much: %v", err)
	}
	hr.Header = http.Header{"X-Amz-Meta-A": {"a\x01b"}}
	if _, err := Parse(hr, Options{}, "ID", time.Unix(0, 0)); !fault.Is(err, "InvalidArgument") {
		t.Errorf("a control character: %v", err)
	}
}

// FuzzParse: no target makes a panic, a key that climbs, or a bucket with a
// slash; and what was parsed, written canonically, parses to the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"/", "/b/k", "/b/%2e%2e/x", "/b/a/../b?acl&x=%20", "http://h/b/k", "/%2F", "/b//", "*", "/b/\xff"} {
		f.Add(s, "example.com", "Credential=A/1/r/s3/aws4_request")
	}
	f.Fuzz(func(t *testing.T, target, host, auth string) {
		hr := httptest.NewRequest("GET", "http://example.com/", nil)
		hr.RequestURI, hr.Host = target, host
		hr.Header["Authorization"] = []string{auth}
		r, err := Parse(hr, Options{Domains: []string{"d"}}, "ID", time.Unix(0, 0))
		if err != nil {
			if fault.From(err).Kind == fault.KindInternal {
				t.Fatalf("an internal error: %v", err)
			}
			return
		}
		if r.Service != "s3" {
			return
		}
		if strings.Contains(r.Bucket, "/") || r.Key != "" && CheckKey(r.Key) != nil {
			t.Fatalf("accepted %q, %q", r.Bucket, r.Key)
		}
		if strings.HasSuffix(strings.ToLower(host), ".d") || strings.Contains(host, ".d:") || r.Bucket == "" {
			return
		}
		hr.RequestURI = "/" + url.PathEscape(r.Bucket) + "/" + strings.ReplaceAll(url.PathEscape(r.Key), "%2F", "/")
		again, err := Parse(hr, Options{}, "ID", time.Unix(0, 0))
		if err != nil || again.Bucket != r.Bucket || again.Key != r.Key {
			t.Fatalf("%q is %q, %q; written canonically %+v, %v", target, r.Bucket, r.Key, again, err)
		}
	})
}
