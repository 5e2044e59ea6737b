package policy

import (
	"strings"

	"watertight/internal/access/action"
)

// Everyone is the holder id that stands for all principals; see Freeze.
const Everyone = "*"

// anonymousHolder stands for all callers without a signature.
const anonymousHolder = "anonymous"

// HolderID returns the unique id of the holder of the permissions that the principal
// uses: the user, the role of a session, or the user who asked for a federated session.
// For a root user it is the account id. All callers without a signature share one id. It
// is empty for services and web identities.
func (p *Principal) HolderID() string {
	switch p.Kind {
	case Anonymous:
		return anonymousHolder
	case AccountRoot:
		return p.Account
	case User:
		return p.ID
	case RoleSession:
		id, _, _ := strings.Cut(p.ID, ":")
		return id
	case FederatedUser:
		return p.IssuerID
	}
	return ""
}

// Holder returns the ARN of the holder that HolderID names, "anonymous" for callers
// without a signature, and "" where HolderID is empty.
func (p *Principal) Holder() string {
	switch p.Kind {
	case Anonymous:
		return anonymousHolder
	case AccountRoot, User:
		return p.ARN.String()
	case RoleSession:
		return p.Role.String()
	case FederatedUser:
		return p.Issuer.String()
	}
	return ""
}

// Freeze makes the document of a resource that denies principals, by their holder ids,
// every action that changes something. They may still list and read, if other policies
// allow it; an action that the catalogue does not know is denied. The freeze binds the
// root user of the bucket's owner as well, even where that user could repair a bucket
// policy that denies it access.
func Freeze(holders []string) *Document {
	d := &Document{kind: FreezeList, statements: make([]statement, len(holders))}
	for i, id := range holders {
		p := principal{PrincipalName: PrincipalName{Type: "AWS", Value: id}, kind: ofHolder}
		if id == Everyone {
			p.kind = everybody
		}
		s := &d.statements[i]
		s.changes, s.principals = true, []principal{p}
		s.why[ResourceLayer] = []string{"frozen: " + id}
	}
	return d
}

// isChange reports whether an action does more than list or read.
func isChange(a string) bool {
	f := Action(a).Facts()
	return f.Changes != action.ChangesNothing || f.Level != action.List && f.Level != action.Read
}
