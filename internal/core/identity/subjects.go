package identity

import (
	"context"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/storage/kv"
)

// Subjects are those whose access to something of an account may be compared:
// strangers, the account's root user, its users and its roles, and whom else
// names name: services, the root users of other accounts and the users, roles
// and sessions in them. No more than most are returned, and cut tells that there
// are more. It is for the operator.
func (s *Store) Subjects(ctx context.Context, account string, names []policy.PrincipalName, most int) (all []policy.Subject, cut bool, err error) {
	all = []policy.Subject{
		{Name: "anonymous", Principal: policy.Principal{Kind: policy.Anonymous}},
		s.rootSubject("any other account", policy.Stranger), s.rootSubject(arn.Root(account).String(), account),
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		for _, name := range names {
			if err := s.addNamed(r, &all, account, name); err != nil {
				return err
			}
		}
		for _, k := range []EntityKind{User, Role} {
			prefix := namesKey(account, k.letter())
			for p, err := range r.Scan(prefix, record.After(prefix)) {
				if err != nil {
					return err
				}
				if cut = len(all) >= most; cut {
					return nil
				}
				if err := s.addEntity(r, &all, string(p.Value)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return all, cut, err
}

func (s *Store) rootSubject(name, account string) policy.Subject {
	return policy.Subject{Name: name, Principal: rootPrincipal(account), Identity: s.root}
}

// addNamed adds one that a Principal element names and that is not among the
// account's own.
func (s *Store) addNamed(r kv.Reader, all *[]policy.Subject, account string, p policy.PrincipalName) error {
	switch p.Type {
	case "Service":
		*all = append(*all, policy.Subject{Name: p.Value, Principal: policy.Principal{Kind: policy.Service, Name: p.Value}})
		return nil
	case "CanonicalUser":
		id, err := r.Get(canonicalKey(p.Value))
		if err == nil && id != nil && string(id) != account {
			*all = append(*all, s.rootSubject(arn.Root(string(id)).String(), string(id)))
		}
		return err
	case "AWS":
	default:
		return nil
	}
	if checkAccountID(p.Value) == nil {
		p.Value = arn.Root(p.Value).String()
	}
	a, err := arn.Parse(p.Value)
	switch {
	case err != nil || p.Value == "*": // an id, or everybody
		return nil
	case a.Service == "sts":
		return s.addSession(r, all, a)
	case a.Account == account:
		return nil
	case a.Resource == "root":
		*all = append(*all, s.rootSubject(p.Value, a.Account))
		return nil
	}
	e, err := entityNamed(r, p)
	if err != nil || idOf(e) == "" {
		return err
	}
	return s.addEntity(r, all, e.ID)
}

// addSession adds a role's session by its ARN.
func (s *Store) addSession(r kv.Reader, all *[]policy.Subject, a arn.ARN) error {
	role, session, ok := strings.Cut(strings.TrimPrefix(a.Resource, "assumed-role/"), "/")
	if !ok {
		return nil
	}
	e, err := findEntity(r, a.Account, Role, role)
	if err != nil || e == nil {
		return err
	}
	return s.addActing(r, all, e, a, session)
}

// addEntity adds a user, or a role as any session of it.
func (s *Store) addEntity(r kv.Reader, all *[]policy.Subject, id string) error {
	e, err := readEntity(r, id)
	if err != nil || e == nil {
		return err
	}
	session := arn.ARN{Partition: "aws", Service: "sts", Account: e.Account, Resource: "assumed-role/" + e.Name + "/any"}
	return s.addActing(r, all, e, session, "any")
}

func (s *Store) addActing(r kv.Reader, all *[]policy.Subject, e *Entity, session arn.ARN, name string) error {
	laws, err := s.compile(r, e)
	if err != nil {
		return err
	}
	out := policy.Subject{Name: e.ARN().String(), Principal: e.principal(), Identity: laws.Identity, Boundary: laws.Boundary}
	if e.Kind == Role {
		out.Principal = policy.Principal{Kind: policy.RoleSession, Account: e.Account, ARN: session, Role: e.ARN(), ID: e.ID + ":" + name}
		if name != "any" {
			out.Name = session.String()
		}
	}
	*all = append(*all, out)
	return nil
}
