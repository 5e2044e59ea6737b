package identity

import (
	"fmt"
	"strings"
	"testing"

	"watertight/internal/fault"
)

func on(resource string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"` + resource + `"}}`
}

// TestResourcesOfWrittenPolicies: ARNs that no resource can have are refused with IAM's
// message, wherever a policy is written.
func TestResourcesOfWrittenPolicies(t *testing.T) {
	h := newHouse(t)
	h.create(User, "u")
	paths := `IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, ` +
		`instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, ` +
		`access-report/.`
	for resource, message := range map[string]string{
		"*": "", "arn:aws:s3:::b/*": "", "arn:*:s3:::b": "", "arn:aws:s3:us-east-1:111122223333:accesspoint/a": "",
		"arn:aws:s3:*:111122223333:job/*": "",
		"arn:aws:iam::111122223333:*":     "", "arn:aws:iam::*:user/${aws:username}": "", "arn:aws:iam:::user/u": "",
		"arn:aws:ec2:us-east-1::x": "",
		"arn:aws-cn:s3:::b":        "", "arn:aws:fdsasf": "", "arn:aws:s33:::b": "",
		"arn:foo:s3:::b":            `Partition "foo" is not valid for resource "arn:foo:s3:::b".`,
		"arn:foo:s3":                `Partition "foo" is not valid for resource "arn:foo:s3:*:*:*".`,
		"arn:aws:s3:us-east-1::b":   "Resource arn:aws:s3:us-east-1::b can not contain region information.",
		"arn:aws:iam:us-east-1::x":  "IAM resource arn:aws:iam:us-east-1::x cannot contain region information.",
		"arn:aws:iam::1:example":    paths,
		"arn:aws:iam::1:userx/name": paths,
	} {
		t.Run(resource, func(t *testing.T) {
			ways := map[string]func(document string) error{
				"inline":  func(d string) error { return h.put(User, "u", "p", d) },
				"managed": func(d string) error { return checkManaged(d) },
			}
			for way, write := range ways {
				for _, document := range []string{
					on(resource), strings.Replace(on(resource), "Resource", "NotResource", 1),
				} {
					err := write(document)
					if message == "" && err != nil ||
						message != "" &&
							(!fault.Is(err, "MalformedPolicyDocument") || fault.From(err).Message != message) {
						t.Errorf("%s, %s: %v, want %q", way, resource, err, message)
					}
				}
			}
		})
	}
}

// TestManagedPoliciesSayTheirVersion: without it ${...} would be plain text;
// inline policies are accepted without it.
func TestManagedPoliciesSayTheirVersion(t *testing.T) {
	h := newHouse(t)
	h.create(User, "u")
	for i, head := range []string{"", `"Version":"2008-10-17",`} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			document := `{` + head + `"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
			if err := checkManaged(document); !fault.Is(err, "MalformedPolicyDocument") ||
				fault.From(err).Message != "Policy document must be version 2012-10-17 or greater." {
				t.Errorf("%q: %v", head, err)
			}
			h.ok(h.put(User, "u", "p", document))
		})
	}
}

// TestTrustPolicyContents: a trust policy names principals that exist, and holds only
// actions that assume the role.
func TestTrustPolicyContents(t *testing.T) {
	h := newHouse(t)
	u := h.create(User, "u")
	h.create(Role, "r")
	write := func(principal, action string) error {
		document := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":` + principal + `,"Action":` +
			action + `}}`
		return h.UpdateTrust(t.Context(), h.may("iam:UpdateAssumeRolePolicy", h.on(Role, "r")), "r", document)
	}
	const assume = `"sts:AssumeRole"`
	for principal, ok := range map[string]bool{
		`"*"`: true, `{"AWS":"111122223333"}`: true, `{"AWS":"arn:aws:iam::111122223333:user/u"}`: true,
		`{"AWS":"` + u.ID + `"}`:                               true,
		`{"AWS":"arn:aws:sts::111122223333:assumed-role/r/s"}`: true, `{"Service":"ec2.amazonaws.com"}`: true,
		`{"Service":"logs.eu-west-1.amazonaws.com"}`: true,
		`{"Federated":"accounts.google.com"}`:        true,

		`{"AWS":"444455556666"}`: false, `{"AWS":"arn:aws:iam::444455556666:root"}`: false,
		`{"AWS":["111122223333","arn:aws:iam::444455556666:user/u"]}`: false,
		`{"AWS":"arn:aws:sts::444455556666:assumed-role/r/s"}`:        false,
		`{"AWS":"arn:foo:iam::111122223333:root"}`:                    false, `{"AWS":"AIDAEXAMPLEEXAMPLE12"}`: false,
		`{"Service":"nothing.example"}`: false, `{"Service":"amazonaws.com"}`: false,
	} {
		t.Run(fmt.Sprintf("%.60s", principal), func(t *testing.T) {
			if err := write(principal, assume); ok != (err == nil) ||
				err != nil && !fault.Is(err, "MalformedPolicyDocument") {
				t.Errorf("%s: %v", principal, err)
			}
		})
	}
	if err := write(`{"AWS":"444455556666"}`, assume); fault.From(err).Message != `Invalid principal in policy: `+
		`"AWS":"444455556666"` {
		t.Error(err)
	}
	for action, ok := range map[string]bool{
		assume: true, `["sts:TagSession","sts:SetSourceIdentity"]`: true, `"sts:AssumeRole*"`: true, `"sts:*"`: true,
		`"STS:assumerole"`:        true,
		`"sts:GetCallerIdentity"`: false, `["sts:AssumeRole","sts:GetSessionToken"]`: false, `"sts:Get*"`: false,
		`"s3:GetObject"`: false, `"*"`: false,
	} {
		t.Run(fmt.Sprintf("%.60s", action), func(t *testing.T) {
			if err := write(`{"AWS":"111122223333"}`, action); ok != (err == nil) ||
				err != nil && !fault.Is(err, "MalformedPolicyDocument") {
				t.Errorf("%s: %v", action, err)
			}
		})
	}
}
