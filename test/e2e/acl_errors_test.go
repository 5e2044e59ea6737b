package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const xsi = `xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`

// TestACLErrors: requests that set an ACL get the errors that were recorded from AWS.
func TestACLErrors(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipObjectWriter)
	l.put("k", "")
	me := *canonicalOf(t, l.s.S3)
	doc := func(owner, grants string) string {
		return `<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner>` + owner +
			`</Owner><AccessControlList>` + grants + `</AccessControlList></AccessControlPolicy>`
	}
	grant := func(kind, who, permission string) string {
		return `<Grant><Grantee ` + xsi + ` xsi:type="` + kind + `">` + who + `</Grantee><Permission>` + permission +
			`</Permission></Grant>`
	}
	mine := "<ID>" + me + "</ID>"
	good := doc(mine, grant("CanonicalUser", mine, "FULL_CONTROL"))
	unknown := strings.Repeat("0", 64)
	for _, c := range []struct {
		name   string
		header http.Header
		body   string
		status int
		code   string
		member string
	}{
		{"good document", nil, good, 200, "", ""},
		{"good header", http.Header{"X-Amz-Acl": {"private"}}, "", 200, "", ""},
		{"nothing", nil, "", 400, "MissingSecurityHeader", "<MissingHeaderName>x-amz-acl</MissingHeaderName>"},
		{
			"canned and grant", http.Header{"X-Amz-Acl": {"private"}, "X-Amz-Grant-Read": {`id="` + me + `"`}}, "", 400,
			"InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed",
		},
		{"canned and document", http.Header{"X-Amz-Acl": {"private"}}, good, 400, "UnexpectedContent", ""},
		{
			"grant and document", http.Header{"X-Amz-Grant-Read": {`id="` + me + `"`}}, good, 400, "UnexpectedContent",
			"",
		},
		{
			"unknown canned", http.Header{"X-Amz-Acl": {"Private"}}, "", 400, "InvalidArgument",
			"<Message></Message><ArgumentName>x-amz-acl</ArgumentName><ArgumentValue>Private</ArgumentValue>",
		},
		{
			"bad group", http.Header{"X-Amz-Grant-Read": {`uri="http://acs.amazonaws.com/groups/global/Nobody"`}}, "",
			400, "InvalidArgument", "Invalid group uri",
		},
		{"bad id", http.Header{"X-Amz-Grant-Read": {`id="abc"`}}, "", 400, "InvalidArgument", "Invalid id"},
		{
			"unknown id", http.Header{"X-Amz-Grant-Read": {`id="` + unknown + `"`}}, "", 400, "InvalidArgument",
			"Invalid id",
		},
		{
			"unknown key", http.Header{"X-Amz-Grant-Read": {`ids="` + me + `"`}}, "", 400, "InvalidArgument",
			"Argument format not recognized",
		},
		{
			"e-mail", http.Header{"X-Amz-Grant-Read": {`emailAddress="user@example.com"`}}, "", 405, "MethodNotAllowed",
			"",
		},
		{"empty document", nil, "<AccessControlPolicy/>", 400, "MalformedACLError", ""},
		{"no XML", nil, "no XML", 400, "MalformedACLError", ""},
		{"half a document", nil, good[:len(good)-10], 400, "MalformedACLError", ""},
		{"another root", nil, "<ACL/>", 400, "MalformedACLError", ""},
		{"no owner", nil, strings.Replace(good, "<Owner>"+mine+"</Owner>", "", 1), 400, "MalformedACLError", ""},
		{"no owner id", nil, doc("", grant("CanonicalUser", mine, "READ")), 400, "MalformedACLError", ""},
		{
			"another owner", nil, doc("<ID>"+*canonicalOf(t, l.guestS3)+"</ID>", grant("CanonicalUser", mine, "READ")),
			403, "AccessDenied", "",
		},
		{
			"unknown owner", nil, doc("<ID>"+unknown+"</ID>", grant("CanonicalUser", mine, "READ")), 400,
			"InvalidArgument", "Invalid id",
		},
		{"unknown permission", nil, doc(mine, grant("CanonicalUser", mine, "DELETE")), 400, "MalformedACLError", ""},
		{"unknown type", nil, doc(mine, grant("User", mine, "READ")), 400, "MalformedACLError", ""},
		{"no grantee", nil, doc(mine, grant("CanonicalUser", "", "READ")), 400, "MalformedACLError", ""},
		{
			"unknown", nil, doc(mine, grant("CanonicalUser", "<ID>"+unknown+"</ID>", "READ")), 400, "InvalidArgument",
			"CanonicalUser/ID",
		},
		{
			"bad group in a document", nil, doc(mine, grant("Group", "<URI>http://x</URI>", "READ")), 400,
			"InvalidArgument", "Invalid group uri",
		},
		{
			"e-mail in a document", nil,
			doc(mine, grant("AmazonCustomerByEmail", "<EmailAddress>user@example.com</EmailAddress>", "READ")), 405,
			"MethodNotAllowed", "",
		},
		{"100 grants", nil, doc(mine, strings.Repeat(grant("CanonicalUser", mine, "READ"), 100)), 200, "", ""},
		{
			"101 grants", nil, doc(mine, strings.Repeat(grant("CanonicalUser", mine, "READ"), 101)), 400,
			"MalformedACLError", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, target := range []string{"/listed?acl", "/listed/k?acl", "/listed/k?acl&versionId=null"} {
				a := send(t, l.s, raw{method: "PUT", target: target, header: c.header.Clone(), body: c.body})
				if a.status != c.status || a.code != c.code || !strings.Contains(a.body, c.member) {
					t.Errorf("%s, %s: %d %s", c.name, target, a.status, a.body)
				}
			}
		})
	}
	if a := send(t, l.s, raw{
		method: "PUT", target: "/listed/k", body: "x", header: http.Header{"X-Amz-Acl": {"log-delivery-write"}},
	}); a.code != "InvalidArgument" {
		t.Errorf("a bucket's canned ACL for an object: %d %s", a.status, a.code)
	}
	if a := send(t, l.s, raw{method: "PUT", target: "/absent?acl"}); a.status != 404 || a.code != "NoSuchBucket" {
		t.Errorf("no bucket: %d %s", a.status, a.code)
	}
	if a := send(t, l.s, raw{
		method: "PUT", target: "/listed/absent?acl", header: http.Header{"X-Amz-Acl": {"private"}},
	}); a.status != 404 || a.code != "NoSuchKey" {
		t.Errorf("no key: %d %s", a.status, a.code)
	}
}

