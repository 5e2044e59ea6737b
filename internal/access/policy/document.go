package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"watertight/internal/access/arn"
)

// Kind says what a document is attached to.
type Kind uint8

// The kinds of documents.
const (
	Identity   Kind = iota // attached to a user, group or role; also a permissions boundary
	Resource               // a bucket policy
	Trust                  // trust policy: who may assume a role
	Key                    // a KMS key policy
	Session                // session policy
	AccessList             // an ACL; made by List, never parsed
	GrantList              // grants of a KMS key; made by Grants, never parsed
	FreezeList             // principals that may change nothing; made by Freeze, never parsed
)

// Document is a compiled policy. It is immutable.
type Document struct {
	kind       Kind
	version    string // as written; empty if the document has none
	id         string
	statements []statement
	mentions   []string       // condition keys, sorted; see Mentions
	timed      bool           // see Timed
	public     bool           // wherever requests come from; see Public
	openTo     []netip.Prefix // address ranges from which statements allow everyone
	admitsAll  bool           // some Allow is for everyone, perhaps with conditions
}

// The versions of the policy language. A document without a version has the older one, in
// which ${...} is not a variable.
const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

// Statement is a statement as written.
type Statement struct {
	Sid          string
	Effect       Effect // Allow or ExplicitDeny
	Principals   []PrincipalName
	NotPrincipal bool // the statement is about everyone except Principals
	Actions      []string
	NotAction    bool
	Resources    []string // empty in trust policies
	NotResource  bool
	Conditions   []Condition
}

// PrincipalName is one entry of a Principal element. Type is AWS, Federated, Service or
// CanonicalUser; the element "*" is the AWS principal "*".
type PrincipalName struct{ Type, Value string }

// Condition is one key under one operator. It is met if one of Values matches; with a
// negated operator, if none does.
type Condition struct {
	Operator string // "ForAnyValue:StringEqualsIfExists"
	Key      string // "aws:SourceIp"
	Values   []string
}

// Kind returns the kind of the document.
func (d *Document) Kind() Kind { return d.kind }

// Statements returns a copy of the document's statements, for packages that have further
// rules about documents.
func (d *Document) Statements() []Statement {
	out := make([]Statement, len(d.statements))
	for i := range d.statements {
		out[i] = d.statements[i].asWritten()
	}
	return out
}

// Timed reports whether what the document says may change as time passes.
func (d *Document) Timed() bool { return d.timed }

// Mentions reports whether a condition or a policy variable of the document uses a
// condition key that begins with prefix, for example "s3:ExistingObjectTag/" or
// "aws:SourceIp". Values that cost a lookup are fetched only if it does.
func (d *Document) Mentions(prefix string) bool {
	return len(d.mentions) > 0 && d.MentionsName(KeyName(prefix))
}

// MentionsName is Mentions for a prefix that KeyName returned.
func (d *Document) MentionsName(prefix string) bool {
	if len(d.mentions) == 0 {
		return false
	}
	i, _ := slices.BinarySearch(d.mentions, prefix)
	return i < len(d.mentions) && strings.HasPrefix(d.mentions[i], prefix)
}

// MentionsAction reports whether some statement matches the action.
func (d *Document) MentionsAction(a Action) bool {
	for i := range d.statements {
		if d.statements[i].aboutAction(string(a), nil) {
			return true
		}
	}
	return false
}

// AllowsSome reports whether documents together allow some action of a service, such as
// "s3", on some resource and under some condition: an Allow must name an action, and no
// Deny without conditions may cover all of them on every resource.
func AllowsSome(all []*Document, service string) bool {
	allowed := false
	for _, d := range all {
		for i := range d.statements {
			s := &d.statements[i]
			some, every := s.aboutService(service)
			everywhere := !s.notResource && slices.ContainsFunc(s.resources, func(p arnPattern) bool { return p.any })
			if !s.allow && every && everywhere && len(s.conditions) == 0 {
				return false
			}
			allowed = allowed || s.allow && some
		}
	}
	return allowed
}

// Principals returns every entry of the document's Principal and NotPrincipal elements, in
// order, without duplicates.
func (d *Document) Principals() []PrincipalName {
	var out []PrincipalName
	for i := range d.statements {
		for _, p := range d.statements[i].principals {
			if !slices.Contains(out, p.PrincipalName) {
				out = append(out, p.PrincipalName)
			}
		}
	}
	return out
}

// Bind returns the document with its principals bound to unique ids. ids has the unique ids
// of users and roles, by the ARN in a Principal element, and the ids of accounts, by their
// canonical ids. A user or role that gets such a name later does not match (IAM user guide,
// "IAM identifiers", "Unique identifiers").
func (d *Document) Bind(ids map[string]string) *Document {
	return d.withPrincipals(func(p *principal) {
		if p.bound = ids[p.Value]; p.kind == ofCanonical && arn.IsAccountID(p.bound) {
			p.kind, p.account = ofAccount, p.bound
		}
	})
}

// Rename returns the document with other names in its Principal elements.
func (d *Document) Rename(names map[string]string) *Document {
	return d.withPrincipals(func(p *principal) {
		if name, ok := names[p.Value]; ok {
			p.Value = name
		}
	})
}

func (d *Document) withPrincipals(change func(*principal)) *Document {
	c := *d
	c.statements = slices.Clone(d.statements)
	for i := range c.statements {
		c.statements[i].principals = slices.Clone(d.statements[i].principals)
		for j := range c.statements[i].principals {
			change(&c.statements[i].principals[j])
		}
	}
	return &c
}

// Named returns the document with a name for reasons: "identity policy Backup, Statement[0]".
func (d *Document) Named(name string) *Document {
	c := *d
	c.statements = slices.Clone(d.statements)
	c.giveReasons(name)
	return &c
}

// giveReasons prepares the reason of every statement, so that decisions need not format it.
func (d *Document) giveReasons(name string) {
	if name != "" {
		name = " " + name
	}
	for i := range d.statements {
		s := &d.statements[i]
		statement := s.sid
		if statement == "" {
			statement = "Statement[" + strconv.Itoa(i) + "]"
		}
		for l, layer := range [layers]string{
			IdentityLayer: "identity", BoundaryLayer: "boundary", SessionLayer: "session", ResourceLayer: "resource",
		} {
			if layer != "" {
				s.why[l] = []string{layer + " policy" + name + ", " + statement}
			}
		}
	}
}
