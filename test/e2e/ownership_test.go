package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

func TestOwnershipControls(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "owned")
	get := func() types.ObjectOwnership {
		t.Helper()
		out, err := s.S3.GetBucketOwnershipControls(t.Context(), &s3.GetBucketOwnershipControlsInput{Bucket: bucket})
		if err != nil {
			t.Fatal(err)
		}
		return out.OwnershipControls.Rules[0].ObjectOwnership
	}
	put := func(rules ...types.ObjectOwnership) error {
		c := &types.OwnershipControls{Rules: []types.OwnershipControlsRule{}}
		for _, o := range rules {
			c.Rules = append(c.Rules, types.OwnershipControlsRule{ObjectOwnership: o})
		}
		_, err := s.S3.PutBucketOwnershipControls(t.Context(), &s3.PutBucketOwnershipControlsInput{
			Bucket: bucket, OwnershipControls: c,
		})
		return err
	}
	if o := get(); o != types.ObjectOwnershipBucketOwnerEnforced {
		t.Error(o)
	}
	for _, o := range []types.ObjectOwnership{
		types.ObjectOwnershipObjectWriter, types.ObjectOwnershipBucketOwnerPreferred,
		types.ObjectOwnershipBucketOwnerEnforced,
	} {
		if err := put(o); err != nil || get() != o {
			t.Errorf("%s: %v", o, err)
		}
	}
	wantCode(t, put(), 400, "MalformedXML")
	wantCode(t, put(types.ObjectOwnershipObjectWriter, types.ObjectOwnershipObjectWriter), 400, "MalformedXML")
	wantCode(t, put("objectwriter"), 400, "MalformedXML")
	for range 2 {
		if _, err := s.S3.DeleteBucketOwnershipControls(t.Context(), &s3.DeleteBucketOwnershipControlsInput{
			Bucket: bucket,
		}); err != nil {
			t.Error(err)
		}
	}
	_, err := s.S3.GetBucketOwnershipControls(t.Context(), &s3.GetBucketOwnershipControlsInput{Bucket: bucket})
	wantCode(t, err, 404, "OwnershipControlsNotFoundError")
	// Without the setting ACLs count.
	if _, err := s.S3.PutBucketAcl(t.Context(), &s3.PutBucketAclInput{
		Bucket: bucket, ACL: types.BucketCannedACLPrivate,
	}); err != nil {
		t.Error(err)
	}
	bucket = aws.String("absent")
	wantCode(t, put(types.ObjectOwnershipObjectWriter), 404, "NoSuchBucket")
	if a := send(t, s, raw{
		method: "PUT", target: "/owned?ownershipControls",
	}); a.status != 400 || a.code != "MissingRequestBodyError" {
		t.Errorf("without a document: %d %s", a.status, a.code)
	}
}

func TestOwnershipAtCreation(t *testing.T) {
	s := harness.Start(t)
	create := func(name string, header http.Header) answer {
		return send(t, s, raw{method: "PUT", target: "/" + name, header: header})
	}
	acl := func(o, acl string) http.Header {
		return http.Header{"X-Amz-Object-Ownership": {o}, "X-Amz-Acl": {acl}}
	}
	for i, c := range []struct {
		header http.Header
		code   string
	}{
		{http.Header{"X-Amz-Object-Ownership": {"ObjectWriter"}}, ""},
		{acl("BucketOwnerEnforced", "private"), ""}, {acl("BucketOwnerPreferred", "log-delivery-write"), ""},
		{http.Header{"X-Amz-Acl": {"private"}}, ""},
		{http.Header{"X-Amz-Acl": {"public-read"}}, "InvalidBucketAclWithObjectOwnership"},
		{acl("BucketOwnerEnforced", "authenticated-read"), "InvalidBucketAclWithObjectOwnership"},
		{acl("ObjectWriter", "public-read"), "InvalidBucketAclWithBlockPublicAccessError"},
		{acl("ObjectWriter", "publicread"), "InvalidArgument"},
		{http.Header{"X-Amz-Object-Ownership": {""}}, "InvalidArgument"},
		{http.Header{"X-Amz-Object-Ownership": {"bucketownerenforced"}}, "InvalidArgument"},
		{http.Header{"X-Amz-Acl": {"private"}, "X-Amz-Grant-Write": {`uri="` + allUsers + `"`}}, "InvalidRequest"},
		{http.Header{"X-Amz-Grant-Write": {`id="no"`}}, "InvalidArgument"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			name := "created-" + string(rune('a'+i))
			a := create(name, c.header)
			if a.code != c.code || (c.code == "") != (a.status == 200) {
				t.Errorf("%v: %d %s", c.header, a.status, a.body)
			}
			if head := send(t, s, raw{method: "HEAD", target: "/" + name}); (head.status == 200) != (c.code == "") {
				t.Errorf("%v: the bucket was created: %d", c.header, head.status)
			}
			if own := c.header.Get("X-Amz-Object-Ownership"); a.status == 200 && own != "" {
				out, err := s.S3.GetBucketOwnershipControls(t.Context(), &s3.GetBucketOwnershipControlsInput{
					Bucket: &name,
				})
				if err != nil || string(out.OwnershipControls.Rules[0].ObjectOwnership) != own {
					t.Errorf("%v: %v", c.header, err)
				}
			}
		})
	}
	// The permission to create a bucket does not include setting its ownership
	// or its ACL.
	_, client, _ := newUser(t, s, "creator")
	allow := func(actions string) {
		t.Helper()
		doc := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"}]}`
		if _, err := rootIAM(s).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
			UserName: aws.String("creator"), PolicyName: aws.String("p"), PolicyDocument: &doc,
		}); err != nil {
			t.Fatal(err)
		}
	}
	allow(`"s3:CreateBucket"`)
	try := func(name string, change func(*s3.CreateBucketInput)) error {
		in := &s3.CreateBucketInput{Bucket: &name}
		change(in)
		_, err := client.CreateBucket(t.Context(), in)
		return err
	}
	writer := func(in *s3.CreateBucketInput) { in.ObjectOwnership = types.ObjectOwnershipObjectWriter }
	logs := func(in *s3.CreateBucketInput) {
		writer(in)
		in.GrantWrite = aws.String(`uri="http://acs.amazonaws.com/groups/s3/LogDelivery"`)
	}
	if err := try("plain", func(*s3.CreateBucketInput) {}); err != nil {
		t.Error(err)
	}
	wantCode(t, try("writers", writer), 403, "AccessDenied")
	allow(`"s3:CreateBucket","s3:PutBucketOwnershipControls"`)
	if err := try("writers", writer); err != nil {
		t.Error(err)
	}
	wantCode(t, try("logs", logs), 403, "AccessDenied")
	allow(`"s3:CreateBucket","s3:PutBucketOwnershipControls","s3:PutBucketAcl"`)
	if err := try("logs", logs); err != nil {
		t.Error(err)
	}
}

