package identity

import (
	"context"
	"errors"
	"slices"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/core/principal"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Trust returns a role's compiled trust policy. It is bound to the principals that had the
// names in it when it was written.
func (s *Store) Trust(e *Entity) (*policy.Document, error) {
	d, err := s.documents.Get(policy.Trust, e.Trust)
	if err != nil {
		return nil, fault.Internal(err)
	}
	return e.Bound.Apply(d), nil
}

// bindTrust finds the unique ids of the users and roles that a role's trust policy names.
// If one of them, or an account, does not exist, the error is MalformedPolicyDocument.
func (e *Entity) bindTrust(r kv.Reader) error {
	e.Bound = nil
	if e.Kind != Role {
		return nil
	}
	d, err := policy.Parse(policy.Trust, []byte(e.Trust))
	if err != nil {
		return MalformedPolicy(err)
	}
	all, err := principal.Bind(r, Directory{}, d)
	if unknown, ok := errors.AsType[*principal.Unknown](err); ok {
		return invalidPrincipal(unknown.Entry)
	}
	// Entries that are unique ids already, and those of accounts, need no binding.
	e.Bound = slices.DeleteFunc(all, func(b principal.Binding) bool {
		_, err := arn.Parse(b.Name)
		return err != nil
	})
	return err
}

// showTrust sets the trust policy of a role to the text that callers are shown.
func (e *Entity) showTrust(r kv.Reader) error {
	if e.Kind != Role {
		return nil
	}
	text, err := e.Bound.Text(r, Directory{}, policy.Trust, e.Trust)
	e.Trust = text
	return err
}

// TrustOf returns the compiled trust policy of the role with an ARN, for authz.Facts. It
// returns none if the role does not exist, and a nil document, which denies everything, if
// the policy can't be read.
func (s *Store) TrustOf(ctx context.Context, a arn.ARN) (docs []*policy.Document, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		e, err := FindRole(r, a)
		if err != nil || e == nil {
			return err
		}
		d, err := s.Trust(e)
		if fault.Is(err, fault.InternalError) {
			d, err = nil, nil
		}
		docs = []*policy.Document{d}
		return err
	})
	return docs, err
}
