package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/test/harness"
)

// device is an enrolled MFA device; next is a code that was not used yet.
type device struct{ serial, next string }

// device enrols a device for a user, or with "root" for the root user.
func (c cast) device(name, user string) device {
	c.Helper()
	serial, seed := enrol(c, c.root, name, user)
	return device{serial, totp(c, seed, time.Now().Add(30*time.Second))}
}

func wrong(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

// TestSessionTokenWithMFA: a session with MFA needs a code, and each code makes one session. A session
// without MFA may not use IAM.
func TestSessionTokenWithMFA(t *testing.T) {
	c := newCast(t)
	ctx := t.Context()
	user := c.user("u",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"},
		{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"},"NumericLessThan":{"aws:MultiFactorAuthAge":"3600"}}}]}`)
	root := c.someone(harness.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey}, "")
	for name, who := range map[string]someone{"u": user, "root": root} {
		t.Run(name, func(t *testing.T) {
			d := c.device("phone-of-"+name, name)
			for what, in := range map[string]*sts.GetSessionTokenInput{
				"wrong code":    {SerialNumber: &d.serial, TokenCode: aws.String(wrong(d.next))},
				"no code":       {SerialNumber: &d.serial},
				"no serial":     {TokenCode: &d.next},
				"other device":  {SerialNumber: aws.String(d.serial + "x"), TokenCode: &d.next},
				"not six":       {SerialNumber: &d.serial, TokenCode: aws.String("12345")},
				"not of digits": {SerialNumber: &d.serial, TokenCode: aws.String("12345a")},
			} {
				want := "AccessDenied"
				if strings.HasPrefix(what, "not") {
					want = "ValidationError"
				}
				if _, err := who.sts.GetSessionToken(ctx, in); code(err) != want {
					t.Errorf("%s, %s: %v", name, what, err)
				}
			}
			plain, err := who.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
			c.ok(err)
			in := &sts.GetSessionTokenInput{SerialNumber: &d.serial, TokenCode: &d.next}
			with, err := who.sts.GetSessionToken(ctx, in)
			c.ok(err)
			_, err = who.sts.GetSessionToken(ctx, in)
			expect(t, err, "AccessDenied") // a code counts once
			_, err = c.session(plain.Credentials).iam.ListUsers(ctx, &iam.ListUsersInput{})
			expect(t, err, "InvalidClientTokenId")
			_, err = c.session(with.Credentials).iam.ListUsers(ctx, &iam.ListUsersInput{})
			expect(t, err, "")
			c.ok(list(c, c.session(with.Credentials)))
		})
	}
	expect(t, list(c, user), "AccessDenied")
	// Another user's device is not the caller's.
	other := c.user("other", "")
	d := c.device("phone-2", "u")
	_, err := other.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{SerialNumber: &d.serial, TokenCode: &d.next})
	expect(t, err, "AccessDenied")
	_, err = user.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{SerialNumber: &d.serial, TokenCode: &d.next})
	expect(t, err, "") // the attempt does not count against the owner
}

// TestAssumeRoleWithMFA: if a trust policy requires MFA, the call needs a code or a session that was
// made with one. A wrong code is refused.
func TestAssumeRoleWithMFA(t *testing.T) {
	c := newCast(t)
	ctx := t.Context()
	u := c.user("u", may("sts:AssumeRole", "*"))
	mfa := `{"Bool":{"aws:MultiFactorAuthPresent":"true"},"NumericLessThanEquals":{"aws:MultiFactorAuthAge":"900"}}`
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), mfa),
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*",`+
			`"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)
	free := c.role(c.root, "free", trust(awsPrincipal(c.account), ""), may("s3:*", "*"))
	d, e := c.device("phone", "u"), c.device("tablet", "u")
	with := func(code string) func(*sts.AssumeRoleInput) {
		return func(in *sts.AssumeRoleInput) { in.SerialNumber, in.TokenCode = &d.serial, &code }
	}
	_, err := u.sts.AssumeRole(ctx, assume(*r.Arn, "one"))
	expect(t, err, "AccessDenied")
	_, err = u.sts.AssumeRole(ctx, assume(*r.Arn, "one", with(wrong(d.next))))
	if code(err) != "AccessDenied" || !strings.Contains(err.Error(), "MultiFactorAuthentication failed") {
		t.Errorf("a wrong code: %v", err)
	}
	_, err = u.sts.AssumeRole(ctx, assume(*free.Arn, "one", with(wrong(d.next))))
	expect(t, err, "AccessDenied") // a wrong code is refused even if none is required
	out, err := u.sts.AssumeRole(ctx, assume(*r.Arn, "one", with(d.next)))
	c.ok(err)
	c.ok(list(c, c.session(out.Credentials)))
	_, err = u.sts.AssumeRole(ctx, assume(*r.Arn, "one", with(d.next)))
	expect(t, err, "AccessDenied")

	token, err := u.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{SerialNumber: &e.serial, TokenCode: &e.next})
	c.ok(err)
	s, err := c.session(token.Credentials).sts.AssumeRole(ctx, assume(*r.Arn, "two"))
	c.ok(err)
	// MFA was needed to assume the role, but the role's session does not have it.
	expect(t, list(c, c.session(s.Credentials)), "AccessDenied")
	plain, err := u.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	c.ok(err)
	_, err = c.session(plain.Credentials).sts.AssumeRole(ctx, assume(*r.Arn, "two"))
	expect(t, err, "AccessDenied")
	_, err = c.session(plain.Credentials).sts.AssumeRole(ctx, assume(*free.Arn, "two"))
	expect(t, err, "")
}
