package rest

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"watertight/internal/access/objectkey"
	"watertight/internal/fault"
)

func TestRead(t *testing.T) {
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
		t.Run(c.target+" "+c.host, func(t *testing.T) {
			hr := httptest.NewRequest("GET", "http://example.com/", nil)
			hr.RequestURI = c.target
			if c.host != "" {
				hr.Host = c.host
			}
			r, err := read(hr)
			if c.code != "" {
				if !fault.Is(err, fault.Code(c.code)) {
					t.Errorf("%.60s: %v, want %s", c.target, err, c.code)
				}
				return
			}
			if err != nil || r.Bucket != c.bucket || r.Key != c.key {
				t.Errorf("%.60s on %s: %+v, %v; want %q, %q", c.target, c.host, r, err, c.bucket, c.key)
			}
		})
	}
}

// FuzzRead: no target causes a panic, an invalid key, or a bucket with a slash. The canonical form of a
// parsed target parses to the same.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"/", "/b/k", "/b/%2e%2e/x", "/b/a/../b?acl&x=%20", "http://h/b/k", "/%2F", "/b//", "*", "/b/\xff",
	} {
		f.Add(s, "example.com", "Credential=A/1/r/s3/aws4_request")
	}
	f.Fuzz(func(t *testing.T, target, host, auth string) {
		hr := httptest.NewRequest("GET", "http://example.com/", nil)
		hr.RequestURI, hr.Host = target, host
		hr.Header["Authorization"] = []string{auth}
		r, err := read(hr)
		if err != nil {
			if fault.From(err).Kind == fault.KindInternal {
				t.Fatalf("an internal error: %v", err)
			}
			return
		}
		if strings.Contains(r.Bucket, "/") || r.Key != "" && objectkey.Check(r.Key) != nil {
			t.Fatalf("accepted %q, %q", r.Bucket, r.Key)
		}
		if strings.Contains(strings.ToLower(host), ".s3.example.com") || r.Bucket == "" {
			return
		}
		hr.RequestURI = "/" + url.PathEscape(r.Bucket) + "/" + strings.ReplaceAll(url.PathEscape(r.Key), "%2F", "/")
		again, err := read(hr)
		if err != nil || again.Bucket != r.Bucket || again.Key != r.Key {
			t.Fatalf("%q is %q, %q; written canonically %+v, %v", target, r.Bucket, r.Key, again, err)
		}
	})
}
