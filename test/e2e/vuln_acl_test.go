package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The tests of this file are about bugs of other servers with ACLs. Each first checks
// that allowed access works, and then that other access does not.

// TestUnsignedACLHeaders (RustFS GHSA-g8w9, GHSA-xm99): an x-amz-* header that
// was not signed cannot open an object of a signed request.
func TestUnsignedACLHeaders(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipObjectWriter)
	for name, h := range publicACLs() {
		for _, presign := range []bool{false, true} {
			t.Run(fmt.Sprint(presign), func(t *testing.T) {
				signed := raw{method: "PUT", target: "/listed/signed", body: "x", header: h.Clone(), presign: presign}
				if a := send(t, l.s, signed); a.status != 200 {
					t.Errorf("%s, signed (presigned %v): %d %s", name, presign, a.status, a.code)
				}
				for _, r := range []raw{
					{method: "PUT", target: "/listed/smuggled", body: "x"},
					{method: "PUT", target: "/listed?acl", header: http.Header{"X-Amz-Grant-Write-Acp": {`id="x"`}}},
					{method: "POST", target: "/listed/smuggled?uploads"},
					{
						method: "PUT", target: "/listed/smuggled",
						header: http.Header{"X-Amz-Copy-Source": {"listed/signed"}},
					},
				} {
					r.presign, r.header = presign, r.header.Clone()
					req := signedRequest(t, l.s, r)
					for k, v := range h {
						req.Header[k] = v
					}
					if a := roundTrip(t, l.s, req); a.status != 403 {
						t.Errorf("%s, smuggled into %s %s (presigned %v): %d %s", name, r.method, r.target, presign,
							a.status, a.code)
					}
				}
			})
		}
	}
	if keys := keysOf(t, l.s, "listed"); len(keys) != 1 || keys[0] != "signed" {
		t.Errorf("stored: %q", keys)
	}
	if a := send(t, l.s, raw{method: "GET", target: "/listed", unsigned: true}); a.status != 403 {
		t.Errorf("the bucket is open: %d", a.status)
	}
}

// TestVersionsBehindAnOpenOne (RustFS GHSA-3ppv): each version is decided by its own ACL, whatever the
// current version's ACL allows, in every kind of read.
func TestVersionsBehindAnOpenOne(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipObjectWriter)
	v := &versioned{t: t, s: l.s, bucket: l.bucket, names: map[string]string{}}
	v.put("k", "null, private")
	v.turn("Enabled")
	private := v.put("k", "private")
	l.put("k", types.ObjectCannedACLPublicRead)
	own := newBucketOf(t, l.guestS3, "guests")
	u, err := l.guestS3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: own, Key: aws.String("parts"),
	})
	l.must(err)
	reads := func(version string) map[string]raw {
		query, source := "", "listed/k"
		if version != "" {
			query, source = "?versionId="+version, source+"?versionId="+version
		}
		copied := http.Header{"X-Amz-Copy-Source": {source}}
		guest := func(r raw) raw {
			r.key, r.secret = l.guest.AccessKeyID, l.guest.SecretAccessKey
			return r
		}
		return map[string]raw{
			"GET":  {method: "GET", target: "/listed/k" + query, unsigned: true},
			"HEAD": {method: "HEAD", target: "/listed/k" + query, unsigned: true},
			"range": {
				method: "GET", target: "/listed/k" + query, unsigned: true,
				header: http.Header{"Range": {"bytes=0-99"}},
			},
			"conditional": {
				method: "GET", target: "/listed/k" + query, unsigned: true,
				header: http.Header{"If-None-Match": {`"x"`}},
			},
			"presigned":   guest(raw{method: "GET", target: "/listed/k" + query, presign: true}),
			"copy source": guest(raw{method: "PUT", target: "/guests/copy", header: copied}),
			"part copy": guest(raw{
				method: "PUT", target: "/guests/parts?partNumber=1&uploadId=" + *u.UploadId, header: copied,
			}),
		}
	}
	for name, r := range reads("") {
		if a := send(t, l.s, r); a.status/100 != 2 {
			t.Errorf("%s of the open version: %d %s", name, a.status, a.body)
		}
	}
	for _, version := range []string{"null", private, strings.Repeat("A", 32)} {
		for name, r := range reads(version) {
			if a := send(t, l.s, r); a.status != 403 {
				t.Errorf("%s of version %s: %d %s", name, version, a.status, a.code)
			}
		}
	}
	l.put("k", "")
	for name, r := range reads("") {
		if a := send(t, l.s, r); a.status != 403 {
			t.Errorf("%s of the version that replaced the open one: %d", name, a.status)
		}
	}
}

