package e2e

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/server"
	"watertight/test/harness"
)

const (
	aclAccount = "111122223333"
	allUsers   = "http://acs.amazonaws.com/groups/global/AllUsers"
	everyone   = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
)

// listed is a server with a bucket whose ACLs are active, and another account.
type listed struct {
	t       *testing.T
	s       *harness.Server
	bucket  *string
	guest   harness.Credentials
	guestS3 *s3.Client
	n       int // numbers new names
}

func newListed(t *testing.T, o types.ObjectOwnership) *listed {
	t.Helper()
	s := harness.Start(t, func(c *server.Config) { c.Root.AccountID = aclAccount })
	l := &listed{t: t, s: s, bucket: newBucket(t, s, "listed"), guest: s.CreateAccount(t, "guest")}
	l.guestS3 = s.Client(l.guest)
	l.own(o)
	l.block("account")
	l.block("bucket")
	return l
}

func (l *listed) own(o types.ObjectOwnership) {
	l.t.Helper()
	_, err := l.s.S3.PutBucketOwnershipControls(l.t.Context(), &s3.PutBucketOwnershipControlsInput{Bucket: l.bucket,
		OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: o}}}})
	if err != nil {
		l.t.Fatal(err)
	}
}

// block sets Block Public Access at a level to these settings and no others.
func (l *listed) block(level string, settings ...string) {
	l.t.Helper()
	body := "<PublicAccessBlockConfiguration>"
	for _, name := range []string{"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"} {
		body += fmt.Sprintf("<%s>%v</%s>", name, slices.Contains(settings, name), name)
	}
	body += "</PublicAccessBlockConfiguration>"
	r := raw{
		method: "PUT", target: "/" + *l.bucket + "?publicAccessBlock", body: body,
		header: http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(md5Of(body))}},
	}
	if level == "account" {
		r.target = "/v20180820/configuration/publicAccessBlock"
		r.header.Set("X-Amz-Account-Id", aclAccount)
	}
	if a := send(l.t, l.s, r); a.status != 200 {
		l.t.Fatalf("%s: %d %s", level, a.status, a.body)
	}
}

// canonicalOf returns the canonical id of a client's account.
func canonicalOf(t *testing.T, c *s3.Client) *string {
	t.Helper()
	out, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.Owner.ID
}

func (l *listed) bucketACL(in s3.PutBucketAclInput) error {
	in.Bucket = l.bucket
	_, err := l.s.S3.PutBucketAcl(l.t.Context(), &in)
	return err
}

func (l *listed) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *listed) put(key string, acl types.ObjectCannedACL) {
	l.t.Helper()
	_, err := l.s.S3.PutObject(l.t.Context(), &s3.PutObjectInput{
		Bucket: l.bucket, Key: &key, Body: strings.NewReader("text of " + key), ACL: acl,
	})
	l.must(err)
}

func (l *listed) name() string { l.n++; return fmt.Sprint("made-", l.n) }