// TestACLsDisabled: an ACL is refused because ACLs are disabled, whatever else is wrong with it.
func TestACLsDisabled(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipBucketOwnerEnforced)
	l.put("k", "")
	uri := `uri="` + allUsers + `"`
	for _, h := range []http.Header{
		{"X-Amz-Acl": {"public-read"}}, {"X-Amz-Grant-Read": {uri}}, {"X-Amz-Acl": {"aws-exec-read"}},
		{"X-Amz-Acl": {"public-read"}, "X-Amz-Grant-Read": {uri}},
	} {
		for _, r := range []raw{
			{method: "PUT", target: "/listed?acl"}, {method: "PUT", target: "/listed/k?acl"},
			{method: "PUT", target: "/listed/new", body: "x"},
			{method: "POST", target: "/listed/new?uploads"},
			{method: "PUT", target: "/listed/new", header: http.Header{"X-Amz-Copy-Source": {"listed/k"}}},
		} {
			t.Run(r.target+" "+r.body, func(t *testing.T) {
				if len(h) > 1 && !strings.Contains(r.target, "acl") {
					return // malformed, which is reported first
				}
				header := h.Clone()
				for k, v := range r.header {
					header[k] = v
				}
				r.header = header
				if a := send(t, l.s, r); a.status != 400 || a.code != "AccessControlListNotSupported" ||
					!strings.Contains(a.body, "The bucket does not allow ACLs") {
					t.Errorf("%v %s %s: %d %s", h, r.method, r.target, a.status, a.body)
				}
			})
		}
	}
	if a := send(t, l.s,
		post{bucket: "listed", file: "x", fields: map[string]string{"acl": "public-read"}}.build(t,
			l.s)); a.code != "AccessControlListNotSupported" {
		t.Errorf("form: %d %s", a.status, a.code)
	}
	for _, acl := range []types.ObjectCannedACL{
		types.ObjectCannedACLBucketOwnerFullControl, types.ObjectCannedACLPrivate,
	} {
		l.put("taken", acl)
	}
	wantCode(t, l.bucketACL(s3.PutBucketAclInput{ACL: types.BucketCannedACLPrivate}), 400,
		"AccessControlListNotSupported")
	l.must(l.bucketACL(s3.PutBucketAclInput{GrantFullControl: aws.String(`id="` + *canonicalOf(t, l.s.S3) + `"`)}))
}

