package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"watertight/test/harness"
)

// TestFramingWithoutMode: a body in chunks whose payload mode does not say so is refused. Its framing would be stored
// as the object's content.
func TestFramingWithoutMode(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "framed")
	const body, unsigned = "5\r\nhello\r\n0\r\n\r\n", "UNSIGNED-PAYLOAD"
	for _, c := range []struct {
		name, encoding string
		r              raw
		status         int
	}{
		{"unsigned", "aws-chunked", raw{hash: unsigned}, 400},
		{"unsigned, another case", "AWS-Chunked", raw{hash: unsigned}, 400},
		{"unsigned, among others", "gzip, aws-chunked", raw{hash: unsigned}, 400},
		{"presigned", "aws-chunked", raw{presign: true}, 400},
		{"unsigned, another coding", "gzip", raw{hash: unsigned}, 200},
		{"the hash of the body as it is", "aws-chunked", raw{}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.r
			r.method, r.target, r.body = "PUT", "/framed/key", body
			a := sendChanged(t, s, r, func(req *http.Request) { req.Header.Set("Content-Encoding", c.encoding) })
			if a.status != c.status || c.status == 400 && a.code != "InvalidArgument" {
				t.Fatal(a.status, a.body)
			}
			if a := send(t, s, raw{method: "HEAD", target: "/framed/key"}); (a.status == 200) != (c.status == 200) {
				t.Errorf("the object: %d", a.status)
			}
			send(t, s, raw{method: "DELETE", target: "/framed/key"})
		})
	}
}

// TestDeclaredEncodings: documents may declare the encodings that XML libraries write by default.
func TestDeclaredEncodings(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "encodings")
	for _, c := range []struct {
		label, key, stored string
		status             int
	}{
		{"US-ASCII", "a", "a", 200},
		{"us-ascii", "&#233;", "é", 200},
		{"us-ascii", "é", "", 400},
		{"ISO-8859-1", "\xe9", "é", 200},
		{"iso-8859-1", strings.Repeat("\xe9\xff", 400), strings.Repeat("éÿ", 400), 200},
		{"utf-16", "a", "", 400},
		{"UTF8", "é", "é", 200},
		{"utf-7", "a", "", 400},
		{"x-unknown", "a", "", 400},
	} {
		t.Run(fmt.Sprintf("%s %.4q", c.label, c.key), func(t *testing.T) {
			body := `<?xml version="1.0" encoding="` + c.label + `"?><Delete><Object><Key>` + c.key +
				`</Key></Object></Delete>`
			a := send(t, s, raw{method: "POST", target: "/encodings?delete", body: body, header: http.Header{
				"Content-Md5": {base64.StdEncoding.EncodeToString(md5Of(body))},
			}})
			if a.status != c.status || c.status == 200 && !strings.Contains(a.body, "<Key>"+c.stored+"</Key>") {
				t.Error(a.status, a.body)
			}
		})
	}
}

// TestListedETags: CompleteMultipartUpload finds the ETag of a part whatever quotes and white space are around it.
func TestListedETags(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "etags")
	for _, form := range []string{"%s", `"%s"`, "&quot;%s&quot;", "\n\t\t%s\n\t", "\n  \"%s\"\n", `""%s""`, `" %s "`} {
		t.Run(fmt.Sprintf("%q", form), func(t *testing.T) {
			a := send(t, s, raw{method: "POST", target: "/etags/key?uploads"})
			id, _, _ := strings.Cut(a.body[strings.Index(a.body, "<UploadId>")+len("<UploadId>"):], "<")
			a = send(t, s, raw{method: "PUT", target: "/etags/key?partNumber=1&uploadId=" + id, body: "part"})
			tag := fmt.Sprintf(form, strings.Trim(a.header.Get("ETag"), `"`))
			document := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + tag +
				"</ETag></Part></CompleteMultipartUpload>"
			for _, when := range []string{"first", "again"} {
				a = send(t, s, raw{method: "POST", target: "/etags/key?uploadId=" + id, body: document})
				if a.status != 200 {
					t.Error(when, a.status, a.body)
				}
			}
		})
	}
}

