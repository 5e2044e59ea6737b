package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"watertight/test/harness"
)

// Like vuln_wire_test.go, but about how requests are stored.

// internalHeaders returns headers in which other servers keep internal data of an object, and similar
// ones.
func internalHeaders() []string {
	return []string{
		"X-Amz-Meta-X-Amz-Iv", "X-Amz-Meta-X-Amz-Key", "X-Amz-Meta-X-Amz-Unencrypted-Content-Length",
		"X-Amz-Meta-X-Amz-Server-Side-Encryption", "X-Amz-Meta-X-Amz-Server-Side-Encryption-Customer-Algorithm",
		"X-Amz-Meta-X-Minio-Internal-Server-Side-Encryption-Sealed-Key",
		"X-Minio-Internal-Server-Side-Encryption-Sealed-Key", "X-Minio-Internal-Server-Side-Encryption-Iv",
		"X-Minio-Internal-Server-Side-Encryption-Seal-Algorithm", "X-Minio-Internal-Actual-Size",
		"X-Minio-Internal-Encrypted-Multipart",
		"X-Minio-Replication-Server-Side-Encryption-Sealed-Key", "X-Minio-Replication-Server-Side-Encryption-Iv",
		"X-Minio-Replication-Encrypted-Multipart", "X-Minio-Source-Replication-Request", "X-Minio-Source-Etag",
		"X-Rustfs-Internal-Server-Side-Encryption-Iv", "X-Rustfs-Encryption-Key",
		"X-Seaweedfs-Server-Side-Encryption-Iv",
		"X-Amz-Server-Side-Encryption-Sealed-Key", "X-Amz-Server-Side-Encryption-Iv",
		"X-Amz-Server-Side-Encryption-Customer-Iv",
		"X-Amz-Server-Side-Encryption-Customer-Key-Sha256", "X-Amz-Replication-Status", "X-Amz-Object-Size",
		"X-Amz-Version-Id",
	}
}

// stored is the expected result of one way of writing.
type stored struct {
	t    *testing.T
	s    *harness.Server
	key  string
	own  ownKey
	text string
	name string // of the header that was sent along
}

// check reads the object, with the same header. Its bytes, length, encryption and metadata must be the
// same as without it.
func (o stored) check(a answer) {
	o.t.Helper()
	if a.status/100 != 2 {
		o.t.Errorf("%s into %s: %d %s", o.name, o.key, a.status, a.body)
		return
	}
	want := encrypts{sse: "AES256"}
	if o.own.key != nil {
		want = encrypts{algorithm: "AES256", md5: *o.own.md5}
	}
	h := o.own.header("x-amz-")
	h.Set(o.name, "injected")
	got := send(o.t, o.s, raw{method: "GET", target: "/inner/" + o.key, header: h})
	if got.status != 200 || got.body != o.text || encryption(got.header) != want {
		o.t.Errorf("%s into %s: reading answers %d, %d bytes, %+v", o.name, o.key, got.status, len(got.body),
			encryption(got.header))
	}
	for name, v := range got.header {
		if slices.Contains(v, "injected") != (name == o.name && strings.HasPrefix(name, "X-Amz-Meta-")) {
			o.t.Errorf("%s into %s: the answer has %s: %s", o.name, o.key, name, v)
		}
	}
	if o.own.key != nil {
		if a := send(o.t, o.s, raw{method: "GET", target: "/inner/" + o.key}); a.status != 400 {
			o.t.Errorf("%s into %s: read without its key: %d", o.name, o.key, a.status)
		}
	}
}

