package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"watertight/test/harness"
)

// The tests of this file are about bugs of other S3 servers, too.

// TestEscapeOfTheChild (MinIO CVE-2022-24842, CVE-2024-24747, CVE-2025-62506;
// RustFS GHSA-5354, GHSA-xgr5): a session may do only what both its parent's policies and the session
// policies allow, whatever these are.
func TestEscapeOfTheChild(t *testing.T) {
	c := newCast(t)
	ctx := t.Context()
	// has only the policy that is passed to a session
	u, single := c.user("parent", may("sts:*", "*")), c.user("alone", may("sts:*", "*"))
	role := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), may("s3:*", "*"))
	_, err := c.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("shared")})
	c.ok(err)
	try := func(who someone) (allowed [4]bool) {
		for i, do := range []func() error{
			func() error { return list(c, who) },
			func() error {
				_, err := who.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("shared")})
				return err
			},
			func() error {
				_, err := who.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("shared"), Key: aws.String("k")})
				return err
			},
			func() error { _, err := who.iam.ListUsers(ctx, &iam.ListUsersInput{}); return err },
		} {
			err := do()
			if err != nil && code(err) != "AccessDenied" {
				t.Fatal(err)
			}
			allowed[i] = err == nil
		}
		return allowed
	}
	var documents []string
	for _, s := range []string{
		`{"Effect":"Allow","Action":"*","Resource":"*"}`, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`,
		`{"Effect":"Allow","NotAction":"s3:List*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"*","Resource":"*"}`, `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}`,
		`{"Effect":"Deny","NotAction":["s3:PutObject","sts:*"],"Resource":"*"}`,
		`{"Effect":"Allow","Action":"iam:*","Resource":"*"},{"Effect":"Deny","Action":"iam:ListUsers","Resource":"*"}`,
		`{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:ListAllMyBuckets",` +
			`"Resource":"*"}`,
	} {
		documents = append(documents, `{"Version":"2012-10-17","Statement":[`+s+`]}`)
	}
	opened := 0
	for _, parent := range documents {
		for name, put := range map[string]string{"p": parent, "ask": may("sts:*", "*")} {
			_, err := c.root.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
				UserName: aws.String("parent"), PolicyName: &name, PolicyDocument: &put,
			})
			c.ok(err)
		}
		_, err = c.root.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
			RoleName: aws.String("r"), PolicyName: aws.String("p"), PolicyDocument: &parent,
		})
		c.ok(err)
		own := try(u)
		for _, passed := range documents {
			within := func(what string, child, limit [4]bool) {
				for i := range child {
					if child[i] && !limit[i] {
						t.Errorf("%s may do %d: parent %s, passed %s", what, i, parent, passed)
					}
					if child[i] {
						opened++
					}
				}
			}
			_, err := c.root.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
				UserName: aws.String("alone"), PolicyName: aws.String("p"), PolicyDocument: &passed,
			})
			c.ok(err)
			alone := try(single)
			if out, err := u.sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{
				Name: aws.String("child"), Policy: &passed,
			}); err == nil {
				child := try(c.session(out.Credentials))
				within("a federated user", child, own)
				within("a federated user", child, alone)
			}
			plain, err := u.sts.AssumeRole(ctx, assume(*role.Arn, "plain"))
			if err != nil {
				continue
			}
			out, err := u.sts.AssumeRole(ctx,
				assume(*role.Arn, "child", func(in *sts.AssumeRoleInput) { in.Policy = &passed }))
			c.ok(err)
			child := try(c.session(out.Credentials))
			within("a restricted session", child, try(c.session(plain.Credentials)))
			within("a restricted session", child, alone)
		}
	}
	if opened < 20 {
		t.Errorf("only %d requests were ever allowed", opened)
	}
}

