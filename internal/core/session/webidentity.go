package session

import (
	"context"
	"slices"
	"strings"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/identity"
	"watertight/internal/core/oidc"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// WebInput names the role that the bearer of an identity provider's token assumes, and has
// the properties of the session. A zero Duration means one hour.
type WebInput struct {
	RoleARN, SessionName, Token string
	Duration                    time.Duration
	Pass                        Passed
	// Verified, if it is set, is called with the bearer after the token was verified and
	// before the session is written.
	Verified func(policy.Principal)
}

// WebAssumed is a role's new session and what the token says about its bearer.
type WebAssumed struct {
	Assumed
	Subject, Audience, Issuer string
}

// presented is a token with the role and the provider that it was presented for.
type presented struct {
	token    *oidc.Token
	role     *identity.Entity
	provider *identity.Provider
	session  *Session
}

// unauthorizedWeb is the same error whether or not the role exists.
func unauthorizedWeb() error {
	return fault.New(fault.AccessDenied, "Not authorized to perform sts:AssumeRoleWithWebIdentity")
}

// present decodes a token and finds its role and its provider. It verifies nothing of the
// token. Errors: InvalidIdentityToken, AccessDenied, ValidationError,
// MalformedPolicyDocument, PackedPolicyTooLarge.
func (s *Store) present(ctx context.Context, in WebInput) (*presented, error) {
	target, err := roleTarget(in.RoleARN)
	if err != nil {
		return nil, err
	}
	p := &presented{session: &Session{Purpose: WebIdentity}}
	if err := checkPassed(in.Pass); err != nil { // AWS reports these errors first
		return nil, err
	}
	if p.token, err = oidc.Parse(in.Token); err != nil {
		return nil, err
	}
	for key, value := range p.token.Tags {
		p.session.Tags = append(p.session.Tags, tag.Tag{Key: key, Value: value})
	}
	slices.SortFunc(p.session.Tags, func(a, b tag.Tag) int { return strings.Compare(a.Key, b.Key) })
	p.session.Transitive, p.session.SourceIdentity = p.token.Transitive, p.token.SourceIdentity
	if checkSessionTags(p.session.Tags, p.session.Transitive) != nil || !isSourceIdentity(p.session.SourceIdentity) {
		return nil, oidc.Rejected()
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		if p.role, err = identity.FindRole(r, target); err != nil {
			return err
		}
		if p.role == nil {
			return unauthorizedWeb()
		}
		if in.Duration > p.role.MaxSession {
			return tooLong()
		}
		return s.findTrusted(r, p)
	})
	return p, err
}

func isSourceIdentity(s string) bool {
	return s == "" || len(s) >= 2 && len(s) <= 64 && identity.CheckName(s) == nil
}

// findTrusted finds the provider of a token among those that its role trusts.
func (s *Store) findTrusted(r kv.Reader, p *presented) error {
	trust, err := s.identities.Trust(p.role)
	if err != nil {
		return err
	}
	trusted := false
	for _, name := range trust.Principals() {
		if name.Type != "Federated" {
			continue
		}
		found, err := identity.FindProvider(r, p.role.Account, name.Value)
		if err != nil {
			return err
		}
		trusted = trusted || found != nil
		if found != nil && "https://"+found.URL == p.token.Issuer {
			p.provider = found
		}
	}
	switch {
	case !trusted:
		return unauthorizedWeb()
	case p.provider == nil:
		return oidc.Rejected()
	}
	return nil
}

// bearer returns the bearer of the token as a principal, according to the token.
func (p *presented) bearer() *policy.Principal {
	return &policy.Principal{
		Kind: policy.WebIdentity, Provider: p.provider.ARN().String(), Name: p.token.Subject,
		ID: p.provider.URL + ":" + p.token.Audience + ":" + p.token.Subject,
	}
}

