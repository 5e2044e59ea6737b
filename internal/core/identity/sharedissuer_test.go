package identity

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
)

const github = "token.actions.githubusercontent.com"

// bearers returns a trust policy for the tokens of an issuer.
func bearers(t testing.TB, principal, condition string) (*policy.Document, error) {
	t.Helper()
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal +
		`,"Action":"sts:AssumeRoleWithWebIdentity","Condition":{` + condition + `}}]}`
	d, err := policy.Parse(policy.Trust, []byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d, checkShared(d)
}

func providerOf(issuer string) string {
	return `{"Federated":"arn:aws:iam::111122223333:oidc-provider/` + issuer + `"}`
}

// TestSharedIssuers: the condition on a token of a shared issuer names its owner,
// in the form that the issuer's tokens have.
func TestSharedIssuers(t *testing.T) {
	for i, c := range []struct {
		issuer, operator, claim, values string
		ok                              bool
	}{
		{github, "StringLike", "sub", `"repo:us/shop:*"`, true},
		{github, "StringLike", "sub", `"repo:us/*"`, true},
		{github, "StringEquals", "sub", `["repo:us/shop:ref:refs/heads/main","repo:them/x:environment:prod"]`, true},
		{github, "StringEqualsIgnoreCase", "sub", `"repo:Us/shop:pull_request"`, true},
		{github, "ForAnyValue:StringLike", "sub", `"repo:us/*"`, true},
		{github, "StringLike", "sub", `"repo:us@1234/shop@5:*"`, true},
		{github, "StringLike", "sub", `"repository_owner_id:1234:*"`, true},
		{github, "StringEquals", "sub", `"repository_owner:us"`, true},
		{github, "StringLike", "sub", `"repo:*"`, false}, {github, "StringLike", "sub", `"*:*"`, false},
		{github, "StringLike", "sub", `"r*"`, false},
		{github, "StringLike", "sub", `"repo:*/*:*"`, false}, {github, "StringLike", "sub", `"repo:?*"`, false},
		{github, "StringLike", "sub", `"repo:us*"`, false},
		{github, "StringLike", "sub", `"repo:o*/x"`, false}, {github, "StringLike", "sub", `"repo:*s/shop:*"`, false},
		{github, "StringLike", "sub", `"repo:u?/shop:*"`, false},
		{github, "StringLike", "sub", `"*us/shop:*"`, false}, {github, "StringLike", "sub", `"repo:/*"`, false},
		{github, "StringLike", "sub", `"?epo:us/shop"`, false},
		{github, "StringLike", "sub", `["repo:us/*","repo:*"]`, false},
		{github, "StringEquals", "sub", `"repo:*"`, false}, {github, "StringEquals", "sub", `""`, false},
		{github, "StringLike", "sub", `"repo:${aws:PrincipalTag/owner}/x"`, false},
		{github, "StringLike", "sub", `"repo:us/${aws:username}"`, false},
		{github, "StringLike", "sub", `"environment:prod"`, false},
		{github, "StringLike", "sub", `"job_workflow_ref:us/flows/*"`, false},
		{github, "StringLike", "sub", `"repository_owner:us*"`, false},
		{github, "StringLikeIfExists", "sub", `"repo:us/*"`, false},
		{github, "StringNotLike", "sub", `"repo:us/*"`, false},
		{github, "StringNotEquals", "sub", `"repo:us/a"`, false},
		{github, "ForAllValues:StringLike", "sub", `"repo:us/*"`, false},
		{github, "ForAnyValue:StringLikeIfExists", "sub", `"repo:us/*"`, false},
		{github, "ForAnyValue:StringNotLike", "sub", `"repo:us/*"`, false},
		{github, "StringEquals", "aud", `"sts.amazonaws.com"`, false},
		{github, "StringEquals", "repository_owner", `"us"`, false},
		{"vstoken.actions.githubusercontent.com", "StringLike", "sub", `"repo:us/shop:*"`, true},
		{"vstoken.actions.githubusercontent.com", "StringLike", "sub", `"repo:*"`, false},
		{"oidc-configuration.audit-log.githubusercontent.com", "StringEquals", "sub", `"https://github.com/us"`, true},
		{"oidc-configuration.audit-log.githubusercontent.com", "StringLike", "sub", `"https://github.com/us*"`, false},
		{"gitlab.com", "StringLike", "sub", `"project_path:us/shop:ref_type:branch:ref:*"`, true},
		{"gitlab.com", "StringLike", "sub", `"project_path:*/shop:*"`, false},
		{"gitlab.com", "StringLike", "sub", `"project_path:us*"`, false},
		{"agent.buildkite.com", "StringLike", "sub", `"organization:us:pipeline:*"`, true},
		{"agent.buildkite.com", "StringLike", "sub", `"organization:us*"`, false},
		{"app.terraform.io", "StringLike", "sub", `"organization:us:project:*:workspace:*:run_phase:*"`, true},
		{"app.terraform.io", "StringLike", "sub", `"organization:*:project:p:*"`, false},
		{"oidc.codefresh.io", "StringLike", "sub", `"account:64f0:pipeline:*"`, true},
		{"oidc.codefresh.io", "StringLike", "sub", `"account:*"`, false},
		{"scalr.io", "StringLike", "sub", `"account:us:environment:*"`, true},
		{"scalr.io", "StringLike", "sub", `"account:?s:environment:e"`, false},
		{"proidc.upbound.io", "StringLike", "sub", `"mcp:us/control:*"`, true},
		{"proidc.upbound.io", "StringLike", "sub", `"mcp:*"`, false},
		{"tokens.cloud.shisho.dev", "StringEquals", "sub", `"job:x"`, true},
		{"tokens.cloud.shisho.dev", "StringLike", "sub", `"job:*"`, false},
		{"api.pulumi.com/oidc", "StringEquals", "aud", `"us"`, true},
		{"api.pulumi.com/oidc", "StringLike", "aud", `"u*"`, false},
		{"oidc.vercel.com", "StringEquals", "aud", `"https://vercel.com/us"`, true},
		{"oidc.vercel.com", "StringLike", "aud", `"https://vercel.com/*"`, false},
		{"cognito-identity.amazonaws.com", "StringEquals", "aud", `"us-east-1:11111111-2222"`, true},
		{"cognito-identity.amazonaws.com", "StringEquals", "sub", `"x"`, false},
		{"issuer.example", "StringLike", "sub", `"*"`, true},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			_, err := bearers(t, providerOf(c.issuer),
				fmt.Sprintf(`%q:{"%s:%s":%s}`, c.operator, c.issuer, c.claim, c.values))
			if c.ok != (err == nil) || err != nil && !fault.Is(err, "MalformedPolicyDocument") {
				t.Errorf("%s %s %s %s: %v", c.issuer, c.operator, c.claim, c.values, err)
			}
		})
	}
	// The same rule applies to a statement for everyone beside it.
	const good = `"StringLike":{"` + github + `:sub":"repo:us/*"}`
	for principals, ok := range map[[2]string]bool{
		{providerOf(github), `"*"`}: false, {providerOf(github), `{"AWS":"*"}`}: false,
		{providerOf("TOKEN.actions.githubusercontent.com/"), `{"AWS":"111122223333"}`}: false,
		{providerOf(github), `{"AWS":"111122223333"}`}:                                 true,
		{providerOf("issuer.example"), `"*"`}:                                          true,
	} {
		t.Run(fmt.Sprint(principals), func(t *testing.T) {
			condition := good
			if strings.Contains(principals[0], "TOKEN") {
				condition = `"StringLike":{"` + github + `:sub":"*"}`
			}
			for _, action := range []string{"sts:AssumeRoleWithWebIdentity", "sts:*", "sts:assumerolewith*"} {
				text := `{"Statement":[{"Effect":"Allow","Principal":` + principals[0] +
					`,"Action":"sts:AssumeRoleWithWebIdentity","Condition":{` + condition + `}},
				{"Effect":"Allow","Principal":` + principals[1] + `,"Action":"` + action + `"}]}`
				d, err := policy.Parse(policy.Trust, []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				if err := checkShared(d); ok != (err == nil) {
					t.Errorf("%s: %v", text, err)
				}
			}
		})
	}
}