// TestRestrictedSessionMintsNothing (the same advisories): a session with session policies can't make a
// key, a session or a policy with more permissions.
func TestRestrictedSessionMintsNothing(t *testing.T) {
	c := newCast(t)
	ctx := t.Context()
	u := c.user("admin", may("*", "*"))
	r := c.role(c.root, "admin-r", trust(awsPrincipal(c.account), ""), may("*", "*"))
	widen := func(who someone, n string) map[string]error {
		all := map[string]error{}
		_, all["CreateUser"] = who.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("new-" + n)})
		_, all["PutRolePolicy"] = who.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
			RoleName: aws.String("admin-r"), PolicyName: aws.String(n), PolicyDocument: aws.String(may("*", "*")),
		})
		_, all["UpdateAssumeRolePolicy"] = who.iam.UpdateAssumeRolePolicy(ctx,
			&iam.UpdateAssumeRolePolicyInput{
				RoleName: aws.String("admin-r"), PolicyDocument: aws.String(trust(awsPrincipal(c.account), "")),
			})
		_, all["AssumeRole"] = who.sts.AssumeRole(ctx, assume(*r.Arn, "again"))
		if k, err := who.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("admin")}); true {
			if all["CreateAccessKey"] = err; err == nil {
				_, err = who.iam.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{
					UserName: aws.String("admin"), AccessKeyId: k.AccessKey.AccessKeyId,
				})
				c.ok(err)
			}
		}
		return all
	}
	for name, err := range widen(c.assumed(u, assume(*r.Arn, "whole")), "whole") {
		if err != nil {
			t.Errorf("a session without session policies: %s: %v", name, err)
		}
	}
	narrow := may("s3:ListAllMyBuckets", "*")
	token, err := u.sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{
		Name: aws.String("narrow"), Policy: &narrow,
	})
	c.ok(err)
	for what, who := range map[string]someone{
		"federated": c.session(token.Credentials),
		"role":      c.assumed(u, assume(*r.Arn, "narrow", func(in *sts.AssumeRoleInput) { in.Policy = &narrow })),
		"by ARN": c.assumed(u, assume(*r.Arn, "narrow", func(in *sts.AssumeRoleInput) {
			in.PolicyArns = []ststypes.PolicyDescriptorType{{
				Arn: aws.String("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"),
			}}
		})),
	} {
		t.Run(what, func(t *testing.T) {
			c.ok(list(c, who))
			all := widen(who, "narrow")
			_, all["GetSessionToken"] = who.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
			_, all["GetFederationToken"] = who.sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{
				Name: aws.String("wide"), Policy: aws.String(may("*", "*")),
			})
			for name, err := range all {
				if code(err) != "AccessDenied" {
					t.Errorf("%s: %s: %v", what, name, err)
				}
			}
		})
	}
}

// TestAlgorithmConfusion (MinIO GHSA-5cx5): a token that is signed with a public value, or not at all,
// is refused.
func TestAlgorithmConfusion(t *testing.T) {
	f := newFederation(t, "issuer.example")
	role := f.trusting("r", "")
	_, err := f.assume(role, f.Token("RS256", f.Claims(nil)))
	f.ok(err)
	public, err := json.Marshal(harness.RSAKey("rsa", &f.RSA.PublicKey))
	f.ok(err)
	for _, alg := range []string{
		"none", "None", "NONE", "", "HS256", "HS384", "HS512", "RS1", "PS256", "EdDSA", "ES256K", "dir",
	} {
		for name, key := range map[string]any{
			"nothing": nil, "an empty secret": []byte{}, "the client id": []byte("watertight"),
			"the public key": public, "its modulus": f.RSA.N.Bytes(), "the root secret": []byte(f.SecretAccessKey),
		} {
			t.Run(name, func(t *testing.T) {
				for _, kid := range []string{"rsa", "ec", ""} {
					header := map[string]any{"alg": alg, "kid": kid, "typ": "JWT"}
					if kid == "" {
						delete(header, "kid")
					}
					if _, err := f.assume(role,
						f.Sign(header, f.Claims(nil), key)); code(err) != "InvalidIdentityToken" {
						t.Errorf("%q with %s and kid %q: %v", alg, name, kid, err)
					}
				}
			})
		}
	}
	// Each valid algorithm is refused with a key of another kind.
	for i, c := range []struct {
		alg, kid string
		key      any
	}{
		{"RS256", "ec", f.EC}, {"ES256", "rsa", f.RSA}, {"ES256", "rsa", f.EC}, {"RS256", "ec", f.RSA},
		{"ES384", "ec", f.EC}, {"ES512", "ec", f.EC},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if _, err := f.assume(role,
				f.Sign(map[string]any{"alg": c.alg, "kid": c.kid}, f.Claims(nil),
					c.key)); code(err) != "InvalidIdentityToken" {
				t.Errorf("%s under %s: %v", c.alg, c.kid, err)
			}
		})
	}
}

