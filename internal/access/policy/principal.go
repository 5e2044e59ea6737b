package policy

import (
	"errors"
	"slices"
	"strings"

	"watertight/internal/access/arn"
)

// grant is how far an Allow of a resource-based policy reaches for a caller of the
// resource's account (IAM user guide, "Policy evaluation for requests within a single
// account"). A greater value reaches further.
type grant uint8

const (
	noGrant   grant = iota
	delegated       // to the account: identity policies decide
	// to the role, to the user of a federated session, or to everyone: boundary and session
	// policy still limit it
	limited
	toUser    // to the user: the boundary does not limit it
	unlimited // to the session, the root user or the service itself: nothing limits it
)

type entryKind uint8

const (
	everybody entryKind = iota
	ofAccount
	ofUser
	ofRole
	ofSession
	ofID
	ofService
	ofProvider
	everyAccount // the group AuthenticatedUsers
	ofCanonical
	ofHolder // see Principal.HolderID
)

// principal is a compiled entry of a Principal element.
type principal struct {
	PrincipalName
	kind    entryKind
	account string
	arn     arn.ARN
	bound   string // unique id of the named user or role; if empty, any user or role with the name matches
}

// grants returns how far an Allow that names the entry reaches for the caller; noGrant if
// the entry does not match the caller.
func (p *principal) grants(c *Principal) grant {
	member := c.Kind == AccountRoot || c.Kind == User || c.Kind == RoleSession || c.Kind == FederatedUser
	switch p.kind {
	case everybody:
		return limited
	case ofAccount, ofCanonical, everyAccount:
		switch {
		case !member || p.kind == ofAccount && p.account != c.Account ||
			p.kind == ofCanonical && p.Value != c.Canonical:
			return noGrant
		case c.Kind == AccountRoot:
			return unlimited
		}
		return delegated
	case ofUser:
		switch {
		case c.Kind == User && p.means(c.ARN, c.ID):
			return toUser
		case c.Kind == FederatedUser && p.means(c.Issuer, c.IssuerID):
			return limited
		}
	case ofRole:
		if id, _, _ := strings.Cut(c.ID, ":"); c.Kind == RoleSession && p.means(c.Role, id) {
			return limited
		}
	case ofSession:
		if (c.Kind == RoleSession || c.Kind == FederatedUser) && c.ARN == p.arn {
			return unlimited
		}
	case ofID:
		id, _, isSession := strings.Cut(c.ID, ":")
		switch {
		case c.Kind == User && c.ID == p.Value:
			return toUser
		case c.Kind == RoleSession && isSession && id == p.Value:
			return limited
		}
	case ofHolder:
		if c.HolderID() == p.Value {
			return limited
		}
	case ofService:
		if c.Kind == Service && c.Name == p.Value {
			return unlimited
		}
	case ofProvider:
		if c.Kind == WebIdentity && c.Provider == p.Value {
			return unlimited
		}
	}
	return noGrant
}

// means reports whether the entry matches the user or role with a name and unique id.
func (p *principal) means(name arn.ARN, id string) bool {
	if p.bound != "" {
		return p.bound == id
	}
	return p.arn == name
}

// aboutPrincipal reports whether the statement matches the caller. A document in the wrong
// layer still denies, but allows nothing.
func (s *statement) aboutPrincipal(layer Layer, c *Principal) (grant, bool) {
	if (layer == ResourceLayer) != (len(s.principals) > 0) {
		return noGrant, !s.allow
	}
	if layer != ResourceLayer {
		return noGrant, true
	}
	if s.notPrincipal {
		return noGrant, !s.allow && !s.exempts(c)
	}
	best := noGrant
	for i := range s.principals {
		g := s.principals[i].grants(c)
		if s.allow && c.Kind == WebIdentity && s.principals[i].kind == everybody {
			continue // a token is accepted only by a statement that names its issuer
		}
		if s.direct && s.principals[i].kind == everybody {
			g = unlimited
		}
		best = max(best, g)
	}
	return best, best != noGrant
}