// ways returns the requests of a caller whose access comes from ACLs only, each with the answer if
// the access is allowed.
func (l *listed) ways(signed bool) map[string]func() bool {
	by := func(r raw) raw {
		r.unsigned, r.key, r.secret = !signed, l.guest.AccessKeyID, l.guest.SecretAccessKey
		return r
	}
	ok := func(r raw) func() bool {
		return func() bool {
			a := send(l.t, l.s, by(r))
			if a.status != 200 && (a.status != 403 || a.code != "AccessDenied" && r.method != "HEAD") {
				l.t.Errorf("%s %s: %d %s", r.method, r.target, a.status, a.code)
			}
			return a.status == 200
		}
	}
	at := "/" + *l.bucket
	ways := map[string]func() bool{
		"GET": ok(raw{method: "GET", target: at + "/open"}), "HEAD": ok(raw{method: "HEAD", target: at + "/open"}),
		"GET of a range": ok(raw{
			method: "GET", target: at + "/open", header: http.Header{"Range": {"bytes=0-0"}, "If-Range": {`"x"`}},
		}),
		"GET of a version":   ok(raw{method: "GET", target: at + "/open?versionId=null"}),
		"HEAD of the bucket": ok(raw{method: "HEAD", target: at}),
		"list":               ok(raw{method: "GET", target: at}),
		"list, version 2":    ok(raw{method: "GET", target: at + "?list-type=2"}),
		"list of versions":   ok(raw{method: "GET", target: at + "?versions"}),
		"list of uploads":    ok(raw{method: "GET", target: at + "?uploads"}),
		"ACL of the bucket":  ok(raw{method: "GET", target: at + "?acl"}),
		"ACL of an object":   ok(raw{method: "GET", target: at + "/open?acl"}),
		"PUT":                func() bool { return ok(raw{method: "PUT", target: at + "/" + l.name(), body: "x"})() },
		"multipart upload": func() bool {
			return ok(raw{
				method: "POST", target: at + "/" + l.name() + "?uploads",
			})()
		},
		"POST form": func() bool {
			a := send(l.t,
				l.s, post{
					bucket: *l.bucket, file: "x", key: l.guest, unsigned: !signed,
					fields: map[string]string{"key": l.name()},
				}.build(l.t, l.s))
			return a.status == 204
		},
	}
	if !signed {
		delete(ways, "multipart upload") // cannot begin without a signature
		return ways
	}
	presigned := raw{method: "GET", target: at + "/open", presign: true}
	ways["presigned"] = ok(presigned)
	own := newBucketOf(l.t, l.guestS3, "guests")
	source := http.Header{"X-Amz-Copy-Source": {*l.bucket + "/open"}}
	ways["copy source"] = func() bool {
		return ok(raw{method: "PUT", target: "/guests/copy", header: source.Clone()})()
	}
	u, err := l.guestS3.CreateMultipartUpload(l.t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: own, Key: aws.String("parts"),
	})
	l.must(err)
	ways["part copy"] = ok(raw{
		method: "PUT", target: "/guests/parts?partNumber=1&uploadId=" + *u.UploadId, header: source,
	})
	_, err = l.guestS3.PutObject(l.t.Context(), &s3.PutObjectInput{
		Bucket: l.bucket, Key: aws.String("guests-own"), Body: strings.NewReader("x"),
	})
	l.must(err)
	ways["batch delete"] = func() bool {
		if _, err := l.guestS3.PutObject(l.t.Context(), &s3.PutObjectInput{
			Bucket: l.bucket, Key: aws.String("guests-own"), Body: strings.NewReader("x"),
		}); err != nil {
			wantCode(l.t, err, 403, "AccessDenied")
		}
		out, err := l.guestS3.DeleteObjects(l.t.Context(), &s3.DeleteObjectsInput{
			Bucket: l.bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("guests-own")}}},
		})
		l.must(err)
		if len(out.Errors) > 0 && *out.Errors[0].Code != "AccessDenied" {
			l.t.Error(*out.Errors[0].Code)
		}
		return len(out.Deleted) == 1
	}
	return ways
}

func newBucketOf(t *testing.T, c *s3.Client, name string) *string {
	t.Helper()
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return &name
}

// TestIgnorePublicAcls: access that ACLs give to everyone, or to every account,
// is blocked on every path by the setting at either level. The ACLs stay
// stored, and count again without the setting.
func TestIgnorePublicAcls(t *testing.T) {
	for group, signed := range map[string]bool{allUsers: false, everyone: true} {
		t.Run(group, func(t *testing.T) {
			l := newListed(t, types.ObjectOwnershipObjectWriter)
			by := aws.String(`uri="` + group + `"`)
			mine := aws.String(`id="` + *canonicalOf(t, l.s.S3) + `"`)
			l.must(l.bucketACL(s3.PutBucketAclInput{
				GrantFullControl: mine, GrantRead: by, GrantWrite: by, GrantReadACP: by,
			}))
			_, err := l.s.S3.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: l.bucket, Key: aws.String("open"), Body: strings.NewReader("x"), GrantFullControl: mine,
				GrantRead: by, GrantReadACP: by,
			})
			l.must(err)
			l.put("private", "")
			ways := l.ways(signed)
			shown := func() int {
				out, err := l.s.S3.GetBucketAcl(t.Context(), &s3.GetBucketAclInput{Bucket: l.bucket})
				l.must(err)
				obj, err := l.s.S3.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{
					Bucket: l.bucket, Key: aws.String("open"),
				})
				l.must(err)
				return len(out.Grants)*10 + len(obj.Grants)
			}
			for _, level := range []string{"bucket", "account"} {
				for name, in := range ways {
					if !in() {
						t.Errorf("%s: the ACL does not allow %s", level, name)
					}
				}
				if shown() != 43 {
					t.Errorf("%s: %d grants are shown", level, shown())
				}
				l.block(level, "IgnorePublicAcls")
				for name, in := range ways {
					if in() {
						t.Errorf("%s: %s is allowed although public ACLs are ignored", level, name)
					}
				}
				if shown() != 11 {
					t.Errorf("%s: %d grants are shown while public ones are ignored", level, shown())
				}
				l.block(level)
			}
			for name, in := range ways {
				if !in() {
					t.Errorf("%s stays blocked after the setting is off", name)
				}
			}
			for _, target := range []string{
				"/listed/private", "/listed/private?acl", "/listed?policyStatus", "/listed?publicAccessBlock",
				"/listed?tagging", "/listed/open?tagging", "/listed/open?attributes",
			} {
				if a := send(t, l.s, raw{
					method: "GET", target: target, unsigned: true,
					header: http.Header{"X-Amz-Object-Attributes": {"ETag"}},
				}); a.status != 403 {
					t.Errorf("%s is open: %d", target, a.status)
				}
			}
			other := raw{
				method: "GET", target: "/listed/open", unsigned: signed, key: l.guest.AccessKeyID,
				secret: l.guest.SecretAccessKey,
			}
			if a := send(t, l.s, other); (a.status == 200) == signed {
				t.Errorf("a caller who signs (%v) gets %d for an object of the other group", !signed, a.status)
			}
		})
	}
}

