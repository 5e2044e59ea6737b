package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/gateway/audit"
	"watertight/internal/server"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/rootkey"
	"watertight/test/harness"
)

// encrypts returns the encryption that an answer reports.
type encrypts struct{ sse, algorithm, md5, key string }

func encryption(h http.Header) encrypts {
	const own = "x-amz-server-side-encryption-customer-"
	return encrypts{
		h.Get("x-amz-server-side-encryption"), h.Get(own + "algorithm"), h.Get(own + "key-MD5"), h.Get(own + "key"),
	}
}

// TestEncryptionHeaders: every answer that reports encryption at AWS reports it
// here, whatever the request asked for, and no answer repeats a key.
func TestEncryptionHeaders(t *testing.T) {
	s := harness.Start(t, allowingSSEC)
	newBucket(t, s, "enc")
	mine := newOwnKey("mine")
	for name, k := range map[string]ownKey{"sse-s3": {}, "asked": {}, "own": mine} {
		t.Run(name, func(t *testing.T) {
			want := encrypts{sse: "AES256"}
			if k.key != nil {
				want = encrypts{algorithm: "AES256", md5: *mine.md5}
			}
			plain := k.header("x-amz-")  // for requests that do not begin a write
			begins := plain.Clone()      // for requests that do
			copies := k.header("x-amz-") // for requests that also read a source
			fields := map[string]string{"key": name + "/posted"}
			for field, v := range plain {
				fields[strings.ToLower(field)] = v[0]
			}
			if name == "asked" {
				begins.Set("x-amz-server-side-encryption", "AES256")
				copies.Set("x-amz-server-side-encryption", "AES256")
				fields["x-amz-server-side-encryption"] = "AES256"
			}
			for field, v := range k.header("x-amz-copy-source-") {
				copies[field] = v
			}
			copies.Set("x-amz-copy-source", "enc/"+name)
			check := func(what string, a answer, want encrypts) answer {
				t.Helper()
				if got := encryption(a.header); a.status/100 != 2 || got != want {
					t.Errorf("%s, %s: %d %+v, want %+v; %s", name, what, a.status, got, want, a.body)
				}
				return a
			}
			at := "/enc/" + name
			check("PutObject", send(t, s, raw{method: "PUT", target: at, body: "text", header: begins}), want)
			check("GetObject", send(t, s, raw{method: "GET", target: at, header: plain}), want)
			check("HeadObject", send(t, s, raw{method: "HEAD", target: at, header: plain}), want)
			ranged := plain.Clone()
			ranged.Set("Range", "bytes=1-2")
			check("GetObject, range", send(t, s, raw{method: "GET", target: at, header: ranged}), want)
			check("CopyObject", send(t, s, raw{method: "PUT", target: at + "/copy", header: copies}), want)
			check("PostObject", send(t, s, post{bucket: "enc", fields: fields, file: "text"}.build(t, s)), want)
			var u struct{ UploadId, ETag string }
			decode := func(a answer) {
				t.Helper()
				if err := xml.Unmarshal([]byte(a.body), &u); err != nil {
					t.Fatal(err, a.body)
				}
			}
			decode(check("CreateMultipartUpload",
				send(t, s, raw{method: "POST", target: at + "/up?uploads", header: begins}), want))
			part := at + "/up?uploadId=" + u.UploadId + "&partNumber="
			check("UploadPart", send(t, s, raw{method: "PUT", target: part + "1", body: "text", header: plain}), want)
			copies.Del("x-amz-server-side-encryption")
			decode(check("UploadPartCopy", send(t, s, raw{method: "PUT", target: part + "2", header: copies}), want))
			document := "<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>" + u.ETag +
				"</ETag></Part></CompleteMultipartUpload>"
			// The answer has no member for a customer's key (S3 API reference, CompleteMultipartUpload).
			check("CompleteMultipartUpload",
				send(t, s, raw{
					method: "POST", target: at + "/up?uploadId=" + u.UploadId, body: document, header: plain,
				}), encrypts{sse: want.sse})
			check("GetObject, part", send(t, s, raw{method: "GET", target: at + "/up?partNumber=2", header: plain}),
				want)
			asked := plain.Clone()
			asked.Set("x-amz-object-attributes", "ETag,Checksum,ObjectSize")
			check("GetObjectAttributes", send(t, s, raw{method: "GET", target: at + "?attributes", header: asked}),
				encrypts{})
		})
	}
}

