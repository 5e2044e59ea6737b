package policy

import (
	"slices"
	"strings"
)

// KeyGrant is one grant of a KMS key (KMS developer guide, "Grants in AWS KMS"): it
// allows a principal some operations on the key, and denies nothing.
type KeyGrant struct {
	ID         string   // for reasons
	Grantee    string   // ARN of the user, role, session or account
	Bound      string   // unique id of the user or role that had the name
	Operations []string // "Decrypt"
	// Equals, if set, is the whole encryption context that requests must have, and
	// Subset what it must hold.
	Equals, Subset map[string]string
}

// Grants makes the document of grants of one key. A grant reaches its principal as a key
// policy does that names it, with one difference: no identity policy needs to allow
// beside it, also where the principal is of another account. A grantee that cannot be
// read is nobody.
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
				continue // is about this grant alone: its service asks the grant itself
			}
			s.actions = append(s.actions, actionPattern{
				text: "kms:" + o, p: pattern{{kind: literal, text: "kms:" + strings.ToLower(o)}},
			})
		}
		s.why[ResourceLayer] = []string{"grant " + g.ID}
		d.statements = append(d.statements, s)
	}
	return d
}

// grantTerms are what a grant asks of a request that a statement cannot say: the names
// in an encryption context are compared with their case, and a grant that is made
// through another one gives no more than that.
type grantTerms struct {
	operations     []string
	equals, subset map[string]string
}

// Condition keys that are read here, as KeyName gives them.
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

// hold reports whether a request is within the terms. Constraints are for operations
// with an encryption context alone (KMS developer guide, "Using grant constraints").
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
			// Two names that differ in case share a condition key: neither is trusted then.
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

// cover reports whether a grant that the request would make allows no operation that
// this one does not, and is constrained at least as much (KMS developer guide,
// "Granting CreateGrant permission"). The new grant's constraint is in the encryption
// context of the request.
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