// publicACLs returns all headers that ask for a public ACL.
func publicACLs() map[string]http.Header {
	return map[string]http.Header{
		"canned":             {"X-Amz-Acl": {"public-read"}},
		"canned, writable":   {"X-Amz-Acl": {"public-read-write"}},
		"every account":      {"X-Amz-Acl": {"authenticated-read"}},
		"granted":            {"X-Amz-Grant-Read": {`uri="` + allUsers + `"`}},
		"granted to read it": {"X-Amz-Grant-Read-Acp": {`uri="` + everyone + `"`}},
	}
}

// TestBlockPublicAcls: no request stores a public ACL while the setting is on at either level.
// Stored ACLs stay.
func TestBlockPublicAcls(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipObjectWriter)
	l.put("open", types.ObjectCannedACLPublicRead)
	doc := `<AccessControlPolicy><Owner><ID>` + *canonicalOf(t, l.s.S3) +
		`</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ` +
		`xsi:type="Group"><URI>` +
		allUsers + `</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`
	begun := begin(t, l.s, s3.CreateMultipartUploadInput{
		Bucket: l.bucket, Key: aws.String("begun"), ACL: types.ObjectCannedACLPublicRead,
	})
	part := putPart(t, l.s, l.bucket, aws.String("begun"), begun, 1, []byte("part"), "")
	with := func(r raw, h http.Header) func() raw {
		return func() raw {
			out := r
			out.header = http.Header{}
			maps.Copy(out.header, r.header)
			maps.Copy(out.header, h)
			return out
		}
	}
	ways := map[string]func() raw{
		"PutBucketAcl, document": with(raw{method: "PUT", target: "/listed?acl", body: doc}, nil),
		"PutObjectAcl, document": with(raw{method: "PUT", target: "/listed/open?acl", body: doc}, nil),
		"PutObjectAcl, version":  with(raw{method: "PUT", target: "/listed/open?acl&versionId=null", body: doc}, nil),
		"POST form": func() raw {
			return post{
				bucket: "listed", file: "x",
				fields: map[string]string{"key": "form", "acl": "public-read", "success_action_status": "200"},
			}.build(t, l.s)
		},
		"POST form, header": func() raw {
			return post{
				bucket: "listed", file: "x",
				fields: map[string]string{
					"key": "form", "x-amz-grant-read": `uri="` + allUsers + `"`, "success_action_status": "200",
				},
			}.build(t, l.s)
		},
	}
	for name, h := range publicACLs() {
		ways["PutBucketAcl, "+name] = with(raw{method: "PUT", target: "/listed?acl"}, h)
		ways["PutObjectAcl, "+name] = with(raw{method: "PUT", target: "/listed/open?acl"}, h)
		ways["PutObject, "+name] = with(raw{method: "PUT", target: "/listed/put", body: "x"}, h)
		ways["presigned, "+name] = with(raw{method: "PUT", target: "/listed/put", body: "x", presign: true}, h)
		ways["CopyObject, "+name] = with(
			raw{method: "PUT", target: "/listed/copy", header: http.Header{"X-Amz-Copy-Source": {"listed/open"}}}, h,
		)
		ways["CreateMultipartUpload, "+name] = with(raw{method: "POST", target: "/listed/parts?uploads"}, h)
	}
	for name, r := range ways {
		t.Run(name, func(t *testing.T) {
			if a := send(t, l.s, r()); a.status != 200 {
				t.Errorf("without the setting, %s: %d %s", name, a.status, a.body)
			}
		})
	}
	for _, level := range []string{"bucket", "account"} {
		t.Run(level, func(t *testing.T) {
			l.put("open", types.ObjectCannedACLPublicRead)
			l.block(level, "BlockPublicAcls")
			for name, r := range ways {
				a := send(t, l.s, r())
				if a.status != 403 || a.code != "AccessDenied" ||
					!strings.Contains(a.body,
						"because public ACLs are prevented by the BlockPublicAcls setting in S3 Block Public Access.") {
					t.Errorf("%s, %s: %d %s", level, name, a.status, a.body)
				}
			}
			_, err := complete(t, l.s, l.bucket, aws.String("begun"), begun, part)
			wantCode(t, err, 403, "AccessDenied")
			for _, acl := range []types.ObjectCannedACL{
				"", types.ObjectCannedACLPrivate, types.ObjectCannedACLBucketOwnerRead,
				types.ObjectCannedACLBucketOwnerFullControl,
			} {
				l.put("private", acl)
			}
			if a := send(t, l.s, raw{method: "GET", target: "/listed/open", unsigned: true}); a.status != 200 {
				t.Errorf("%s: a stored ACL does not count any more: %d", level, a.status)
			}
			l.block(level)
		})
	}
	if _, err := complete(t, l.s, l.bucket, aws.String("begun"), begun, part); err != nil {
		t.Error(err)
	}
	// The reason is hidden from callers of other accounts.
	l.must(l.bucketACL(s3.PutBucketAclInput{ACL: types.BucketCannedACLPublicReadWrite}))
	theirs := raw{
		method: "PUT", target: "/listed/theirs", body: "x", header: http.Header{"X-Amz-Acl": {"public-read"}},
		key: l.guest.AccessKeyID, secret: l.guest.SecretAccessKey,
	}
	if a := send(t, l.s, theirs); a.status != 200 {
		t.Errorf("a write by another account: %d %s", a.status, a.body)
	}
	l.block("bucket", "BlockPublicAcls")
	if a := send(t, l.s, theirs); a.status != 403 || strings.Contains(a.body, "BlockPublicAcls") {
		t.Errorf("a write by another account: %d %s", a.status, a.body)
	}
}

