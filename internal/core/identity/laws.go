package identity

import (
	"context"
	"strings"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/known"
	"watertight/internal/fault"
	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// maxLaws bounds the cache of principals' laws, in bytes.
const maxLaws = 32 << 20

// laws caches the compiled laws of users and roles by unique id. They follow from the
// generation of the account, which every change of one of its identities replaces, so a
// change applies from the next request on.
type laws = known.Cache[string, *authz.PrincipalLaws]

func newLaws() laws {
	return known.New(maxLaws, func(id string, l *authz.PrincipalLaws) int64 {
		return int64(len(id)) + limit.Footprint(l)
	})
}

// RootLaws returns the laws of root users: a policy that allows everything.
func (s *Store) RootLaws() []*policy.Document { return s.rootLaws.Identity }

// Laws returns the laws of a principal, for authz.Facts: the built-in policy of root users;
// the inline and managed policies of users, of their groups and of the roles of sessions;
// and permissions boundaries. A deleted principal has no laws.
func (s *Store) Laws(ctx context.Context, p *policy.Principal) (*authz.PrincipalLaws, error) {
	switch p.Kind {
	case policy.AccountRoot:
		return &s.rootLaws, nil
	case policy.User:
		return s.lawsOfEntity(ctx, p.Account, p.ID, User)
	case policy.RoleSession:
		id, _, _ := strings.Cut(p.ID, ":")
		return s.lawsOfEntity(ctx, p.Account, id, Role)
	case policy.FederatedUser:
		return s.lawsOfIssuer(ctx, p)
	default:
		return &authz.PrincipalLaws{}, nil
	}
}

// lawsOfEntity returns the laws of a user or role, by its unique id.
func (s *Store) lawsOfEntity(ctx context.Context, account, id string, kind EntityKind) (*authz.PrincipalLaws, error) {
	if l, ok := s.laws.Get(ctx, s.store, id); ok {
		return l, nil
	}
	return s.readLaws(ctx, account, strings.Clone(id), kind)
}

func (s *Store) readLaws(ctx context.Context, account, id string, kind EntityKind) (*authz.PrincipalLaws, error) {
	return s.laws.Find(ctx, s.store, id, func(r *known.Reader) (*authz.PrincipalLaws, bool, error) {
		out := new(authz.PrincipalLaws)
		if _, err := r.Get(generationKey(account)); err != nil {
			return nil, false, err
		}
		e, err := ReadEntity(r.Plain(), id)
		if err != nil || e == nil || e.Kind != kind || e.Account != account {
			return out, false, err
		}
		*out, err = s.LawsOf(r.Plain(), e)
		return out, err == nil, err
	})
}

// lawsOfIssuer returns the laws of the user who created a federated user's session.
func (s *Store) lawsOfIssuer(ctx context.Context, p *policy.Principal) (*authz.PrincipalLaws, error) {
	out := new(authz.PrincipalLaws)
	if p.Issuer.Account != p.Account {
		return out, nil
	}
	if p.Issuer.Resource == "root" {
		return &s.rootLaws, nil
	}
	err := s.store.View(ctx, func(r kv.Reader) error {
		name := p.Issuer.Resource[strings.LastIndexByte(p.Issuer.Resource, '/')+1:]
		u, err := FindEntity(r, p.Account, User, name)
		if err != nil || u == nil || u.ARN() != p.Issuer {
			return err
		}
		*out, err = s.LawsOf(r, u)
		return err
	})
	return out, err
}

// LawsOf returns the laws of an entity. If a policy cannot be read or compiled, that is an
// error, because it may contain a Deny.
func (s *Store) LawsOf(r kv.Reader, e *Entity) (authz.PrincipalLaws, error) {
	var out authz.PrincipalLaws
	sources := []*Entity{e}
	for _, id := range e.Groups {
		g, err := ReadEntity(r, id)
		if err != nil {
			return out, err
		}
		if g == nil {
			return out, record.Malformed("a membership in " + id)
		}
		sources = append(sources, g)
	}
	for _, from := range sources {
		for _, p := range from.Inline {
			d, err := s.Document(p.Document)
			if err != nil {
				return out, err
			}
			out.Identity = append(out.Identity, d.Named(p.Name))
		}
		for _, name := range from.Attached {
			d, err := s.inForce(r, e.Account, name)
			if err != nil {
				return out, err
			}
			out.Identity = append(out.Identity, d.Named(PolicyName(name)))
		}
	}
	if e.Boundary != "" {
		d, err := s.inForce(r, e.Account, e.Boundary)
		if err != nil {
			return out, err
		}
		out.Boundary = []*policy.Document{d.Named(PolicyName(e.Boundary))}
	}
	return out, nil
}

// inForce returns the compiled default version of a managed policy.
func (s *Store) inForce(r kv.Reader, account, name string) (*policy.Document, error) {
	p, err := s.FindPolicy(r, account, name)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, record.Malformed("an attachment of " + name)
	}
	return s.Document(p.InForce().Document)
}

// Document compiles a stored identity policy.
func (s *Store) Document(text string) (*policy.Document, error) {
	d, err := s.documents.Get(policy.Identity, text)
	if err != nil {
		return nil, fault.Internal(err)
	}
	return d, nil
}

// PolicyTexts returns the texts of the policies of an entity, and of its boundary.
func (s *Store) PolicyTexts(r kv.Reader, e *Entity) (identity, boundary []Inline, err error) {
	groups, err := EntitiesByName(r, e.Groups)
	if err != nil {
		return nil, nil, err
	}
	managed := func(name string) (Inline, error) {
		p, err := s.FindPolicy(r, e.Account, name)
		if err == nil && p == nil {
			err = record.Malformed("an attachment of " + name)
		}
		if err != nil {
			return Inline{}, err
		}
		return Inline{p.Name, p.InForce().Document}, nil
	}
	for _, from := range append([]*Entity{e}, groups...) {
		identity = append(identity, from.Inline...)
		for _, name := range from.Attached {
			p, err := managed(name)
			if err != nil {
				return nil, nil, err
			}
			identity = append(identity, p)
		}
	}
	if e.Boundary == "" {
		return identity, nil, nil
	}
	p, err := managed(e.Boundary)
	return identity, []Inline{p}, err
}
