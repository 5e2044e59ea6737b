package simulate

import (
	"context"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/core/identity"
	"watertight/internal/storage/kv"
)

// Operator has what the operator may ask without a grant. Handlers of the network API do
// not get one.
type Operator struct{ *Simulator }

// NewOperator returns the Operator of a simulator.
func NewOperator(s *Simulator) *Operator { return &Operator{s} }

// Subjects returns the principals whose access to a resource of an account may be compared:
// anonymous callers, other accounts, the account's root user, its users and its roles, and
// the others in names: services, the root users of other accounts and their users, roles
// and sessions. It returns at most most of them; cut reports that there are more.
func (o *Operator) Subjects(
	ctx context.Context, account string, names []policy.PrincipalName, most int,
) (all []policy.Subject, cut bool, err error) {
	all = []policy.Subject{
		{Name: "anonymous", Principal: policy.Principal{Kind: policy.Anonymous}},
		o.rootSubject("any other account", policy.Stranger), o.rootSubject(arn.Root(account).String(), account),
	}
	err = o.store.View(ctx, func(r kv.Reader) error {
		for _, name := range names {
			if err := o.addNamed(r, &all, account, name); err != nil {
				return err
			}
		}
		for _, k := range []identity.EntityKind{identity.User, identity.Role} {
			for id, err := range identity.IDs(r, account, k) {
				if err != nil {
					return err
				}
				if cut = len(all) >= most; cut {
					return nil
				}
				e, err := identity.ReadEntity(r, id)
				if err != nil {
					return err
				}
				if e == nil {
					continue
				}
				if err := o.addEntity(r, &all, e); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return all, cut, err
}

func (o *Operator) rootSubject(name, account string) policy.Subject {
	return policy.Subject{Name: name, Principal: identity.RootPrincipal(account), Identity: o.identities.RootLaws()}
}

// addNamed adds a principal that a Principal element names, if it does not belong to the
// account itself.
func (o *Operator) addNamed(r kv.Reader, all *[]policy.Subject, account string, p policy.PrincipalName) error {
	switch p.Type {
	case "Service":
		*all = append(*all, policy.Subject{
			Name: p.Value, Principal: policy.Principal{Kind: policy.Service, Name: p.Value},
		})
		return nil
	case "CanonicalUser":
		id, found, err := identity.AccountByCanonicalID(r, p.Value)
		if err == nil && found && id != account {
			*all = append(*all, o.rootSubject(arn.Root(id).String(), id))
		}
		return err
	case "AWS":
	default:
		return nil
	}
	if arn.IsAccountID(p.Value) {
		p.Value = arn.Root(p.Value).String()
	}
	a, err := arn.Parse(p.Value)
	switch {
	case err != nil || p.Value == "*": // a unique id, or everyone
		return nil
	case a.Service == "sts":
		return o.addSession(r, all, a)
	case a.Account == account:
		return nil
	case a.Resource == "root":
		*all = append(*all, o.rootSubject(p.Value, a.Account))
		return nil
	}
	e, err := identity.FindARN(r, a)
	if err != nil || e == nil {
		return err
	}
	return o.addEntity(r, all, e)
}

// addSession adds a role's session by its ARN.
func (o *Operator) addSession(r kv.Reader, all *[]policy.Subject, a arn.ARN) error {
	role, session, ok := strings.Cut(strings.TrimPrefix(a.Resource, "assumed-role/"), "/")
	if !ok {
		return nil
	}
	e, err := identity.FindEntity(r, a.Account, identity.Role, role)
	if err != nil || e == nil {
		return err
	}
	out, err := o.subject(r, e)
	if err != nil {
		return err
	}
	out.Principal = e.RoleSession(session)
	out.Principal.ARN = a
	if session != anySession {
		out.Name = a.String()
	}
	*all = append(*all, out)
	return nil
}

// anySession is the name of a session that stands for all sessions of its role.
const anySession = "any"

// addEntity adds a user, or a role as anySession of that role.
func (o *Operator) addEntity(r kv.Reader, all *[]policy.Subject, e *identity.Entity) error {
	out, err := o.subject(r, e)
	if err == nil {
		*all = append(*all, out)
	}
	return err
}

func (o *Operator) subject(r kv.Reader, e *identity.Entity) (policy.Subject, error) {
	laws, err := o.identities.LawsOf(r, e)
	if err != nil {
		return policy.Subject{}, err
	}
	out := policy.Subject{
		Name: e.ARN().String(), Principal: e.Principal(), Identity: laws.Identity, Boundary: laws.Boundary,
	}
	if e.Kind == identity.Role {
		out.Principal = e.RoleSession(anySession)
	}
	return out, nil
}
