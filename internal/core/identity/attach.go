package identity

import (
	"context"
	"slices"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// notAttachable is AWS's error for a policy to attach that does not exist.
func notAttachable(name string) error {
	return noSuch("Policy %s does not exist or is not attachable.", name)
}

// attachable returns a policy that an entity of the account may use.
func (s *Store) attachable(r kv.Reader, account, name string) (*ManagedPolicy, error) {
	if _, err := policyTarget(name); err != nil {
		return nil, err
	}
	p, err := s.FindPolicy(r, account, name)
	if err == nil && p == nil {
		err = notAttachable(name)
	}
	return p, err
}

// Attach attaches a managed policy to an entity. Attaching it again changes nothing. It
// needs iam:AttachUserPolicy, iam:AttachGroupPolicy or iam:AttachRolePolicy. Errors:
// NoSuchEntity, LimitExceeded, InvalidInput, ValidationError.
func (s *Store) Attach(ctx context.Context, g authz.Grant, k EntityKind, name, policyARN string) error {
	return s.modify(ctx, g, policy.Action("iam:Attach"+k.String()+"Policy"), k, name, func(tx kv.Tx, e *Entity) error {
		p, err := s.attachable(tx, e.Account, policyARN)
		if err != nil || slices.Contains(e.Attached, policyARN) {
			return err
		}
		if len(e.Attached) >= maxAttached {
			return LimitExceeded("PoliciesPer"+k.String(), maxAttached)
		}
		e.Attached = append(e.Attached, policyARN)
		tx.Set(useKey(e.Account, attached, p.ID, e.ID), []byte{1})
		return nil
	})
}

// Detach detaches a managed policy from an entity. It needs iam:DetachUserPolicy,
// iam:DetachGroupPolicy or iam:DetachRolePolicy. Errors: NoSuchEntity.
func (s *Store) Detach(ctx context.Context, g authz.Grant, k EntityKind, name, policyARN string) error {
	return s.modify(ctx, g, policy.Action("iam:Detach"+k.String()+"Policy"), k, name, func(tx kv.Tx, e *Entity) error {
		if _, err := policyTarget(policyARN); err != nil {
			return err
		}
		i := slices.Index(e.Attached, policyARN)
		if i < 0 {
			return noSuchPolicy(policyARN)
		}
		p, err := s.FindPolicy(tx, e.Account, policyARN)
		if err != nil {
			return err
		}
		if p == nil {
			return record.Malformed("attachment of " + policyARN)
		}
		e.Attached = slices.Delete(e.Attached, i, i+1)
		tx.Delete(useKey(e.Account, attached, p.ID, e.ID))
		return nil
	})
}

// ListAttached returns a page of the ARNs of an entity's managed policies whose path begins
// with prefix, in the order of their names. It needs iam:ListAttachedUserPolicies,
// ...GroupPolicies or ...RolePolicies. Errors: NoSuchEntity.
func (s *Store) ListAttached(
	ctx context.Context, g authz.Grant, k EntityKind, name, prefix string, p page.Request,
) (names []string, next string, err error) {
	err = s.inspect(ctx, g, policy.Action("iam:ListAttached"+k.String()+"Policies"), k, name,
		func(_ kv.Reader, e *Entity) error {
			for _, a := range e.Attached {
				if strings.HasPrefix(policyPath(a), prefix) {
					names = append(names, a)
				}
			}
			key := func(a *string) string { return strings.ToLower(PolicyName(*a)) + "\x00" + accountOf(*a) }
			slices.SortFunc(names, func(a, b string) int { return strings.Compare(key(&a), key(&b)) })
			names, next, err = page.Cut(names, key, p, "attached\x00"+e.ID)
			return err
		})
	return names, next, err
}

// PolicyName returns the name in the ARN of a managed policy.
func PolicyName(policyARN string) string {
	return policyARN[strings.LastIndexByte(policyARN, '/')+1:]
}

// policyPath returns the path in the ARN of a managed policy.
func policyPath(policyARN string) string {
	a, _ := arn.Parse(policyARN)
	path := strings.TrimPrefix(a.Resource, "policy")
	return path[:strings.LastIndexByte(path, '/')+1]
}

func accountOf(policyARN string) string {
	a, _ := arn.Parse(policyARN)
	return a.Account
}

// setBoundary sets or, with an empty ARN, removes the permissions boundary of an entity.
func (s *Store) setBoundary(tx kv.Tx, e *Entity, policyARN string) error {
	if e.Boundary == policyARN {
		return nil
	}
	if e.Boundary != "" {
		old, err := s.FindPolicy(tx, e.Account, e.Boundary)
		if err != nil {
			return err
		}
		if old == nil {
			return record.Malformed("boundary " + e.Boundary)
		}
		tx.Delete(useKey(e.Account, bounding, old.ID, e.ID))
	}
	e.Boundary = policyARN
	if policyARN == "" {
		return nil
	}
	p, err := s.attachable(tx, e.Account, policyARN)
	if err != nil {
		return err
	}
	tx.Set(useKey(e.Account, bounding, p.ID, e.ID), []byte{1})
	return nil
}

// PutBoundary sets the permissions boundary of a user or role. It needs
// iam:PutUserPermissionsBoundary or iam:PutRolePermissionsBoundary.
// Errors: NoSuchEntity, InvalidInput.
func (s *Store) PutBoundary(ctx context.Context, g authz.Grant, k EntityKind, name, policyARN string) error {
	return s.modify(ctx, g, policy.Action("iam:Put"+k.String()+"PermissionsBoundary"), k, name,
		func(tx kv.Tx, e *Entity) error {
			if _, err := policyTarget(policyARN); err != nil {
				return err
			}
			return s.setBoundary(tx, e, policyARN)
		})
}

// DeleteBoundary removes the permissions boundary of a user or role. It needs
// iam:DeleteUserPermissionsBoundary or iam:DeleteRolePermissionsBoundary.
// Errors: NoSuchEntity.
func (s *Store) DeleteBoundary(ctx context.Context, g authz.Grant, k EntityKind, name string) error {
	return s.modify(ctx, g, policy.Action("iam:Delete"+k.String()+"PermissionsBoundary"), k, name,
		func(tx kv.Tx, e *Entity) error {
			if e.Boundary == "" {
				return noSuch("%s %s does not have a permission boundary.", k, e.Name)
			}
			return s.setBoundary(tx, e, "")
		})
}

// UsesInput selects uses of a managed policy; empty fields select all.
type UsesInput struct {
	Policy     string
	Kind       EntityKind // 0 for every kind
	PathPrefix string
	Attached   bool // only uses as a permissions policy
	Bounding   bool // only uses as a boundary
	Page       page.Request
}

// Uses returns a page of the entities that use a managed policy, in the order of kind and
// name. It needs iam:ListEntitiesForPolicy. Errors: NoSuchEntity.
func (s *Store) Uses(ctx context.Context, g authz.Grant, in UsesInput) (all []*Entity, next string, err error) {
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		p, err := s.demandPolicy(r, g, account, "iam:ListEntitiesForPolicy", in.Policy)
		if fault.Is(err, fault.NoSuchEntity) {
			if nobody, failed := s.unpublished(r, account, in.Policy); nobody || failed != nil {
				return failed
			}
		}
		if err != nil {
			return err
		}
		var ids []string
		for how, wanted := range map[string]bool{attached: !in.Bounding, bounding: !in.Attached} {
			if !wanted {
				continue
			}
			some, err := record.Names(r, useKey(account, how, p.ID, ""))
			if err != nil {
				return err
			}
			ids = append(ids, some...)
		}
		slices.Sort(ids)
		entities, err := EntitiesByName(r, slices.Compact(ids))
		if err != nil {
			return err
		}
		key := func(e **Entity) string { return (*e).Kind.letter() + nameOf(e) }
		slices.SortStableFunc(entities, func(a, b *Entity) int { return strings.Compare(key(&a), key(&b)) })
		entities = slices.DeleteFunc(entities, func(e *Entity) bool {
			return in.Kind != 0 && e.Kind != in.Kind || !strings.HasPrefix(e.Path, in.PathPrefix)
		})
		all, next, err = page.Cut(entities, key, in.Page, "uses\x00"+account+p.ID)
		return err
	})
	return all, next, err
}

