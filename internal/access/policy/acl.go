package policy

import (
	"strconv"
	"strings"
)

// Group is one of S3's predefined groups (S3 user guide, "Access control list
// overview").
type Group uint8

// The groups. NoGroup is for a grant to an account.
const (
	NoGroup     Group = iota
	AllUsers          // everyone, including anonymous callers
	AllAccounts       // every account: AuthenticatedUsers
)

// ListGrant is one grant of an ACL: what it allows, to an account or to a group.
type ListGrant struct {
	Name    string // of the grantee, for reasons and witnesses
	Account string // 12 digits; empty with Group
	Group   Group
	Actions []Action
}

// Given returns a document that allows an action by default, where no policy does.
func Given(a Action) *Document {
	s := statement{allow: true, resources: []arnPattern{{text: "*", any: true}}}
	s.actions = []actionPattern{{text: string(a), p: pattern{{kind: literal, text: strings.ToLower(string(a))}}}}
	s.why[IdentityLayer] = []string{"given to who began it"}
	return &Document{kind: Identity, statements: []statement{s}}
}

// List returns the document of an ACL. It only allows. It belongs to one resource and so
// names none, and Decide ignores its grants to groups while IgnorePublicAcls is on. A grant
// to an account, or to every account, directly reaches only the account's root user; the
// account's own policies decide which of its other principals may use it. Public tells
// whether an ACL is public; RestrictPublicBuckets concerns policies only, so it ignores
// ACLs.
func List(grants []ListGrant) *Document {
	d := &Document{kind: AccessList, statements: make([]statement, len(grants))}
	for i, g := range grants {
		s := &d.statements[i]
		s.allow, s.group = true, g.Group != NoGroup
		d.admitsAll = d.admitsAll || g.Group == AllUsers
		p := principal{PrincipalName: PrincipalName{Type: "Group", Value: g.Name}}
		switch g.Group {
		case AllUsers:
			p.kind = everybody
		case AllAccounts:
			p.kind = everyAccount
		default:
			p = principal{
				PrincipalName: PrincipalName{Type: "AWS", Value: g.Account}, kind: ofAccount, account: g.Account,
			}
		}
		s.principals = []principal{p}
		for _, a := range g.Actions {
			s.actions = append(s.actions, actionPattern{
				text: string(a), p: pattern{{kind: literal, text: strings.ToLower(string(a))}},
			})
		}
		s.why[ResourceLayer] = []string{"ACL, grant " + strconv.Itoa(i) + " to " + g.Name}
	}
	return d
}
