package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/operator"
	"watertight/test/harness"
)

// console runs commands against a server as its operator does.
type console struct {
	t *testing.T
	s *harness.Server
}

func (o console) run(want int, args ...string) string {
	o.t.Helper()
	var out, errs bytes.Buffer
	if code := run(process{o.t.Context(), &out, &errs, func(string) string { return "" }},
		append(args, "--data", o.s.Data)); code != want {
		o.t.Fatalf("%q exits with %d: %s%s", args, code, &out, &errs)
	}
	return out.String() + errs.String()
}

func (o console) says(want int, words string, args ...string) {
	o.t.Helper()
	out := o.run(want, args...)
	for w := range strings.SplitSeq(words, "|") {
		if !strings.Contains(out, w) {
			o.t.Errorf("%q does not print %q:\n%s", args, w, out)
		}
	}
}

// stranger returns the status that an anonymous caller gets for an object.
func (o console) stranger(bucket string) int {
	o.t.Helper()
	_, err := harness.Client(o.s.Endpoint, harness.Credentials{}, func(c *s3.Options) {
		c.Credentials = aws.AnonymousCredentials{}
	}).
		GetObject(o.t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("key")})
	if err != nil {
		return 403
	}
	return 200
}

func (o console) account() string {
	o.t.Helper()
	var all []operator.Account
	if err := json.Unmarshal([]byte(o.run(exitOK, "account", "list", "--json")), &all); err != nil {
		o.t.Fatal(err)
	}
	return all[0].AccountID
}

// TestPublicAccess opens a bucket step by step. The bucket is closed again by the
// operator, and by an exception that ends.
func TestPublicAccess(t *testing.T) {
	o := console{t, harness.Start(t)}
	ctx, account := t.Context(), o.account()
	if _, err := o.s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("site")}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.s.S3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String("site"), Key: aws.String("key"), Body: strings.NewReader("x"),
	}); err != nil {
		t.Fatal(err)
	}
	const public = `{"Statement":[{"Sid":"All","Effect":"Allow","Principal":"*","Action":"s3:GetObject",` +
		`"Resource":"arn:aws:s3:::site/*","Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/1"}}}]}`
	put := func() error {
		_, err := o.s.S3.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{
			Bucket: aws.String("site"), Policy: aws.String(public),
		})
		return err
	}
	o.says(exitOK, "account "+account+": all four are on", "public-access", "status", "--account", account)
	o.says(exitOK, "all four are on|it has no policy", "public-access", "status", "--bucket", "site")
	o.says(exitOK, "is not public", "why-public", "site")
	o.run(exitOK, "public-access", "unblock", "--bucket", "site")
	o.says(exitOK, "bucket site: nothing is blocked|effective: all four", "public-access", "status", "--bucket", "site")
	if put() == nil {
		t.Error("a public policy was stored while the account blocks it")
	}
	for _, wrong := range [][]string{
		{"unblock", "--account", account}, {"unblock", "--account", account, "--reason", " "},
		{"unblock", "--bucket", "site", "--for", "1h"},
		{"unblock", "--account", account, "--reason", "x", "--for", "-1h"}, {"block"},
		{"status", "--account", account, "--bucket", "site"},
	} {
		o.run(exitUsage, append([]string{"public-access"}, wrong...)...)
	}
	o.says(exitFailure, "no account", "public-access", "unblock", "--account", "000000000000", "--reason", "x")
	o.says(exitFailure, "NoSuchBucket", "public-access", "block", "--bucket", "missing")

	o.run(exitOK, "public-access", "unblock", "--account", account, "--reason", "a launch", "--for", "1h")
	o.says(exitOK, `nothing is blocked, until |("a launch")`, "public-access", "status", "--account", account)
	if err := put(); err != nil {
		t.Fatal(err)
	}
	if got := o.stranger("site"); got != 200 {
		t.Error("the bucket is public, but a stranger gets", got)
	}
	o.says(exitOpen, "OPEN", "public-access", "status", "--bucket", "site")
	o.says(exitOpen,
		`Statement[0] All allows principal "*" where aws:SourceIp IpAddress 0.0.0.0/1|widest range of addresses: `+
			`0.0.0.0/1|it lets in: anonymous, s3:GetObject on arn:aws:s3:::site/x from `+
			`0.0.0.1|OPEN`, "why-public", "site")
	var b operator.BucketPublic
	if err := json.Unmarshal([]byte(strings.Split(o.run(exitOpen, "why-public", "site", "--json"), "watertight:")[0]),
		&b); err != nil || !b.Open || b.Why.Request == nil || b.AccountID != account {
		t.Errorf("%+v, %v", b, err)
	}

	// An exception ends by the time of the requests; no timer is needed.
	o.run(exitOK, "public-access", "unblock", "--account", account, "--reason", "a moment", "--for", "1ns")
	if got := o.stranger("site"); got != 403 {
		t.Error("the exception is over, but a stranger gets", got)
	}
	o.says(exitOK, "all four are on", "public-access", "status", "--account", account)
	o.says(exitOK, "RestrictPublicBuckets keeps strangers", "why-public", "site")
	o.run(exitOK, "public-access", "unblock", "--account", account, "--reason", "for good")
	if got := o.stranger("site"); got != 200 {
		t.Error("public access is unblocked without an end, but a stranger gets", got)
	}
	o.run(exitOK, "public-access", "block", "--account", account)
	if got := o.stranger("site"); got != 403 {
		t.Error("public access is blocked, but a stranger gets", got)
	}
}