// WebNeeds returns the needs of AssumeRoleWithWebIdentity from the role's trust policy, for
// the bearer according to the token. AssumeRoleWithWebIdentity verifies the token before it
// creates a session. Its errors are those of present.
func (s *Store) WebNeeds(ctx context.Context, in WebInput) ([]authz.Need, error) {
	p, err := s.present(ctx, in)
	if err != nil {
		return nil, err
	}
	t, bearer := p.token, p.bearer()
	keys := sessionTagKeys(p.session.Tags, t.Transitive)
	for k, v := range claimKeys(p.provider.URL, t) {
		keys[k] = v
	}
	for k, v := range (identity.Subject{Tags: p.role.Tags}).ResourceKeys() {
		keys[k] = v
	}
	keys["sts:rolesessionname"] = []string{in.SessionName}
	keys["aws:federatedprovider"] = []string{bearer.Provider}
	if t.SourceIdentity != "" {
		keys["sts:sourceidentity"] = []string{t.SourceIdentity}
	}
	needs := sessionNeeds("sts:AssumeRoleWithWebIdentity", p.role.ARN(), keys, len(p.session.Tags) > 0,
		t.SourceIdentity != "", func(policy.Action) func(policy.Verdict) error {
			return func(v policy.Verdict) error {
				if v.Effect == policy.ExplicitDeny {
					return unauthorizedWeb()
				}
				return oidc.Rejected()
			}
		})
	for i := range needs {
		needs[i].As = bearer
	}
	return needs, nil
}

// claimKeys returns the condition keys for a token's claims: ISSUER:CLAIM. aud is the
// authorized party if there is one, and oaud is then the audience (IAM user guide,
// "Available keys for AWS web identity federation"). An issuer without a dot in its name is
// left out, because it could be mistaken for the prefix of a service.
func claimKeys(issuer string, t *oidc.Token) map[string][]string {
	m := map[string][]string{}
	host, _, _ := strings.Cut(issuer, "/")
	if !strings.Contains(host, ".") {
		return m
	}
	for name, v := range t.Claims {
		key := policy.KeyName(issuer + ":" + name)
		m[key] = append(m[key], v...) // the names of claims may differ only by case
	}
	for name, v := range map[string]string{"aud": t.Audience, "sub": t.Subject, "oaud": t.Original} {
		delete(m, policy.KeyName(issuer+":"+name))
		if v != "" {
			m[policy.KeyName(issuer+":"+name)] = []string{v}
		}
	}
	return m
}

// AssumeRoleWithWebIdentity verifies a token and creates a session of a role for its
// bearer. It needs sts:AssumeRoleWithWebIdentity and, if the token asks for tags or a
// source identity, sts:TagSession and sts:SetSourceIdentity, as WebNeeds says. Errors:
// those of WebNeeds, ExpiredTokenException, IDPCommunicationError, IDPRejectedClaim.
func (s *Store) AssumeRoleWithWebIdentity(ctx context.Context, g authz.Grant, in WebInput) (out WebAssumed, err error) {
	p, err := s.present(ctx, in)
	if err != nil {
		return out, err
	}
	role, t, n := p.role.ARN(), p.token, p.session
	if err := g.Demand("sts:AssumeRoleWithWebIdentity", role); err != nil {
		return out, err
	}
	for action, asked := range map[policy.Action]bool{
		"sts:TagSession": len(n.Tags) > 0, "sts:SetSourceIdentity": t.SourceIdentity != "",
	} {
		if asked {
			if err := g.Demand(action, role); err != nil {
				return out, err
			}
		}
	}
	packed, err := n.restrict(in.Pass)
	if err != nil {
		return out, err
	}
	if !slices.Contains(p.provider.ClientIDs, t.Audience) {
		return out, oidc.Rejected()
	}
	if err := s.issuers.Verify(ctx, t, p.provider.Thumbprints, g.Caller().At()); err != nil {
		return out, err
	}
	if in.Verified != nil {
		in.Verified(*p.bearer())
	}
	n.Provider, n.ProviderID = p.provider.ARN().String(), p.provider.ID
	if in.Duration == 0 {
		in.Duration = defaultAssumed
	}
	err = s.begin(ctx, g, n, in.Duration, func(tx kv.Tx) error {
		if err := checkOrigin(tx, n); err != nil {
			return err
		}
		if err := s.actAs(tx, n, role, AssumeInput{
			SessionName: in.SessionName, Duration: in.Duration, Pass: in.Pass,
		}); err != nil {
			return err
		}
		n.makers = bearerMakers(n.roleID(), n.Provider, t.Subject)
		return nil
	})
	out = WebAssumed{Assumed: Assumed{n, packed}, Subject: t.Subject, Audience: t.Audience, Issuer: t.Issuer}
	return out, err
}
