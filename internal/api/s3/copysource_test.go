package s3

import (
	"net/url"
	"strings"
	"testing"

	"watertight/internal/access/objectkey"
	"watertight/internal/fault"
)

func TestParseCopySource(t *testing.T) {
	for header, want := range map[string]struct{ bucket, key, version string }{
		"bucket/key":                        {"bucket", "key", ""},
		"/bucket/key":                       {"bucket", "key", ""},
		"bucket/a/b//c":                     {"bucket", "a/b//c", ""},
		"bucket//key":                       {"bucket", "/key", ""},
		"bucket%2Fkey":                      {"bucket", "key", ""},
		"%2Fbucket%2Fa%2Fb":                 {"bucket", "a/b", ""},
		"bucket/a%252Fb":                    {"bucket", "a%2Fb", ""}, // decoded once
		"bucket/a%2520b+c%2Bd":              {"bucket", "a%20b c+d", ""},
		"bucket/a%3FversionId=x":            {"bucket", "a?versionId=x", ""},
		"bucket/k%C3%A4se":                  {"bucket", "käse", ""},
		"bucket/käse":                       {"bucket", "käse", ""},
		"bucket/a/../b":                     {"bucket", "a/../b", ""}, // a key is not normalised
		"bucket/key?versionId=null":         {"bucket", "key", "null"},
		"bucket/key?versionId=AB-_12":       {"bucket", "key", "AB-_12"},
		"bucket/key?versionId=a%3Fb":        {"bucket", "key", "a?b"},
		"bucket/arn:aws:s3:::another/thing": {"bucket", "arn:aws:s3:::another/thing", ""},
	} {
		t.Run(header, func(t *testing.T) {
			c, err := parseCopySource(header)
			version := ""
			if c.VersionID != nil {
				version = *c.VersionID
			}
			if err != nil || c.Bucket != want.bucket || c.Key != want.key || version != want.version {
				t.Errorf("%s: %q %q %q, %v", header, c.Bucket, c.Key, version, err)
			}
		})
	}
	for header, code := range map[string]string{
		"": "InvalidArgument", "/": "InvalidArgument", "bucket": "InvalidArgument", "bucket/": "InvalidArgument",
		"//bucket/key":    "InvalidArgument",
		"192.168.1.1/key": "InvalidArgument", "Bucket/key": "InvalidArgument", "my-buc@k/key": "InvalidArgument",
		"./key": "InvalidArgument", "../key": "InvalidArgument", "%2e%2e/key": "InvalidArgument",
		"bucket/%zz": "InvalidArgument", "bucket/key%2": "InvalidArgument",
		"bucket/key?versionId=%2": "InvalidArgument",
		"bucket/key?versionId=":   "InvalidArgument", "bucket/key?": "InvalidArgument",
		"bucket/key?x=y":                     "InvalidArgument",
		"bucket/key?versionId=a&versionId=b": "InvalidArgument", "bucket/a?b?versionId=c": "InvalidArgument",
		"bucket/../key": "InvalidURI", "bucket/a/../../b": "InvalidURI", "bucket/%2e%2e/b": "InvalidURI",
		"bucket/%2e%2e%2fb": "InvalidURI",
		"bucket/a%00b":      "InvalidURI", "bucket/%ff": "InvalidURI",
		"bucket/" + strings.Repeat("k", 1025):                            "KeyTooLongError",
		"arn:aws:s3:us-east-1:111122223333:accesspoint/ap/object/key":    "NotImplemented",
		"arn%3Aaws%3As3%3Aus-east-1%3A1%3Aaccesspoint%2Fap%2Fobject%2Fk": "NotImplemented",
		"/arn:aws:s3-outposts:us-east-1:111122223333:outpost/o/object/k": "NotImplemented",
	} {
		t.Run(header, func(t *testing.T) {
			if c, err := parseCopySource(header); !fault.Is(err, fault.Code(code)) {
				t.Errorf("%q: %+v, %v, want %s", header, c, err, code)
			}
		})
	}
}

// FuzzCopySource: an accepted source is a valid bucket and key, and encoding it again gives the same.
func FuzzCopySource(f *testing.F) {
	for _, s := range []string{
		"bucket/key", "/b/%2e%2e/k?versionId=null", "b%2Fk+%2B", "arn:aws:s3:::x", "b/%25%32%66",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := parseCopySource(header)
		if err != nil {
			return
		}
		if c.Bucket == "" || strings.Contains(c.Bucket, "/") || c.Bucket == ".." || objectkey.Check(c.Key) != nil {
			t.Fatalf("%q is parsed as %q %q", header, c.Bucket, c.Key)
		}
		again := url.QueryEscape(c.Bucket) + "/" + url.QueryEscape(c.Key)
		if c.VersionID != nil {
			again += "?versionId=" + url.QueryEscape(*c.VersionID)
		}
		d, err := parseCopySource(again)
		if err != nil || d.Bucket != c.Bucket || d.Key != c.Key || (d.VersionID == nil) != (c.VersionID == nil) ||
			c.VersionID != nil && *d.VersionID != *c.VersionID {
			t.Fatalf("%q: %+v, then %+v, %v", header, c, d, err)
		}
	})
}