// TestACLOfVersions: versions have ACLs of their own, and delete markers have none.
func TestACLOfVersions(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipObjectWriter)
	v := &versioned{t: t, s: l.s, bucket: l.bucket, names: map[string]string{}}
	v.turn("Enabled")
	key := aws.String("k")
	one := v.put("k", "one")
	v.put("k", "two")
	out, err := l.s.S3.PutObjectAcl(t.Context(), &s3.PutObjectAclInput{
		Bucket: l.bucket, Key: key, VersionId: &one, ACL: types.ObjectCannedACLPublicRead,
	})
	l.must(err)
	_ = out
	grants := func(id *string) string {
		out, err := l.s.S3.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: l.bucket, Key: key, VersionId: id})
		l.must(err)
		var all []string
		for _, g := range out.Grants {
			all = append(all, fmt.Sprint(g.Grantee.Type, " ", aws.ToString(g.Grantee.URI), " ", g.Permission))
		}
		return strings.Join(all, ", ")
	}
	if a, b := grants(nil), grants(&one); a != "CanonicalUser  FULL_CONTROL" ||
		b != "CanonicalUser  FULL_CONTROL, Group "+allUsers+" READ" {
		t.Errorf("%q, %q", a, b)
	}
	anonymous := func(query string) int {
		return send(t, l.s, raw{method: "GET", target: "/listed/k" + query, unsigned: true}).status
	}
	if a, b := anonymous(""), anonymous("?versionId="+one); a != 403 || b != 200 {
		t.Errorf("the current version %d, the open one %d", a, b)
	}
	marker := v.delete("k", nil).VersionId
	for i, r := range []raw{
		{method: "PUT", target: "/listed/k?acl", header: http.Header{"X-Amz-Acl": {"private"}}},
		{method: "PUT", target: "/listed/k?acl&versionId=" + *marker, header: http.Header{"X-Amz-Acl": {"private"}}},
		{method: "GET", target: "/listed/k?acl&versionId=" + *marker},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if a := send(t, l.s, r); a.status != 405 || a.code != "MethodNotAllowed" ||
				!strings.Contains(a.body, "<Method>"+r.method+"</Method><ResourceType>DeleteMarker</ResourceType>") {
				t.Errorf("%s %s: %d %s", r.method, r.target, a.status, a.body)
			}
		})
	}
	if a := anonymous("?versionId=" + one); a != 200 {
		t.Errorf("behind a delete marker: %d", a)
	}
}

// TestACLPermissions: which actions a policy has to allow, and which values conditions see.
func TestACLPermissions(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipObjectWriter)
	l.put("k", "")
	_, client, _ := newUser(t, l.s, "lister")
	allow := func(actions, condition string) {
		t.Helper()
		doc := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"` +
			condition + `}]}`
		_, err := rootIAM(l.s).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
			UserName: aws.String("lister"), PolicyName: aws.String("p"), PolicyDocument: &doc,
		})
		l.must(err)
	}
	put := func(acl types.ObjectCannedACL) error {
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: l.bucket, Key: aws.String("k"), Body: strings.NewReader("x"), ACL: acl,
		})
		return err
	}
	set := func(acl types.ObjectCannedACL, id *string) error {
		_, err := client.PutObjectAcl(t.Context(), &s3.PutObjectAclInput{
			Bucket: l.bucket, Key: aws.String("k"), VersionId: id, ACL: acl,
		})
		return err
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	null := aws.String("null")
	allow(`"s3:PutObject"`, "")
	ok(put(""))
	wantCode(t, put(types.ObjectCannedACLPrivate), 403, "AccessDenied")
	_, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: l.bucket, Key: aws.String("k"), GrantRead: aws.String(`uri="` + allUsers + `"`),
	})
	wantCode(t, err, 403, "AccessDenied")
	wantCode(t, set(types.ObjectCannedACLPrivate, nil), 403, "AccessDenied")
	allow(`"s3:PutObject","s3:PutObjectAcl"`, "")
	ok(put(types.ObjectCannedACLPublicRead))
	ok(set(types.ObjectCannedACLPrivate, nil))
	wantCode(t, set(types.ObjectCannedACLPrivate, null), 403, "AccessDenied")
	allow(`"s3:PutObjectVersionAcl"`, "")
	ok(set(types.ObjectCannedACLPrivate, null))
	wantCode(t, set(types.ObjectCannedACLPrivate, nil), 403, "AccessDenied")
	allow(`"s3:PutObject","s3:PutObjectAcl"`,
		`,"Condition":{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}}`)
	ok(put(types.ObjectCannedACLBucketOwnerFullControl))
	ok(set(types.ObjectCannedACLBucketOwnerFullControl, nil))
	wantCode(t, put(""), 403, "AccessDenied")
	wantCode(t, put(types.ObjectCannedACLPublicRead), 403, "AccessDenied")
	wantCode(t, set(types.ObjectCannedACLPrivate, nil), 403, "AccessDenied")
	get := func(id *string) error {
		_, err := client.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{
			Bucket: l.bucket, Key: aws.String("k"), VersionId: id,
		})
		return err
	}
	allow(`"s3:GetObjectAcl","s3:GetBucketAcl"`, "")
	ok(get(nil))
	wantCode(t, get(null), 403, "AccessDenied")
	_, err = client.GetBucketAcl(t.Context(), &s3.GetBucketAclInput{Bucket: l.bucket})
	ok(err)
	_, err = client.PutBucketAcl(t.Context(), &s3.PutBucketAclInput{
		Bucket: l.bucket, ACL: types.BucketCannedACLPrivate,
	})
	wantCode(t, err, 403, "AccessDenied")
	allow(`"s3:PutBucketAcl","s3:GetBucketOwnershipControls"`, "")
	_, err = client.PutBucketAcl(t.Context(), &s3.PutBucketAclInput{
		Bucket: l.bucket, ACL: types.BucketCannedACLPrivate,
	})
	ok(err)
	_, err = client.DeleteBucketOwnershipControls(t.Context(), &s3.DeleteBucketOwnershipControlsInput{Bucket: l.bucket})
	wantCode(t, err, 403, "AccessDenied")
}

