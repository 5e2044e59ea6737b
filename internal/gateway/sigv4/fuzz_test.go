package sigv4

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// FuzzAuthorization: no Authorization header causes a panic, counts as anonymous, or is verified without
// the key.

func FuzzAuthorization(f *testing.F) {
	f.Add(authorization("host;x-amz-content-sha256;x-amz-date", strings.Repeat("a", 64)), emptySum, testTime)
	f.Add("AWS a:b", "UNSIGNED-PAYLOAD", "Fri, 24 May 2013 00:00:00 GMT")
	f.Add("AWS4-HMAC-SHA256 Credential=//// ,SignedHeaders=;,Signature==", "x", "")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, auth, payload, date string) {
		r := &http.Request{
			Method: "GET", Host: "h",
			Header: http.Header{"Authorization": {auth}, "X-Amz-Content-Sha256": {payload}, "X-Amz-Date": {date}},
		}
		for service, rules := range map[string]Rules{"s3": S3Rules, "iam": FormRules, "kms": APIRules} {
			c, err := Parse(r,
				Target{
					Path: "/b/k", Query: "prefix=a+b", Service: service, Rules: rules, Region: testRegion,
				}, testNow())
			if err != nil {
				continue
			}
			if c.Mode != Header {
				t.Fatalf("mode %d", c.Mode)
			}
			if c.AccessKeyID == "" || c.Signature == "" || !c.SignedHeader("host") {
				t.Fatalf("incomplete claim from %q", auth)
			}
			if c.Verify(testKey()) == nil {
				t.Fatalf("forged with %q", auth)
			}
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + testID + "/" + testScope + "&X-Amz-Date=" + testTime +
		"&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=a")
	f.Add("%58-Amz-Signature=a")
	f.Add("AWSAccessKeyId=a&Signature=b")
	f.Add("a=%zz&%=&&=")
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{Method: "GET", Host: "h", Header: http.Header{}}
		if c, err := Parse(r, Target{Path: "/b/k", Query: query, Service: "iam", Rules: FormRules, Region: testRegion},
			testNow()); err == nil && c.Mode != None && c.Verify(testKey()) == nil {
			t.Fatalf("forged with %q", query)
		}
		c, err := Parse(r, Target{Path: "/b/k", Query: query, Service: "s3", Region: testRegion}, testNow())
		if err != nil {
			return
		}
		if c.Mode == None &&
			(strings.Contains(query, "X-Amz-Signature=") &&
				(strings.HasPrefix(query, "X-Amz-Signature=") || strings.Contains(query, "&X-Amz-Signature="))) {
			t.Fatalf("anonymous: %q", query)
		}
		if c.Mode != None && c.Verify(testKey()) == nil {
			t.Fatalf("forged with %q", query)
		}
	})
}

// FuzzCanonical: the canonical form of a canonical form is the same.
func FuzzCanonical(f *testing.F) {
	f.Add("/b/a%2fb+c//./..", "b=2&a=%7e+&=&a")
	f.Add("", "%")
	f.Add("/%C3%A9", "x=%2B")
	f.Fuzz(func(t *testing.T, path, query string) {
		canonical := func(path, query string) (string, bool) {
			r := &http.Request{Method: "GET", Host: "h"}
			c := &Claim{request: r, path: path, query: query}
			b, ok := c.appendCanonical(nil)
			return string(b), ok
		}
		once, ok := canonical(path, query)
		if !ok {
			return
		}
		line := strings.Split(once, "\n")
		twice, ok := canonical(line[1], line[2])
		if !ok || once != twice {
			t.Fatalf("%q became %q", once, twice)
		}
		if strings.ContainsAny(line[1]+line[2], " +*!\"'()<>[]{}|\\^`") {
			t.Fatalf("not encoded: %q", once)
		}
	})
}

// FuzzSignedChunks: a body is accepted only if it is exactly the body that the signer of this test writes.
func FuzzSignedChunks(f *testing.F) {
	f.Add(frame(true, signPieces(testSeed, "hello"), "\r\n"), 5)
	f.Add(frame(true, signPieces(testSeed), "\r\n"), 0)
	f.Add("5\r\nhello\r\n0\r\n\r\n", 5)
	f.Fuzz(func(t *testing.T, framed string, size int) {
		got, _, err := readBody(t, streamSigned, framed, map[string]string{
			"X-Amz-Decoded-Content-Length": strconv.Itoa(size),
		})
		if err != nil {
			return
		}
		if len(got) != size {
			t.Fatalf("%d bytes for a length of %d", len(got), size)
		}
		signature := testSeed
		rest := framed
		for at, end := 0, false; !end; {
			var head string
			head, rest, _ = strings.Cut(rest, "\n")
			digits, _, _ := strings.Cut(strings.TrimSuffix(head, "\r"), ";")
			n, err := strconv.ParseUint(digits, 16, 31)
			if err != nil || at+int(n) > len(got) {
				t.Fatalf("accepted %q", framed)
			}
			data := got[at : at+int(n)]
			signature = chunkSignature(signature, data)
			if !strings.Contains(head, signature) {
				t.Fatalf("accepted %q", framed)
			}
			if end = n == 0; !end {
				at += int(n)
				rest = rest[int(n)+2:]
			}
		}
	})
}

func FuzzUnsignedChunks(f *testing.F) {
	f.Add("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", "x-amz-checksum-crc32", 5)
	f.Add("0\r\n\r\n", "", 0)
	f.Add("5\nhello\n0\na:b\n\r\n\r\n", "a", 5)
	f.Fuzz(func(t *testing.T, framed, names string, size int) {
		b, err := bodyOf(t, streamUnsignedTrailer, framed, map[string]string{
			"X-Amz-Decoded-Content-Length": strconv.Itoa(size), "X-Amz-Trailer": names,
		})
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, onlyReader{b})
		if err == nil && n != int64(size) {
			t.Fatalf("%d bytes for a length of %d: %q", n, size, framed)
		}
		if n > int64(max(size, 0)) {
			t.Fatalf("%d bytes out of a body of %d", n, size)
		}
	})
}
