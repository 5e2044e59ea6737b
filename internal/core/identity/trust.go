package identity

import (
	"context"
	"slices"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// A trust policy is about the users and roles that had their names when it was
// written (IAM user guide, "IAM identifiers", "Unique identifiers"): whoever
// takes such a name later is not meant.

// entityNamed is the user or role that an entry of a Principal element names:
// nil where it names something else, without an id where there is none.
func entityNamed(r kv.Reader, p policy.PrincipalName) (*Entity, error) {
	a, err := arn.Parse(p.Value)
	if err != nil || p.Type != "AWS" || a.Service != "iam" {
		return nil, nil
	}
	for _, k := range []EntityKind{User, Role} {
		if !strings.HasPrefix(a.Resource, k.lower()+"/") {
			continue
		}
		e, err := FindEntity(r, a.Account, k, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:])
		if err != nil {
			return nil, err
		}
		if e == nil || e.ARN() != a {
			return &Entity{}, nil
		}
		return e, nil
	}
	return nil, nil
}

// Named meets bucket.Principals: it is the unique id behind an entry that names
// a user or role, and the account behind a canonical id. Entries that name an account, or a session in one, need the
// account; services and identity providers need nobody here.
func (s *Store) Named(r kv.Reader, p policy.PrincipalName) (id string, ok bool, err error) {
	if p.Type == "CanonicalUser" {
		account, err := r.Get(canonicalKey(p.Value))
		return string(account), account != nil, err
	}
	if p.Type != "AWS" || p.Value == "*" {
		return "", true, nil
	}
	if strings.HasPrefix(p.Value, "AIDA") || strings.HasPrefix(p.Value, "AROA") {
		e, err := ReadEntity(r, p.Value)
		return p.Value, e != nil, err
	}
	e, err := entityNamed(r, p)
	if err != nil || e != nil {
		return idOf(e), idOf(e) != "", err
	}
	account := p.Value
	if a, err := arn.Parse(p.Value); err == nil {
		account = a.Account
	}
	_, ok, err = readAccount(r, account)
	return "", ok, err
}

func idOf(e *Entity) string {
	if e == nil {
		return ""
	}
	return e.ID
}

// NameOf meets bucket.Principals: it is the ARN of a user or role by its unique
// id, "" where it is no more.
func (s *Store) NameOf(r kv.Reader, id string) (string, error) {
	if arn.IsAccountID(id) {
		return arn.Root(id).String(), nil
	}
	e, err := ReadEntity(r, id)
	if err != nil || e == nil {
		return "", err
	}
	return e.ARN().String(), nil
}

// standsAs is how one that was bound is written now: by the ARN it has, or by
// its unique id where it is no more.
func standsAs(r kv.Reader, b tag.Tag) (string, error) {
	e, err := ReadEntity(r, b.Value)
	if err != nil || e == nil {
		return b.Value, err
	}
	return e.ARN().String(), nil
}

// trustText is a role's trust policy as AWS shows it, and the names that are
// not right in it any more.
func trustText(r kv.Reader, e *Entity) (text string, stale []string, err error) {
	text = e.Trust
	for _, b := range e.Bound {
		now, err := standsAs(r, b)
		if err != nil {
			return "", nil, err
		}
		if now != b.Key {
			text = strings.ReplaceAll(text, `"`+b.Key+`"`, `"`+now+`"`)
			stale = append(stale, b.Key)
		}
	}
	return text, stale, nil
}

// Trust is a role's compiled trust policy, for whoever decides who may assume
// it. It binds those that were meant when it was written.
func (s *Store) Trust(r kv.Reader, e *Entity) (*policy.Document, error) {
	text, stale, err := trustText(r, e)
	if err != nil {
		return nil, err
	}
	d, err := s.documents.Get(policy.Trust, text)
	if err != nil {
		return nil, fault.Internal(err)
	}
	// A name that was written with escapes was not replaced, and must not pass.
	for _, p := range d.Principals() {
		if slices.Contains(stale, p.Value) {
			return nil, record.Malformed("trust policy of " + e.Name)
		}
	}
	return d, nil
}

// showTrust makes a role that was read what callers are shown.
func (e *Entity) showTrust(r kv.Reader) error {
	if e.Kind != Role {
		return nil
	}
	text, _, err := trustText(r, e)
	e.Trust = text
	return err
}

// TrustOf is the compiled trust policy of the role an ARN names, for
// authz.Facts: none where there is no such role, and a nil document where it
// can't be relied on, which denies.
func (s *Store) TrustOf(ctx context.Context, a arn.ARN) (docs []*policy.Document, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		e, err := FindRole(r, a)
		if err != nil || e == nil {
			return err
		}
		d, err := s.Trust(r, e)
		if fault.Is(err, fault.InternalError) {
			d, err = nil, nil
		}
		docs = []*policy.Document{d}
		return err
	})
	return docs, err
}