// TestForgedSessionTokens (RustFS GHSA-ccrv, GHSA-48rf, GHSA-xvfh, GHSA-m77q,
// GHSA-5qfg): nobody can make a session token from a secret, and a web identity always has to present a
// token.
func TestForgedSessionTokens(t *testing.T) {
	c := newCast(t)
	ctx := t.Context()
	u := c.user("u", may("sts:*", "*"))
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), may("s3:*", "*"))
	s := c.assumed(u, assume(*r.Arn, "one"))
	c.ok(list(c, s))
	jwt := func(secret string, claims map[string]any) string {
		return harness.SignToken(t, map[string]any{"alg": "HS512", "typ": "JWT"}, claims, []byte(secret))
	}
	forever := map[string]any{
		"accessKey": s.key.AccessKeyID, "sub": "arn:aws:iam::" + c.account + ":root", "parent": c.AccessKeyID,
		"exp": time.Now().Add(time.Hour).Unix(),
	}
	noEnd := map[string]any{"accessKey": s.key.AccessKeyID, "parent": c.AccessKeyID}
	for name, token := range map[string]string{
		"with the root secret":      jwt(c.SecretAccessKey, forever),
		"with the user's secret":    jwt(u.key.SecretAccessKey, forever),
		"with the session's secret": jwt(s.key.SecretAccessKey, forever),
		"without an end":            jwt(c.SecretAccessKey, noEnd),
		"the secret itself":         s.key.SecretAccessKey,
		"one character less":        s.token[:len(s.token)-1],
		"one character more":        s.token + "A",
		"in other letters":          strings.ToLower(s.token),
		"in other base64":           strings.NewReplacer("+", "-", "/", "_").Replace(s.token) + "=",
		"made of nothing":           base64.StdEncoding.EncodeToString(make([]byte, 96)),
	} {
		t.Run(name, func(t *testing.T) {
			for what, key := range map[string]harness.Credentials{
				"the session's key": s.key,
				"an unknown key":    {AccessKeyID: "ASIAAAAAAAAAAAAAAAAA", SecretAccessKey: s.key.SecretAccessKey},
				"the user's key":    u.key,
				"the root key":      {AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey},
			} {
				if err := list(c, c.someone(key, token)); code(err) != "InvalidToken" &&
					code(err) != "InvalidAccessKeyId" {
					t.Errorf("%s, %s: %v", what, name, err)
				}
			}
		})
	}
	// A session's key without its token, and its token with another key.
	expect(t, list(c, c.someone(s.key, "")), "InvalidAccessKeyId")
	other := c.assumed(u, assume(*r.Arn, "two"))
	expect(t, list(c, c.someone(other.key, s.token)), "InvalidToken")
	expect(t, list(c, c.someone(u.key, s.token)), "InvalidToken")
	for i, body := range []url.Values{
		{"RoleArn": {*r.Arn}, "RoleSessionName": {"one"}},
		{"RoleArn": {*r.Arn}, "RoleSessionName": {"one"}, "WebIdentityToken": {""}},
		{"RoleArn": {*r.Arn}, "RoleSessionName": {"one"}, "WebIdentityToken": {s.token}},
		{"RoleArn": {*r.Arn}, "RoleSessionName": {"one"}, "WebIdentityToken": {jwt(c.SecretAccessKey, forever)}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			body.Set("Action", "AssumeRoleWithWebIdentity")
			body.Set("Version", "2011-06-15")
			res, err := http.PostForm(c.Endpoint, body)
			c.ok(err)
			res.Body.Close()
			if res.StatusCode != http.StatusBadRequest {
				t.Errorf("%v: %s", body, res.Status)
			}
		})
	}
	_, err := c.someone(
		harness.Credentials{AccessKeyID: "AKIAAAAAAAAAAAAAAAAA", SecretAccessKey: "no-secret-that-anybody-has"}, "",
	).sts.AssumeRole(ctx, assume(*r.Arn, "one"))
	expect(t, err, "InvalidClientTokenId")
}

// TestGuessingCodes (MinIO GHSA-jv87; RustFS GHSA-3p3x): ten wrong codes lock a
// device, for right codes, too. The answer does not reveal whose device it is
// or whether it exists, and a caller cannot lock the device of another user.
func TestGuessingCodes(t *testing.T) {
	c := newCast(t)
	ctx := t.Context()
	u, thief := c.user("u", may("sts:*", "*")), c.user("thief", may("sts:*", "*"))
	d := c.device("phone", "u")
	ask := func(who someone, serial, code string) error {
		_, err := who.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{SerialNumber: &serial, TokenCode: &code})
		return err
	}
	// Another user's device and one that does not exist are refused alike, and
	// attempts never count against the owner.
	said := map[string]bool{}
	for range 12 {
		for _, serial := range []string{d.serial, d.serial + "x"} {
			err := ask(thief, serial, d.next)
			expect(t, err, "AccessDenied")
			_, text, _ := strings.Cut(err.Error(), "api error ")
			said[text] = true
		}
	}
	if len(said) != 1 {
		t.Errorf("%v", said)
	}
	for range 9 {
		expect(t, ask(u, d.serial, wrong(d.next)), "AccessDenied")
	}
	expect(t, ask(u, d.serial, d.next), "")
	e := c.device("tablet", "u")
	for range 10 {
		expect(t, ask(u, e.serial, wrong(e.next)), "AccessDenied")
	}
	if err := ask(u, e.serial, e.next); code(err) != "AccessDenied" ||
		!strings.Contains(err.Error(), "too many wrong codes") {
		t.Errorf("the right code after ten wrong ones: %v", err)
	}
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), "")
	_, err := u.sts.AssumeRole(ctx,
		assume(*r.Arn, "one", func(in *sts.AssumeRoleInput) { in.SerialNumber, in.TokenCode = &e.serial, &e.next }))
	expect(t, err, "AccessDenied") // the lock applies to the other operation, too
}