// exempts reports whether a NotPrincipal names the caller completely: a user and its
// account; a session, its role and its account (IAM user guide, "NotPrincipal"). Naming
// only a part is not enough.
func (s *statement) exempts(c *Principal) bool {
	named := func(kinds ...entryKind) bool {
		return slices.ContainsFunc(s.principals, func(p principal) bool {
			return slices.Contains(kinds, p.kind) && p.grants(c) != noGrant
		})
	}
	switch {
	case named(everybody):
		return true
	case c.Kind == AccountRoot:
		return named(ofAccount, ofCanonical)
	case c.Kind == User:
		return named(ofAccount, ofCanonical) && named(ofUser, ofID)
	case c.Kind == RoleSession:
		return named(ofAccount, ofCanonical) && named(ofSession) && named(ofRole, ofID)
	case c.Kind == FederatedUser:
		return named(ofAccount, ofCanonical) && named(ofSession)
	case c.Kind == Service:
		return named(ofService)
	case c.Kind == WebIdentity:
		return named(ofProvider)
	}
	return false
}

// compilePrincipal compiles one entry. Only the AWS principal "*" is a wildcard.
func compilePrincipal(n PrincipalName) (principal, error) {
	p := principal{PrincipalName: n}
	if n == (PrincipalName{"AWS", "*"}) {
		return p, nil
	}
	if n.Value == "" || strings.ContainsAny(n.Value, "*?${} \t\r\n") {
		return p, errors.New(`a principal is named in full; the only wildcard is the AWS principal "*"`)
	}
	switch n.Type {
	case "AWS":
		return compileAWS(p)
	case "Service":
		p.kind = ofService
		if !hostName(n.Value) {
			return p, errors.New("a service is named by its DNS name, such as cloudfront.amazonaws.com")
		}
	case "Federated":
		p.kind = ofProvider
		a, err := arn.Parse(n.Value)
		provider := strings.HasPrefix(a.Resource, "oidc-provider/") || strings.HasPrefix(a.Resource, "saml-provider/")
		if !hostName(n.Value) &&
			(err != nil || a.Service != "iam" || a.Region != "" || !arn.IsAccountID(a.Account) || !provider) {
			return p, errors.New("an identity provider is named by its ARN or its DNS name")
		}
	case "CanonicalUser":
		p.kind = ofCanonical
		if len(n.Value) != 64 || strings.Trim(n.Value, "0123456789abcdef") != "" {
			return p, errors.New("a canonical user id has 64 hexadecimal digits")
		}
	}
	return p, nil
}

func compileAWS(p principal) (principal, error) {
	if arn.IsAccountID(p.Value) {
		p.kind, p.account = ofAccount, p.Value
		return p, nil
	}
	if (strings.HasPrefix(p.Value, "AIDA") || strings.HasPrefix(p.Value, "AROA")) && isID(p.Value) {
		p.kind = ofID
		return p, nil
	}
	a, err := arn.Parse(p.Value)
	if err != nil || a.Region != "" || !arn.IsAccountID(a.Account) {
		return p, errors.New("an AWS principal is an account id or the ARN of an account's root, user, role or session")
	}
	p.arn = a
	kind, name, _ := strings.Cut(a.Resource, "/")
	named := name != "" && !strings.HasSuffix(name, "/") && !strings.HasPrefix(name, "/")
	switch a.Service + ":" + kind {
	case "iam:root":
		p.kind, p.account = ofAccount, a.Account
		named = a.Resource == "root"
	case "iam:user":
		p.kind = ofUser
	case "iam:role":
		p.kind = ofRole
	case "sts:assumed-role":
		p.kind = ofSession
		named = named && strings.Count(name, "/") == 1
	case "sts:federated-user":
		p.kind = ofSession
		named = named && !strings.Contains(name, "/")
	default:
		return p, errors.New("only accounts, users, roles and sessions are AWS principals")
	}
	if !named {
		return p, errors.New("the ARN names no principal")
	}
	return p, nil
}

func isID(s string) bool {
	return len(s) >= 16 && len(s) <= 128 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// hostName reports whether s is a DNS name of at least two labels, in lower case.
func hostName(s string) bool {
	if len(s) > 253 || !strings.Contains(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}
