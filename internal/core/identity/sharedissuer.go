package identity

import (
	"slices"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// sharedIssuer is an identity provider that anyone can get tokens from. A trust policy must
// restrict the token's owner, because anyone's token meets the rest of its conditions (IAM
// user guide, "Identity-provider controls for shared OIDC providers").
type sharedIssuer struct {
	claim string // the claim that identifies the owner of a token
	// owners are the possible beginnings of the claim's value, each followed by the name of
	// an owner and a separator. If there are none, the whole value identifies the owner.
	owners []ownerPart
}

// ownerPart is a beginning of a value, such as "repo:", and the separator after the owner's
// name. If the separator is a colon, the name may also end with the value.
type ownerPart struct{ before, end string }

// sharedIssuerOf returns the sharedIssuer for an issuer, or false if the issuer is not
// shared. The formats of the values are from the issuers' own documentation. A claim does
// not identify an owner if others can get tokens with the same value, such as the reusable
// workflow of a job.
func sharedIssuerOf(issuer string) (sharedIssuer, bool) {
	sub := func(owners ...ownerPart) (sharedIssuer, bool) { return sharedIssuer{"sub", owners}, true }
	switch strings.TrimSuffix(strings.ToLower(issuer), "/") {
	case "token.actions.githubusercontent.com", "vstoken.actions.githubusercontent.com":
		return sub(ownerPart{"repo:", "/"}, ownerPart{"repository:", "/"}, ownerPart{"repository_owner:", ":"},
			ownerPart{"repository_owner_id:", ":"}, ownerPart{"repository_id:", ":"})
	case "oidc-configuration.audit-log.githubusercontent.com":
		return sub(ownerPart{"https://github.com/", ":"}) // an enterprise; nothing follows its name
	case "gitlab.com":
		return sub(ownerPart{"project_path:", "/"})
	case "agent.buildkite.com", "app.terraform.io":
		return sub(ownerPart{"organization:", ":"})
	case "oidc.codefresh.io", "scalr.io":
		return sub(ownerPart{"account:", ":"})
	case "proidc.upbound.io":
		return sub(ownerPart{"mcp:", "/"})
	case "studio.datachain.ai/api", "tokens.cloud.shisho.dev":
		return sub()
	case "api.pulumi.com/oidc", "sandboxes.cloud", "oidc.vercel.com", "cognito-identity.amazonaws.com":
		return sharedIssuer{claim: "aud"}, true
	}
	return sharedIssuer{}, false
}

// fixes reports whether everything that a value of a condition matches belongs to one
// owner. A wildcard counts as one even with an operator without wildcards: its author meant
// to match more than one owner.
func (i *sharedIssuer) fixes(value string) bool {
	const wild = "*?$" // $ begins a policy variable
	if i.owners == nil {
		return value != "" && !strings.ContainsAny(value, wild)
	}
	for _, o := range i.owners {
		rest, ok := strings.CutPrefix(value, o.before)
		if !ok {
			continue
		}
		owner, after, ended := strings.Cut(rest, o.end)
		return owner != "" && !strings.ContainsAny(owner, wild) && !strings.Contains(after, "$") &&
			(ended || o.end == ":")
	}
	return false
}

// limits reports whether a condition is met only by tokens of the owners that it names.
func (i *sharedIssuer) limits(c policy.Condition, issuer string) bool {
	switch strings.TrimPrefix(c.Operator, "ForAnyValue:") {
	case "StringEquals", "StringLike", "StringEqualsIgnoreCase":
	default:
		return false
	}
	return policy.KeyName(c.Key) == policy.KeyName(issuer+":"+i.claim) && len(c.Values) > 0 &&
		!slices.ContainsFunc(c.Values, func(v string) bool { return !i.fixes(v) })
}

// issuerOf returns the issuer that an entry of a Principal element names, "" if it names none.
func issuerOf(p policy.PrincipalName) string {
	if p.Type != "Federated" {
		return ""
	}
	if a, err := arn.Parse(p.Value); err == nil {
		issuer, _ := strings.CutPrefix(a.Resource, "oidc-provider/")
		return issuer
	}
	return p.Value
}

// checkShared refuses a trust policy that admits every token of a shared issuer. A
// statement for everyone admits no bearer of a token (see policy.Decide). If the policy
// also names the issuer, such a statement is checked, too, because its author probably
// meant it for bearers.
func checkShared(d *policy.Document) error {
	for _, p := range d.Principals() {
		issuer := issuerOf(p)
		shared, ok := sharedIssuerOf(issuer)
		if !ok {
			continue
		}
		for _, s := range d.Statements() {
			lets := s.Effect == policy.Allow && speaksOfTokens(&s) &&
				slices.ContainsFunc(s.Principals, func(q policy.PrincipalName) bool {
					return q == p || q == policy.PrincipalName{Type: "AWS", Value: "*"}
				})
			if lets &&
				!slices.ContainsFunc(s.Conditions, func(c policy.Condition) bool { return shared.limits(c, issuer) }) {
				return fault.New(fault.MalformedPolicyDocument, "The trust policy must limit "+issuer+":"+shared.claim+
					" to values of an owner that it names, with no wildcard in the name: everybody has tokens of "+
					"this issuer.")
			}
		}
	}
	return nil
}

// speaksOfTokens reports whether a statement allows an action that bearers of tokens use.
func speaksOfTokens(s *policy.Statement) bool {
	about := slices.ContainsFunc(s.Actions, func(entry string) bool {
		matches, err := policy.ActionMatcher(entry)
		return err != nil || matches("sts:AssumeRoleWithWebIdentity")
	})
	return about != s.NotAction
}