// TestSharedIssuerLetsInOneOwner: for any condition that is accepted, tokens of owners
// that it does not name do not match.
func TestSharedIssuerLetsInOneOwner(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.SampledFrom([]string{
			"repo:", "repo", "us", "u", "them", "/", "/", ":", "*", "?", "shop", "ref", "r", "repository_owner:",
			"${aws:username}", "@1",
		})
		value := strings.Join(rapid.SliceOfN(part, 1, 8).Draw(rt, "value"), "")
		if rapid.Bool().Draw(rt, "well begun") {
			value = "repo:" + value
		}
		operator := rapid.SampledFrom([]string{
			"StringLike", "StringEquals", "StringEqualsIgnoreCase", "ForAnyValue:StringLike",
		}).Draw(rt, "operator")
		d, err := bearers(t, providerOf(github), fmt.Sprintf(`%q:{"%s:sub":%q}`, operator, github, value))
		if err != nil {
			return
		}
		accepted++
		owner := rapid.StringMatching(`[a-z@0-9]{1,8}`).Draw(rt, "owner")
		rest := rapid.SampledFrom([]string{
			"shop", "shop:ref:refs/heads/main", "us/shop", "x:repo:us/shop", "repo:us/shop",
		}).Draw(rt, "rest")
		for _, sub := range []string{"repo:" + owner + "/" + rest, "repository_owner:" + owner + ":" + rest} {
			if spelled := strings.HasPrefix(strings.ToLower(value),
				strings.TrimSuffix(sub, rest)); spelled || strings.HasPrefix(sub, value) {
				continue
			}
			v := policy.Decide(
				&policy.Laws{
					Resource: []*policy.Document{d}, ResourceOwner: coretest.Account, ResourceMustAllow: true,
				}, &policy.Request{
					Principal: policy.Principal{
						Kind: policy.WebIdentity, Provider: "arn:aws:iam::111122223333:oidc-provider/" + github,
					},
					Action: "sts:AssumeRoleWithWebIdentity", Resource: EntityARN(coretest.Account, Role, "/", "r"),
					Keys: map[string][]string{github + ":sub": {sub}},
				})
			if v.Effect == policy.Allow {
				rt.Fatalf("%s %q allows %s", operator, value, sub)
			}
		}
	})
	if accepted == 0 {
		t.Error("no condition was accepted")
	}
}