// PoliciesInput selects managed policies.
type PoliciesInput struct {
	AWS, Local         bool // whose policies; at least one is set
	OnlyAttached       bool // only policies that are used in the selected way
	PathPrefix         string
	Attached, Bounding bool // the selected way of use; if neither is set, both ways
	Page               page.Request
}

// Policies returns a page of managed policies, AWS's first, in the order of their names. It
// needs iam:ListPolicies on "*".
func (s *Store) Policies(
	ctx context.Context, g authz.Grant, in PoliciesInput,
) (all []*ManagedPolicy, next string, err error) {
	if err := g.Demand("iam:ListPolicies", arn.Any()); err != nil {
		return nil, "", err
	}
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		found, err := s.policies(r, account, in)
		if err != nil {
			return err
		}
		all, next, err = page.Cut(found, func(p **ManagedPolicy) string { return policyOrder(*p) }, in.Page,
			"policies\x00"+account)
		return err
	})
	return all, next, err
}

func policyOrder(p *ManagedPolicy) string {
	if p.Account == awsAccount {
		return "0" + strings.ToLower(p.Name)
	}
	return "1" + strings.ToLower(p.Name)
}

func (s *Store) policies(r kv.Reader, account string, in PoliciesInput) ([]*ManagedPolicy, error) {
	var found []*ManagedPolicy
	add := func(p *ManagedPolicy) error {
		if !strings.HasPrefix(p.Path, in.PathPrefix) {
			return nil
		}
		if err := p.count(r, account); err != nil {
			return err
		}
		used := p.Attached > 0 && !in.Bounding || p.Bounding > 0 && !in.Attached
		if in.OnlyAttached && !used || (in.Attached || in.Bounding) && !used {
			return nil
		}
		found = append(found, p)
		return nil
	}
	if in.AWS {
		for _, p := range s.published {
			c := *p
			if err := add(&c); err != nil {
				return nil, err
			}
		}
	}
	if in.Local {
		prefix := namesKey(account, policyLetter)
		for pair, err := range r.Scan(prefix, record.After(prefix)) {
			if err != nil {
				return nil, err
			}
			p, err := readPolicy(r, string(pair.Value))
			if err != nil {
				return nil, err
			}
			if p == nil {
				return nil, record.Malformed("a policy's name")
			}
			if err := add(p); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(found, func(a, b *ManagedPolicy) int { return strings.Compare(policyOrder(a), policyOrder(b)) })
	return found, nil
}

// unpublished reports whether a name is an ARN of AWS's managed policies, but this server
// does not have the policy, so that nothing uses it.
func (s *Store) unpublished(r kv.Reader, account, name string) (bool, error) {
	p, err := s.FindPolicy(r, account, name)
	if err != nil || p != nil {
		return false, err
	}
	a, err := arn.Parse(name)
	return err == nil && a.Partition == "aws" && a.Account == awsAccount, nil
}
