package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dispatch"
	"watertight/test/harness"
)

// onObjects returns the rows that change objects. Every other row that changes something changes the
// bucket itself, and only the bucket's account may use it.
var onObjects = []string{
	"PutObject", "DeleteObject", "DeleteObjects", "CopyObject", "CreateMultipartUpload", "UploadPart",
	"UploadPartCopy", "CompleteMultipartUpload",
	"AbortMultipartUpload", "PutObjectTagging", "DeleteObjectTagging", "PutObjectAcl", "PostObject",
	"UpdateObjectEncryption", "PutObjectRetention", "PutObjectLegalHold",
}

func changesBucket(row dispatch.Row) bool {
	method := row.Route().Method()
	return method != "GET" && method != "HEAD" && row.Route().Sender() != dialect.Preflight &&
		!slices.Contains(onObjects, row.Name())
}

// openTo returns the ways in which an owner can give the most access to a bucket.
func openTo(t *testing.T, s *harness.Server, foreign harness.Credentials) map[string]func(bucket *string) {
	account, id := accountOf(t, s, foreign), canonicalOf(t, s.Client(foreign))
	allow := func(principal string) func(*string) {
		return func(b *string) {
			err := putPolicy(t, s.S3, b,
				`{"Effect":"Allow","Principal":%s,"Action":"s3:*","Resource":["arn:aws:s3:::%s",`+
					`"arn:aws:s3:::%s/*"]}`, principal, *b, *b)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	list := func(grant s3.PutBucketAclInput) func(*string) {
		return func(b *string) {
			_, err := s.S3.PutBucketOwnershipControls(t.Context(), &s3.PutBucketOwnershipControlsInput{Bucket: b,
				OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{
					ObjectOwnership: types.ObjectOwnershipObjectWriter,
				}}}})
			if err != nil {
				t.Fatal(err)
			}
			in := grant
			in.Bucket = b
			if _, err := s.S3.PutBucketAcl(t.Context(), &in); err != nil {
				t.Fatal(err)
			}
		}
	}
	return map[string]func(*string){
		"policy, everybody": allow(`"*"`), "policy, the account": allow(`{"AWS":"` + account + `"}`),
		"ACL, the account":        list(s3.PutBucketAclInput{GrantFullControl: aws.String(`id="` + *id + `"`)}),
		"ACL, AuthenticatedUsers": list(s3.PutBucketAclInput{GrantFullControl: aws.String(`uri="` + everyone + `"`)}),
		"ACL, AllUsers":           list(s3.PutBucketAclInput{GrantFullControl: aws.String(`uri="` + allUsers + `"`)}),
	}
}

// TestSettingsAreTheirOwners: whatever access a bucket's owner gives, no other account can change its
// settings. Reviewers read the golden file.
func TestSettingsAreTheirOwners(t *testing.T) {
	s := harness.Start(t)
	blockAccount(t, s, blocks{})
	foreign := s.CreateAccount(t, "foreign")
	opened := openTo(t, s, foreign)
	ways := []string{
		"policy, everybody", "policy, the account", "ACL, the account", "ACL, AuthenticatedUsers", "ACL, AllUsers",
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%-32s %-26s %-24s %s\n", "operation", "opened by", "anonymous", "the other account's root")
	n, let := 0, []string{}
	for _, row := range s.Operations("s3") {
		if !changesBucket(row) || row.Name() == "CreateBucket" {
			continue
		}
		for _, way := range ways {
			cells := map[bool]string{}
			for _, unsigned := range []bool{true, false} {
				n++
				name := fmt.Sprint("settings-", n)
				b := newBucket(t, s, name)
				blockBucket(t, s, b, blocks{})
				opened[way](b)
				r := request(row, name)
				r.unsigned, r.key, r.secret = unsigned, foreign.AccessKeyID, foreign.SecretAccessKey
				a := send(t, s, r)
				cells[unsigned] = strings.TrimSpace(fmt.Sprint(a.status, " ", a.code))
				if a.status != 403 && a.status != 405 {
					let = append(let, fmt.Sprint(row.Name(), ", ", way, ", anonymous ", unsigned))
				}
			}
			fmt.Fprintf(&out, "%-32s %-26s %-24s %s\n", row.Name(), way, cells[true], cells[false])
		}
	}
	if got := strings.Join(let, "; "); got != "PutBucketAcl, ACL, the account, anonymous false" {
		t.Error("allowed:", got)
	}
	// An anonymous caller cannot create a bucket.
	if a := send(t, s, raw{method: "PUT", target: "/made-by-nobody", unsigned: true}); a.status != 403 {
		t.Error("CreateBucket", a.status)
	}
	golden(t, "settings-matrix.golden", out.Bytes())
}

// TestNothingIsPlanted: an anonymous caller can't do anything in a public bucket that gives it access
// after the bucket is closed.
func TestNothingIsPlanted(t *testing.T) {
	s := harness.Start(t)
	blockAccount(t, s, blocks{})
	b, foreign := newBucket(t, s, "open"), s.CreateAccount(t, "foreign")
	guest := s.Client(foreign)
	id := canonicalOf(t, guest)
	blockBucket(t, s, b, blocks{})
	openTo(t, s, foreign)["ACL, AllUsers"](b)
	store(t, s, b, "salaries")
	if err := putPolicy(t, s.S3, b, "%s", everybody(b)); err != nil {
		t.Fatal(err)
	}
	for _, r := range []raw{
		{
			method: "PUT", target: "/open?acl",
			header: map[string][]string{"X-Amz-Grant-Full-Control": {`id="` + *id + `"`}},
		},
		{
			method: "PUT", target: "/open/salaries?acl",
			header: map[string][]string{"X-Amz-Grant-Full-Control": {`id="` + *id + `"`}},
		},
		{
			method: "PUT", target: "/open/planted",
			header: map[string][]string{"X-Amz-Grant-Full-Control": {`id="` + *id + `"`}},
		},
	} {
		t.Run(r.target, func(t *testing.T) {
			r.unsigned = true
			if a := send(t, s, r); a.status != 403 {
				t.Errorf("%s: %d %s", r.target, a.status, a.code)
			}
		})
	}
	full := &s3.PutObjectAclInput{
		Bucket: b, Key: aws.String("salaries"), GrantFullControl: aws.String(`id="` + *id + `"`),
	}
	if _, err := guest.PutObjectAcl(t.Context(), full); statusOf(err) != 403 {
		t.Error("another account gives itself access to an object:", err)
	}
	if a := send(t, s, raw{
		method: "PUT", target: "/open/given", unsigned: true,
		header: map[string][]string{"X-Amz-Acl": {"bucket-owner-full-control"}},
	}); a.status != 200 {
		t.Error("the owner reads a stranger's object:", a.status, a.code)
	}
	if a := ask(t, s, "GET", "/open/salaries"); a.status != 200 {
		t.Error("the bucket is not open", a.status)
	}
	if _, err := s.S3.DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: b}); err != nil {
		t.Fatal(err)
	}
	blockBucket(t, s, b, blocks{true, true, true, true})
	if _, err := guest.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: b}); statusOf(err) != 403 {
		t.Error("the other account lists:", err)
	}
	if _, err := guest.GetObject(t.Context(), &s3.GetObjectInput{
		Bucket: b, Key: aws.String("salaries"),
	}); statusOf(err) != 403 {
		t.Error("the other account reads:", err)
	}
}
