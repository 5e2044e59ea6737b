package policy

import (
	"strings"

	"watertight/internal/access/action"
)

// Everyone is the holder id that stands for all principals; see Freeze.
const Everyone = "*"

// anonymousHolder stands for all callers without a signature.
const anonymousHolder = "anonymous"

// HolderID is the unique id of whose permissions the principal uses: of a user, of the
// role of a session, of the user who asked for a federated session, or the account id of
// a root user. All callers without a signature have one together. It is empty for
// services and web identities.
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

// Holder is the ARN of whose permissions the principal uses, as HolderID; it is not valid
// where that has none.
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
// every action that changes something. Only what lists or reads stays allowed to them;
// an action that the catalogue does not know is denied. It binds the root user of the
// bucket's owner as well, whatever that may repair in a policy.
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

// isChange reports whether an action is none that only lists or reads.
func isChange(a string) bool {
	f := Action(a).Facts()
	return f.Changes != action.ChangesNothing || f.Level != action.List && f.Level != action.Read
}