// TestSwitchingOwnership: ACLs can be disabled only if the bucket's ACL grants nothing
// to others; stored ACLs count again when ACLs are enabled again.
func TestSwitchingOwnership(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipBucketOwnerPreferred)
	guest := aws.String(`id="` + *canonicalOf(t, l.guestS3) + `"`)
	mine := aws.String(`id="` + *canonicalOf(t, l.s.S3) + `"`)
	enforce := func() error {
		_, err := l.s.S3.PutBucketOwnershipControls(t.Context(), &s3.PutBucketOwnershipControlsInput{Bucket: l.bucket,
			OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{
				ObjectOwnership: types.ObjectOwnershipBucketOwnerEnforced,
			}}}})
		return err
	}
	l.must(l.bucketACL(s3.PutBucketAclInput{GrantFullControl: mine, GrantWrite: guest}))
	wantCode(t, enforce(), 400, "InvalidBucketAclWithObjectOwnership")
	write := func(key string, acl types.ObjectCannedACL) {
		t.Helper()
		_, err := l.guestS3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: l.bucket, Key: &key, Body: strings.NewReader("x"), ACL: acl,
		})
		l.must(err)
	}
	write("theirs", "")
	write("handed-over", types.ObjectCannedACLBucketOwnerFullControl)
	l.put("open", types.ObjectCannedACLPublicRead)
	owners := func(c *s3.Client) (mine, theirs int) {
		t.Helper()
		out, err := c.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: l.bucket})
		l.must(err)
		list, err := c.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: l.bucket})
		l.must(err)
		for i, v := range out.Versions {
			if *v.Owner.ID != *list.Contents[i].Owner.ID {
				t.Errorf("two owners of %s", *v.Key)
			}
			if *v.Owner.ID == *canonicalOf(t, l.guestS3) {
				theirs++
			} else {
				mine++
			}
		}
		return mine, theirs
	}
	status := func(r raw) int { return send(t, l.s, r).status }
	as := func(key string) raw {
		return raw{method: "GET", target: "/listed/" + key, key: l.guest.AccessKeyID, secret: l.guest.SecretAccessKey}
	}
	check := func(active bool) {
		t.Helper()
		m, th := owners(l.s.S3)
		if active && (m != 2 || th != 1) || !active && (m != 3 || th != 0) {
			t.Errorf("ACLs %v: %d and %d", active, m, th)
		}
		for _, c := range []struct {
			what string
			got  int
			open bool
		}{
			{"the owner reads the guest's", status(raw{method: "GET", target: "/listed/theirs"}), !active},
			{"the owner reads what was handed over", status(raw{method: "GET", target: "/listed/handed-over"}), true},
			{"the guest reads its own", status(as("theirs")), active},
			{"the guest reads what it handed over", status(as("handed-over")), false},
			{
				"a stranger reads what is open", status(raw{method: "GET", target: "/listed/open", unsigned: true}),
				active,
			},
		} {
			if want := map[bool]int{true: 200, false: 403}[c.open]; c.got != want {
				t.Errorf("ACLs %v: %s: %d, want %d", active, c.what, c.got, want)
			}
		}
	}
	check(true)
	l.must(l.bucketACL(s3.PutBucketAclInput{ACL: types.BucketCannedACLPrivate}))
	l.must(enforce())
	check(false)
	for _, key := range []string{"theirs", "open"} {
		t.Run(key, func(t *testing.T) {
			out, err := l.s.S3.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: l.bucket, Key: &key})
			if err != nil || len(out.Grants) != 1 || *out.Owner.ID != *canonicalOf(t, l.s.S3) ||
				out.Grants[0].Permission != types.PermissionFullControl || *out.Grants[0].Grantee.ID != *out.Owner.ID {
				t.Errorf("the ACL shown while ACLs are disabled: %+v %v", out, err)
			}
		})
	}
	l.own(types.ObjectOwnershipObjectWriter)
	check(true)
	// The bucket's owner may delete, whichever account owns the object.
	if _, err := l.s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{
		Bucket: l.bucket, Key: aws.String("theirs"),
	}); err != nil {
		t.Error(err)
	}
}