// TestOpenObjectAmongOthers (Ceph CVE-2016-7031; VaultS3 4.4.67): a public object makes neither the
// listing nor other objects public, and a public listing makes no object public.
func TestOpenObjectAmongOthers(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipObjectWriter)
	neighbours := []string{"a/open/", "a/open/x", "a/openx", "a/ope", "a/", "a", "A/open", "a/open%2F", "b/open"}
	for _, key := range neighbours {
		l.put(key, "")
	}
	l.put("a/open", types.ObjectCannedACLPublicRead)
	anonymous := func(target string) int {
		return send(t, l.s, raw{method: "GET", target: target, unsigned: true}).status
	}
	check := func(listing int) {
		t.Helper()
		if got := anonymous("/listed/a/open"); got != 200 {
			t.Errorf("the open object: %d", got)
		}
		for _, key := range neighbours {
			if got := anonymous("/listed/" + strings.ReplaceAll(key, "%", "%25")); got != 403 {
				t.Errorf("%s: %d", key, got)
			}
		}
		for _, target := range []string{
			"/listed", "/listed?list-type=2&prefix=a/open", "/listed?versions&prefix=a/open",
			"/listed?prefix=a/open&delimiter=/",
		} {
			if got := anonymous(target); got != listing {
				t.Errorf("%s: %d, want %d", target, got, listing)
			}
		}
	}
	check(403)
	l.must(l.bucketACL(s3.PutBucketAclInput{ACL: types.BucketCannedACLPublicRead}))
	check(200)
	l.must(l.bucketACL(s3.PutBucketAclInput{ACL: types.BucketCannedACLPrivate}))
	check(403)
}

// TestOneParseOfAnOpenKey (s3-proxy CVE-2026-42882): the ACL that decides is that of the key that is
// read, however the request encodes the key.
func TestOneParseOfAnOpenKey(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipObjectWriter)
	l.put("a/b", types.ObjectCannedACLPublicRead)
	for _, key := range []string{"a%2Fb", "a%2fb", "a//b", "a/./b", "a/c/../b", "a b", "a+b", "a/b ", "/a/b"} {
		l.put(key, "")
	}
	for target, want := range map[string]int{
		"/listed/a/b": 200, "/listed/a%2Fb": 200, "/listed/%61%2f%62": 200,
		"/listed/a%252Fb": 403, "/listed/a%252fb": 403, "/listed/a//b": 403, "/listed/a/./b": 403,
		"/listed/a/c/../b": 403, "/listed/a%20b": 403,
		"/listed/a+b": 403, "/listed/a/b%20": 403, "/listed//a/b": 403, "/listed/%2Fa/b": 403, "/listed/a%5Cb": 403,
		"/listed/a/b/": 403,
	} {
		t.Run(target, func(t *testing.T) {
			a := send(t, l.s, raw{method: "GET", target: target, unsigned: true})
			if a.status != want || want == 200 && a.body != "text of a/b" {
				t.Errorf("%s: %d %q, want %d", target, a.status, a.body, want)
			}
		})
	}
	if a := send(t, l.s, raw{
		method: "GET", target: "/listed/a/b", unsigned: true,
		header: http.Header{"X-Original-Url": {"/listed/a%2520b"}, "X-Rewrite-Url": {"/listed/a//b"}},
	}); a.body != "text of a/b" {
		t.Errorf("%d %q", a.status, a.body)
	}
}