// TestGrantsToAccounts: each permission, given to one account by name, gives
// that account its part of the map, and gives other accounts nothing.
func TestGrantsToAccounts(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipObjectWriter)
	third := l.s.CreateAccount(t, "third")
	guest, mine := aws.String(`id="`+*canonicalOf(t, l.guestS3)+`"`), aws.String(`id="`+*canonicalOf(t, l.s.S3)+`"`)
	acl := http.Header{"X-Amz-Acl": {"private"}}
	requests := map[string]raw{
		"ListObjects": {method: "GET", target: "/listed"}, "GetBucketAcl": {method: "GET", target: "/listed?acl"},
		"PutObject":                  {method: "PUT", target: "/listed/new", body: "x"},
		"GetObject":                  {method: "GET", target: "/listed/k"},
		"GetObjectVersion":           {method: "GET", target: "/listed/k?versionId=null"},
		"GetObjectAcl":               {method: "GET", target: "/listed/k?acl"},
		"DeleteObject":               {method: "DELETE", target: "/listed/k"},
		"GetBucketLocation":          {method: "GET", target: "/listed?location"},
		"GetObjectTagging":           {method: "GET", target: "/listed/k?tagging"},
		"DeleteBucket":               {method: "DELETE", target: "/listed"},
		"PutBucketPublicAccessBlock": {method: "DELETE", target: "/listed?publicAccessBlock"},
		"PutObjectAcl":               {method: "PUT", target: "/listed/k?acl", header: acl},
		"PutBucketAcl":               {method: "PUT", target: "/listed?acl", header: acl},
	}
	list := []string{"ListObjects"}
	for permission, want := range map[string][2][]string{ // of the bucket, of the object
		"x-amz-grant-read":      {list, {"GetObject", "GetObjectVersion"}},
		"x-amz-grant-write":     {{"PutObject"}, nil},
		"x-amz-grant-read-acp":  {{"GetBucketAcl"}, {"GetObjectAcl"}},
		"x-amz-grant-write-acp": {{"PutBucketAcl"}, {"PutObjectAcl"}},
		"x-amz-grant-full-control": {
			{"GetBucketAcl", "ListObjects", "PutBucketAcl", "PutObject"},
			{"GetObject", "GetObjectAcl", "GetObjectVersion", "PutObjectAcl"},
		},
	} {
		t.Run(permission, func(t *testing.T) {
			for i, target := range []string{"/listed?acl", "/listed/k?acl"} {
				l.must(l.bucketACL(s3.PutBucketAclInput{ACL: types.BucketCannedACLPrivate}))
				l.put("k", "")
				l.must(l.bucketACL(s3.PutBucketAclInput{GrantFullControl: mine}))
				h := http.Header{"X-Amz-Grant-Full-Control": {*mine}}
				h.Set(permission, strings.TrimPrefix(h.Get(permission)+","+*guest, ","))
				var in []string
				for name, r := range requests {
					// Each on a fresh ACL, because some of them change it.
					if a := send(t, l.s, raw{method: "PUT", target: target, header: h.Clone()}); a.status != 200 {
						t.Fatalf("%s: %d %s", target, a.status, a.body)
					}
					r.key, r.secret = l.guest.AccessKeyID, l.guest.SecretAccessKey
					a := send(t, l.s, r)
					if a.status == 200 {
						in = append(in, name)
					} else if a.status != 403 {
						t.Errorf("%s %s: %d %s", permission, name, a.status, a.code)
					}
					r.key, r.secret = third.AccessKeyID, third.SecretAccessKey
					if a := send(t, l.s, r); a.status != 403 {
						t.Errorf("%s of %s: %s is open to a third account: %d", permission, target, name, a.status)
					}
					r.unsigned = true
					if a := send(t, l.s, r); a.status != 403 {
						t.Errorf("%s of %s: %s is open to strangers: %d", permission, target, name, a.status)
					}
					send(t, l.s, raw{method: "DELETE", target: "/listed/new"})
				}
				slices.Sort(in)
				if !slices.Equal(in, want[i]) {
					t.Errorf("%s of %s: %q, want %q", permission, target, in, want[i])
				}
			}
		})
	}
}