// TestPolicyPreview: a preview names who would gain or lose which access, and changes nothing.
func TestPolicyPreview(t *testing.T) {
	o := console{t, harness.Start(t)}
	ctx, account := t.Context(), o.account()
	if _, err := o.s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("site")}); err != nil {
		t.Fatal(err)
	}
	preview := func(want int, words, statements string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "policy.json")
		if err := os.WriteFile(file, []byte(`{"Version":"2012-10-17","Statement":[`+statements+`]}`),
			0o600); err != nil {
			t.Fatal(err)
		}
		out := strings.Join(strings.Fields(o.run(want, "policy", "preview", "site", file)), " ")
		for w := range strings.SplitSeq(words, "|") {
			if !strings.Contains(out, w) {
				t.Errorf("the preview does not say %q:\n%s", w, out)
			}
		}
	}
	var foreign operator.NewAccount
	if err := json.Unmarshal([]byte(o.run(exitOK, "account", "create", "--name", "foreign")), &foreign); err != nil {
		t.Fatal(err)
	}
	named := `{"Effect":"Allow","Principal":{"AWS":"` + foreign.AccountID +
		`"},"Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::site","arn:aws:s3:::site/shared/*"]}`
	preview(exitOK,
		"arn:aws:iam::"+foreign.AccountID+":root gains s3:GetObject arn:aws:s3:::site/shared/*|arn:aws:iam::"+
			foreign.AccountID+":root gains s3:ListBucket arn:aws:s3:::site", named)
	public := `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::site/*",` +
		`"Condition":{"StringEquals":{"aws:Referer":"https://a/"}}}`
	preview(exitOK, "nobody gains or loses anything|the policy is public|PutBucketPolicy would be refused", public)
	o.run(exitOK, "public-access", "unblock", "--bucket", "site")
	o.run(exitOK, "public-access", "unblock", "--account", account, "--reason", "a preview")
	preview(exitOK,
		"anonymous gains s3:GetObject arn:aws:s3:::site/* (where the statement's conditions hold)|any other account "+
			"gains|the policy is public", public)
	preview(exitOK, "arn:aws:iam::"+account+":root loses s3:DeleteObject arn:aws:s3:::site/*",
		`{"Effect":"Deny","Principal":"*","Action":"s3:Delete*","Resource":"arn:aws:s3:::site/*"}`)
	preview(exitOK, "nobody gains or loses anything",
		`{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::site/*"}`)
	preview(exitFailure, "MalformedPolicy: Policy has invalid resource",
		strings.ReplaceAll(named, ":::site", ":::other"))
	if _, err := o.s.S3.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String("site")}); err == nil {
		t.Error("a preview stored a policy")
	}
}

