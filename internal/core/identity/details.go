package identity

import (
	"context"
	"slices"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/storage/kv"
)

// DetailsInput selects the parts of an account to describe. If it selects none, all are described.
type DetailsInput struct {
	Kinds      []EntityKind
	Local, AWS bool // managed policies
	Page       page.Request
}

// Details is a page of the entities and policies of an account.
type Details struct {
	Entities []DetailedEntity
	Policies []*ManagedPolicy
	Next     string
}

// DetailedEntity is an entity and the names of its groups.
type DetailedEntity struct {
	*Entity
	GroupNames []string
}

// detail identifies an item in the order of GetAccountAuthorizationDetails.
type detail struct{ order, id string }

// Details describes the account's entities and policies, in the order of kind and name. It
// needs iam:GetAccountAuthorizationDetails on "*".
func (s *Store) Details(ctx context.Context, g authz.Grant, in DetailsInput) (out Details, err error) {
	if err := g.Demand("iam:GetAccountAuthorizationDetails", arn.Any()); err != nil {
		return out, err
	}
	if len(in.Kinds) == 0 && !in.Local && !in.AWS {
		in.Kinds, in.Local, in.AWS = []EntityKind{User, Group, Role}, true, true
	}
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		all, err := s.detailsOf(r, account, in)
		if err != nil {
			return err
		}
		all, next, err := page.Cut(all, func(d *detail) string { return d.order }, in.Page, "details\x00"+account)
		if err != nil {
			return err
		}
		out.Next = next
		for _, d := range all {
			if err := s.describe(r, account, d, &out); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// detailsOf lists the items to describe, without reading them.
func (s *Store) detailsOf(r kv.Reader, account string, in DetailsInput) ([]detail, error) {
	var all []detail
	letters := map[string]string{User.letter(): "0", Group.letter(): "1", Role.letter(): "2", policyLetter: "3"}
	var wanted []string
	for _, k := range []EntityKind{User, Group, Role} {
		if slices.Contains(in.Kinds, k) {
			wanted = append(wanted, k.letter())
		}
	}
	if in.Local {
		wanted = append(wanted, policyLetter)
	}
	for _, letter := range wanted {
		prefix := namesKey(account, letter)
		for pair, err := range r.Scan(prefix, record.After(prefix)) {
			if err != nil {
				return nil, err
			}
			all = append(all, detail{letters[letter] + string(pair.Key[len(prefix):]), string(pair.Value)})
		}
	}
	if in.AWS {
		// Only those in use (IAM API reference, GetAccountAuthorizationDetails).
		found, err := s.policies(r, account, PoliciesInput{AWS: true, OnlyAttached: true})
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			all = append(all, detail{"4" + strings.ToLower(p.Name), p.ARN().String()})
		}
	}
	return all, nil
}

func (s *Store) describe(r kv.Reader, account string, d detail, out *Details) error {
	if d.order[0] >= '3' {
		p, err := readPolicy(r, d.id)
		if d.order[0] == '4' {
			p, err = s.FindPolicy(r, account, d.id)
		}
		if err != nil {
			return err
		}
		if p == nil {
			return record.Malformed("policy " + d.id)
		}
		out.Policies = append(out.Policies, p)
		return p.count(r, account)
	}
	e, err := ReadEntity(r, d.id)
	if err != nil {
		return err
	}
	if e == nil {
		return record.Malformed("entity " + d.id)
	}
	if err := e.showTrust(r); err != nil {
		return err
	}
	groups, err := EntitiesByName(r, e.Groups)
	if err != nil {
		return err
	}
	one := DetailedEntity{Entity: e}
	for _, g := range groups {
		one.GroupNames = append(one.GroupNames, g.Name)
	}
	out.Entities = append(out.Entities, one)
	return nil
}
