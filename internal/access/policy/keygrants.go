package policy

import (
	"slices"
	"strings"
)

// KeyGrant is one grant of a KMS key (KMS developer guide, "Grants in AWS KMS"). It allows
// a principal some operations on the key. It denies nothing.
type KeyGrant struct {
	ID         string   // for reasons
	Grantee    string   // ARN of the user, role, session or account
	Bound      string   // unique id of the user or role that the grant named
	Operations []string // "Decrypt"
	// Equals, if set, is the exact encryption context that requests must have. Subset has
	// pairs that their context must contain.
	Equals, Subset map[string]string
}

// Grants returns the document of grants of one key. A grant is like a key policy that names
// its principal, with one difference: no identity policy needs to allow the request, too,
// even if the principal is of another account. A grantee that cannot be parsed matches
// nobody.
func Grants(all []KeyGrant) *Document {
	d := &Document{kind: GrantList, statements: make([]statement, 0, len(all))}
	for i := range all {
		g := &all[i]
		to, err := compilePrincipal(PrincipalName{Type: "AWS", Value: g.Grantee})
		if err != nil || to.kind == everybody {
			continue
		}
		to.bound = g.Bound
		s := statement{
			allow: true, alone: true, principals: []principal{to},
			terms: &grantTerms{g.Operations, g.Equals, g.Subset},
		}
		for _, o := range g.Operations {
			if o == "RetireGrant" {
				continue // it is about this grant only, and core/kms decides it
			}
			s.actions = append(s.actions, actionPattern{
				text: "kms:" + o, p: pattern{{kind: literal, text: "kms:" + strings.ToLower(o)}},
			})
		}
		s.may = actionsOf(s.actions)
		s.why[ResourceLayer] = []string{"grant " + g.ID}
		d.statements = append(d.statements, s)
	}
	return d
}

// grantTerms are conditions of a grant that a statement can't express. The names in an
// encryption context are compared with their case. A grant that is created through another
// one must not give more than that one.
type grantTerms struct {
	operations     []string
	equals, subset map[string]string
}

// Condition keys that this file reads, in the form that KeyName returns.
const (
	contextKey      = "kms:encryptioncontext:"
	contextNamesKey = "kms:encryptioncontextkeys"
	operationsKey   = "kms:grantoperations"
	constraintKey   = "kms:grantconstrainttype"
)

// Values of kms:GrantConstraintType.
const (
	ConstraintEquals = "EncryptionContextEquals"
	ConstraintSubset = "EncryptionContextSubset"
)

// hold reports whether a request meets the terms. Constraints apply only to operations with
// an encryption context (KMS developer guide, "Using grant constraints").
func (t *grantTerms) hold(in *situation) bool {
	switch r := &in.request; {
	case strings.EqualFold(string(r.Action), "kms:DescribeKey"):
		return true
	case strings.EqualFold(string(r.Action), "kms:CreateGrant"):
		return t.cover(in) && t.admit(in)
	}
	return t.admit(in)
}

// admit compares the request's encryption context with the constraint.
func (t *grantTerms) admit(in *situation) bool {
	names := in.request.key(contextNamesKey)
	has := func(want map[string]string) bool {
		in.spend(len(want) * (1 + len(names)))
		for name, value := range want {
			// Two names that differ only in case share a condition key: then neither is trusted.
			values := in.request.key(KeyName(contextKey + name))
			if !slices.Contains(names, name) || len(values) != 1 || values[0] != value {
				return false
			}
		}
		return true
	}
	if t.equals != nil && (len(names) != len(t.equals) || !has(t.equals)) {
		return false
	}
	return t.subset == nil || has(t.subset)
}

// cover reports whether the grant that a request would create allows no operation that this
// one does not allow, and is constrained at least as much (KMS developer guide, "Granting
// CreateGrant permission"). The new grant's constraint is in the encryption context of the
// request.
func (t *grantTerms) cover(in *situation) bool {
	operations := in.request.key(operationsKey)
	for _, o := range operations {
		in.spend(len(t.operations))
		if !slices.Contains(t.operations, o) {
			return false
		}
	}
	kinds := in.request.key(constraintKey)
	switch {
	case len(operations) == 0:
		return false
	case t.equals != nil:
		return slices.Equal(kinds, []string{ConstraintEquals})
	case t.subset != nil:
		return slices.Equal(kinds, []string{ConstraintEquals}) || slices.Equal(kinds, []string{ConstraintSubset})
	}
	return true
}