// TestWhyPublicKey: the command names who can use a key, by its policy and grants. A key can't have a
// public policy.
func TestWhyPublicKey(t *testing.T) {
	o := console{t, harness.Start(t)}
	ctx, key := t.Context(), newKey(t, o.s)
	id, account := key[len(key)-36:], o.account()
	var foreign operator.NewAccount
	if err := json.Unmarshal([]byte(o.run(exitOK, "account", "create", "--name", "foreign")), &foreign); err != nil {
		t.Fatal(err)
	}
	root := "arn:aws:iam::" + account + ":root"
	for _, name := range []string{id, key} {
		o.says(exitOK, "key "+key+" is not public|state: Enabled|its policy names: "+root, "why-public", name)
	}
	if out := o.run(exitOK, "why-public", id); strings.Contains(out, "other accounts") ||
		strings.Contains(out, "grantees") {
		t.Errorf("a new key: %s", out)
	}
	put := func(principal string) error {
		_, err := keysOf(o.s).PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &key, Policy: aws.String(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + root +
				`"},"Action":"kms:*","Resource":"*"},{"Effect":"Allow","Principal":` + principal +
				`,"Action":"kms:Decrypt","Resource":"*"}]}`)})
		return err
	}
	if put(`"*"`) == nil {
		t.Error("a key has a public policy")
	}
	if err := put(`{"AWS":"` + foreign.AccountID + `","Service":"cloudfront.amazonaws.com"}`); err != nil {
		t.Fatal(err)
	}
	if _, err := keysOf(o.s).CreateGrant(ctx, &kms.CreateGrantInput{
		KeyId: &key, GranteePrincipal: &root, Operations: []types.GrantOperation{types.GrantOperationDecrypt},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := keysOf(o.s).DisableKey(ctx, &kms.DisableKeyInput{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
	o.says(exitOK, "is not public|state: Disabled|services: cloudfront.amazonaws.com|other accounts: "+
		foreign.AccountID+"|grantees of 1 grants: "+root, "why-public", id)
	var k operator.KeyPublic
	if err := json.Unmarshal([]byte(o.run(exitOK, "why-public", key, "--json")), &k); err != nil || k.Public ||
		k.Why != nil || k.Key != key || k.AccountID != account || k.State != "Disabled" || k.Grants != 1 || k.Managed {
		t.Errorf("%+v, %v", k, err)
	}
	absent := "12345678-1234-1234-1234-123456789012"
	o.says(exitFailure, "NotFoundException", "why-public", absent)
	o.says(exitFailure, "NotFoundException", "why-public", strings.Replace(key, id, absent, 1))
	o.says(exitFailure, "Invalid keyId", "why-public", "arn:aws:s3:::site")
	o.says(exitFailure, "NoSuchBucket", "why-public", "missing")
}

// TestDeputiesAreShown: a policy that lets a service in for every account is not public, but a
// warning says what it lacks.
func TestDeputiesAreShown(t *testing.T) {
	o := console{t, harness.Start(t)}
	if _, err := o.s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("site")}); err != nil {
		t.Fatal(err)
	}
	const policy = `{"Statement":[{"Sid":"CDN","Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},` +
		`"Action":"s3:GetObject","Resource":"arn:aws:s3:::site/*"}]}`
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	const warning = "Statement[0] CDN lets cloudfront.amazonaws.com in for every account"
	o.says(exitOK, warning, "policy", "preview", "site", file)
	if _, err := o.s.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{
		Bucket: aws.String("site"), Policy: aws.String(policy),
	}); err != nil {
		t.Fatal(err)
	}
	o.says(exitOK, "is not public|"+warning, "why-public", "site")
	o.says(exitOK, "services: cloudfront.amazonaws.com|"+warning, "public-access", "status", "--bucket", "site")
}