// TestOwnKeyLeavesNoTrace: once the answer is sent, neither the key nor its MD5
// is found on the disk, in the log at debug level, or in the opened audit log.
func TestOwnKeyLeavesNoTrace(t *testing.T) {
	var source string
	s := harness.Start(t, allowingSSEC, func(c *server.Config) { source = c.RootKey })
	bucket := newBucket(t, s, "no-trace")
	mine, other := newOwnKey("canary of a key: "), newOwnKey("another canary: ")
	writeMarked(t, s, bucket, "own-", mine, "")
	wrong := other.header("x-amz-")
	for i, r := range []raw{ // refusals, too
		{method: "GET", target: "/no-trace/own-inline", header: wrong},
		{method: "GET", target: "/no-trace/none", header: wrong},
		{method: "GET", target: "/no-trace/own-inline", header: mine.header("x-amz-"), breakSignature: true},
		{
			method: "PUT",
			target: "/no-trace/k?x-amz-server-side-encryption-customer-key=" + strings.TrimRight(*mine.key, "="),
			body:   "x", presign: true,
		},
		{
			method: "PUT", target: "/no-trace/k", body: "x",
			header: ownKey{mine.algorithm, mine.key, other.md5}.header("x-amz-"),
		},
		{method: "DELETE", target: "/no-trace/k?lifecycle", header: mine.header("x-amz-")},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if a := send(t, s, r); a.status < 400 || strings.Contains(a.body, strings.TrimRight(*mine.key, "=")) ||
				strings.Contains(a.body, *other.key) {
				t.Errorf("%s %s: %d %s", r.method, r.target, a.status, a.body)
			}
		})
	}
	fields := map[string]string{"key": "k"}
	for name, v := range mine.header("x-amz-") {
		fields[strings.ToLower(name)] = v[0]
	}
	conditions := []any{map[string]string{"x-amz-server-side-encryption-customer-key": *other.key}}
	if a := send(t, s,
		post{bucket: "no-trace", fields: fields, conditions: conditions, file: "x"}.build(t,
			s)); a.status != 403 || strings.Contains(a.body, *other.key) {
		t.Errorf("a form for another key: %d %s", a.status, a.body)
	}
	secrets := map[string]string{}
	for name, k := range map[string]ownKey{"mine": mine, "other": other} {
		for part, encoded := range map[string]string{"key": *k.key, "MD5": *k.md5} {
			b, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				t.Fatal(err)
			}
			secrets[name+" "+part+", base64"] = strings.TrimRight(encoded, "=")
			secrets[name+" "+part+", raw"] = string(b)
			secrets[name+" "+part+", hex"] = hex.EncodeToString(b)
		}
	}
	for what, files := range filesWithAny(t, s.Data, secrets) {
		t.Errorf("%s is found in %q", what, files)
	}
	s.Stop()
	var trail bytes.Buffer
	root, err := rootkey.Open(t.Context(), source, rootkey.Options{DataDir: s.Data})
	if err != nil {
		t.Fatal(err)
	}
	if err := audit.Read(folder.OS(), filepath.Join(s.Data, "audit"), root.Ring, func(g audit.Group) error {
		for _, e := range g.Events {
			trail.Write(e.JSON)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"log": s.Logs.String(), "audit log": trail.String()} {
		t.Run(what, func(t *testing.T) {
			if !strings.Contains(text, "CompleteMultipartUpload") {
				t.Errorf("the %s does not mention the requests: the test looks in the wrong place", what)
			}
			for name, secret := range secrets {
				if strings.Contains(text, secret) {
					t.Errorf("%s is found in the %s", name, what)
				}
			}
		})
	}
	for what, files := range filesWithAny(t, s.Data, secrets) {
		t.Errorf("%s is found in %q after the server stopped", what, files)
	}
}