// TestUnknownOverride: a parameter response-* that sets no header is an error, and not the header as it is stored.
func TestUnknownOverride(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "overrides")
	if a := send(t, s, raw{method: "PUT", target: "/overrides/key", body: "x"}); a.status != 200 {
		t.Fatal(a)
	}
	for _, c := range []struct {
		method, query string
		status        int
	}{
		{"GET", "response-content-type=a/b", 200},
		{"GET", "response-conten-type=a/b", 400},
		{"HEAD", "response-foo", 400},
		{"GET", "x-response-foo=1", 200},
	} {
		t.Run(c.method+" "+c.query, func(t *testing.T) {
			a := send(t, s, raw{method: c.method, target: "/overrides/key?" + c.query})
			if a.status != c.status || a.body != "" && c.status == 400 && a.code != "InvalidArgument" {
				t.Error(a.status, a.body)
			}
		})
	}
}

// TestRegionOfListings: clients learn the region of a bucket from the listing, as from HeadBucket.
func TestRegionOfListings(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "listed")
	for _, target := range []string{"/listed", "/listed?list-type=2"} {
		a := send(t, s, raw{method: "GET", target: target})
		if got := a.header.Get("X-Amz-Bucket-Region"); a.status != 200 || got != s.Region {
			t.Errorf("%s: %d, region %q", target, a.status, got)
		}
	}
}

// TestMaxPartsOfAttributes: a number of parts that is none is ignored by GetObjectAttributes.
func TestMaxPartsOfAttributes(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "attributes")
	if a := send(t, s, raw{method: "PUT", target: "/attributes/key", body: "x"}); a.status != 200 {
		t.Fatal(a)
	}
	for _, value := range []string{"1", "x", "-1", "1.5", "99999999999", ""} {
		t.Run(value, func(t *testing.T) {
			a := send(t, s, raw{method: "GET", target: "/attributes/key?attributes", header: http.Header{
				"X-Amz-Object-Attributes": {"ObjectParts,ETag"}, "X-Amz-Max-Parts": {value},
			}})
			if a.status != 200 {
				t.Error(a.status, a.body)
			}
		})
	}
}

// TestDefaultPort: the default port of HTTP or HTTPS may be added to Host after the request was signed without it, as
// HTTP libraries and proxies do. No other port may.
func TestDefaultPort(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "ports")
	for _, c := range []struct {
		signed, sent string
		status       int
	}{
		{"s3.test", "s3.test", 200},
		{"s3.test", "s3.test:443", 200},
		{"s3.test", "s3.test:80", 200},
		{"[::1]", "[::1]:443", 200},
		{"s3.test:443", "s3.test:443", 200},
		{"s3.test:9000", "s3.test:9000", 200},
		{"s3.test", "s3.test:9000", 403},
		{"s3.test:9000", "s3.test", 403},
		{"s3.test", "other.test:443", 403},
	} {
		for _, presign := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s as %s, presigned: %v", c.signed, c.sent, presign), func(t *testing.T) {
				r := raw{method: "GET", target: "/ports", host: c.signed, presign: presign}
				a := sendChanged(t, s, r, func(req *http.Request) {
					req.Host = c.sent
					req.URL.Opaque = "//" + c.sent + "/ports"
				})
				if a.status != c.status || c.status == 403 && !strings.Contains(a.body, "host:"+c.sent) {
					t.Error(a.status, a.body)
				}
			})
		}
	}
}

// TestAllowOnWire: MethodNotAllowed has the header Allow, with a body and without.
func TestAllowOnWire(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "methods")
	for _, c := range []struct{ method, target, want string }{
		{"PUT", "/methods/key?uploadId=u", "DELETE, POST, GET"},
		{"PATCH", "/methods/key", "DELETE, GET, HEAD, PUT"},
		{"PATCH", "/methods", "DELETE, POST, GET, HEAD, PUT"},
		{"PUT", "/", "GET"},
		{"HEAD", "/methods?location", "GET"}, // these as S3 was seen to answer
		{"HEAD", "/methods?versions", "GET"},
		{"HEAD", "/methods?acl", "GET, PUT"},
		{"HEAD", "/methods?versioning", "GET, PUT"},
		{"HEAD", "/methods?tagging", "DELETE, GET, PUT"},
		{"HEAD", "/methods/key?acl", "GET, PUT"},
		{"HEAD", "/methods/key?tagging", "DELETE, GET, PUT"},
		{"HEAD", "/methods/key?uploadId=u", "DELETE, POST, GET"},
		{"GET", "/methods?delete", "POST"},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			a := send(t, s, raw{method: c.method, target: c.target})
			if got := a.header.Get("Allow"); a.status != 405 || got != c.want {
				t.Errorf("%d, Allow: %q, want %q", a.status, got, c.want)
			}
		})
	}
}