// TestRestrictPublicBucketsAndACLs: while the bucket's policy is public, the
// setting blocks every caller whose access comes from an ACL, by group or by
// name, except those of the bucket's account. Without a public policy it does
// not affect ACLs.
func TestRestrictPublicBucketsAndACLs(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipObjectWriter)
	l.must(l.bucketACL(s3.PutBucketAclInput{ACL: types.BucketCannedACLPublicRead}))
	l.put("open", types.ObjectCannedACLPublicRead)
	guest := aws.String(`id="` + *canonicalOf(t, l.guestS3) + `"`)
	_, err := l.s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: l.bucket, Key: aws.String("shared"), Body: strings.NewReader("x"), GrantRead: guest,
	})
	l.must(err)
	reads := func(want int, why string) {
		t.Helper()
		for _, target := range []string{
			"/listed/open", "/listed", "/listed?list-type=2", "/listed/open?versionId=null",
		} {
			if a := send(t, l.s, raw{method: "GET", target: target, unsigned: true}); a.status != want {
				t.Errorf("%s: a stranger's %s: %d, want %d", why, target, a.status, want)
			}
		}
		for _, target := range []string{"/listed/open", "/listed/shared", "/listed"} {
			if a := send(t, l.s, raw{
				method: "GET", target: target, key: l.guest.AccessKeyID, secret: l.guest.SecretAccessKey,
			}); a.status != want {
				t.Errorf("%s: another account's %s: %d, want %d", why, target, a.status, want)
			}
		}
		if a := send(t, l.s, raw{method: "GET", target: "/listed/open"}); a.status != 200 {
			t.Errorf("%s: the owner: %d", why, a.status)
		}
	}
	reads(200, "nothing on")
	for _, level := range []string{"bucket", "account"} {
		l.block(level, "RestrictPublicBuckets")
		reads(200, level+", no policy")
		l.block(level)
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",` +
			`"Action":"s3:GetBucketLocation","Resource":"arn:aws:s3:::listed"}]}`
		_, err := l.s.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: l.bucket, Policy: &policy})
		l.must(err)
		reads(200, level+", a public policy")
		l.block(level, "RestrictPublicBuckets")
		reads(403, level+", a public policy and the setting")
		l.block(level)
		_, err = l.s.S3.DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: l.bucket})
		l.must(err)
	}
	l.block("bucket", "BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
	if a := send(t, l.s, raw{
		method: "GET", target: "/listed/shared", key: l.guest.AccessKeyID, secret: l.guest.SecretAccessKey,
	}); a.status != 200 {
		t.Errorf("an account that an ACL names: %d", a.status)
	}
	if a := send(t, l.s, raw{method: "GET", target: "/listed/open", unsigned: true}); a.status != 403 {
		t.Errorf("with all four settings a stranger gets %d", a.status)
	}
}