// TestInternalHeaders (MinIO GHSA-3rh2): only headers of the S3 API decide how
// an object is stored, on every path. The values of x-amz-meta-* are plain metadata.
func TestInternalHeaders(t *testing.T) {
	s := harness.Start(t, allowingSSEC)
	newBucket(t, s, "inner")
	text := strings.Repeat(marker+" ", 2000)
	for prefix, k := range map[string]ownKey{"plain": {}, "own": newOwnKey("mine")} {
		for _, name := range internalHeaders() {
			h := k.header("x-amz-")
			h.Set(name, "injected")
			o := stored{t, s, prefix + "/put", k, text, name}
			o.check(send(t, s, raw{method: "PUT", target: "/inner/" + o.key, body: text, header: h}))
			copies := k.header("x-amz-copy-source-")
			maps.Copy(copies, h)
			copies.Set("x-amz-copy-source", "inner/"+o.key)
			copies.Set("x-amz-metadata-directive", "REPLACE")
			o.key = prefix + "/copy"
			o.check(send(t, s, raw{method: "PUT", target: "/inner/" + o.key, header: copies}))
			o.key = prefix + "/posted"
			fields := map[string]string{"key": o.key, strings.ToLower(name): "injected"}
			for field, v := range k.header("x-amz-") {
				fields[strings.ToLower(field)] = v[0]
			}
			o.check(send(t, s, post{bucket: "inner", fields: fields, file: text}.build(t, s)))
			o.key = prefix + "/uploaded"
			o.check(uploadRaw(t, s, "/inner/"+o.key, text, h, k.header("x-amz-")))
		}
	}
	// This server's own headers are never ignored.
	for _, name := range []string{"X-Watertight-Data-Key", "X-Watertight-Blob"} {
		for _, method := range []string{"PUT", "GET", "HEAD", "DELETE"} {
			a := send(t, s, raw{method: method, target: "/inner/plain/put", header: has(name, "injected")})
			if a.status != 501 {
				t.Errorf("%s with %s: %d", method, name, a.status)
			}
		}
	}
	if files := filesWith(t, s.Data, marker); len(files) > 0 {
		t.Errorf("plaintext in %q", files)
	}
}

// uploadRaw uploads one part; begins are the headers of the first request.
func uploadRaw(t *testing.T, s *harness.Server, at, text string, begins, rest http.Header) answer {
	t.Helper()
	between := func(s, from, to string) string {
		_, s, _ = strings.Cut(s, from)
		s, _, _ = strings.Cut(s, to)
		return s
	}
	a := send(t, s, raw{method: "POST", target: at + "?uploads", header: begins})
	if a.status != 200 {
		return a
	}
	id := between(a.body, "<UploadId>", "</UploadId>")
	a = send(t, s, raw{method: "PUT", target: at + "?uploadId=" + id + "&partNumber=1", body: text, header: begins})
	if a.status != 200 {
		return a
	}
	document := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + a.header.Get("ETag") +
		"</ETag></Part></CompleteMultipartUpload>"
	return send(t, s, raw{method: "POST", target: at + "?uploadId=" + id, body: document, header: rest})
}

// TestSaysEncryptedAndIs (RustFS GHSA-xrrf): if an answer reports encryption,
// the bytes on the disk are encrypted, for every framing of a body and every
// size. The other ways to write are in TestRawDisk.
func TestSaysEncryptedAndIs(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "says")
	for name, size := range map[string]int{"one": 1, "inline": 100, "blob": 10_000} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat(marker+" ", size)
			for _, mode := range []string{signedChunks, signedTrailer, unsignedChunks, "UNSIGNED-PAYLOAD", ""} {
				at := "/says/" + name + mode
				var a answer
				if strings.HasPrefix(mode, "STREAMING") {
					chunks := []string{text}
					if first := 8 << 10; len(text) > first {
						chunks = []string{text[:first], text[first:]}
					}
					a = sendFramed(t, s, at, framed{mode: mode, data: chunks})
				} else {
					a = send(t, s, raw{method: "PUT", target: at, body: text, hash: mode})
				}
				if a.status != 200 || encryption(a.header) != (encrypts{sse: "AES256"}) {
					t.Errorf("%s: %d %+v %s", at, a.status, encryption(a.header), a.body)
				}
				if got := send(t, s, raw{method: "GET", target: at}); got.body != text ||
					encryption(got.header) != (encrypts{sse: "AES256"}) {
					t.Errorf("%s: read back %d bytes, %+v", at, len(got.body), encryption(got.header))
				}
			}
		})
	}
	for _, value := range []string{"none", "NONE", "aes256", "AES128", "false", "plaintext"} {
		t.Run(value, func(t *testing.T) {
			a := send(t, s, raw{
				method: "PUT", target: "/says/refused", body: marker,
				header: http.Header{"X-Amz-Server-Side-Encryption": {value}},
			})
			if a.status != 400 || a.code != "InvalidEncryptionAlgorithmError" {
				t.Errorf("%q: %d %s", value, a.status, a.body)
			}
		})
	}
	if keys := keysOf(t, s, "says"); slices.Contains(keys, "refused") {
		t.Error("a refused upload is stored")
	}
	if files := filesWith(t, s.Data, marker); len(files) > 0 {
		t.Errorf("plaintext in %q", files)
	}
}
