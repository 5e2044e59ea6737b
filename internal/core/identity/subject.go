package identity

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// Subject has what the needs of an operation depend on: its target's current ARN, and the
// target's condition keys. If the target does not exist, it has the ARN with the path "/".
type Subject struct {
	ARN      arn.ARN
	Tags     []tag.Tag
	Boundary string
}

// ResourceKeys returns the condition keys for the target's tags.
func (s Subject) ResourceKeys() map[string][]string {
	m := map[string][]string{}
	for _, t := range s.Tags {
		for _, prefix := range [...]string{"aws:resourcetag/", "iam:resourcetag/"} {
			name := policy.KeyName(prefix + t.Key)
			m[name] = append(m[name], t.Value) // the tag keys of a provider may differ only by case
		}
	}
	return m
}

// Subject returns a user, group or role as the subject of an authorization. It asks for no
// grant: its result reaches a caller only through a decision.
func (s *Store) Subject(ctx context.Context, account string, k EntityKind, name string) (out Subject, err error) {
	out.ARN = EntityARN(account, k, "/", name)
	err = s.store.View(ctx, func(r kv.Reader) error {
		e, err := FindEntity(r, account, k, name)
		if err == nil && e != nil {
			out = Subject{e.ARN(), e.Tags, e.Boundary}
		}
		return err
	})
	return out, err
}

// PolicySubject returns a managed policy as the subject of an authorization, by its ARN.
// Errors: ValidationError, InvalidInput.
func (s *Store) PolicySubject(ctx context.Context, account, name string) (out Subject, err error) {
	if out.ARN, err = policyTarget(name); err != nil {
		return out, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		p, err := s.FindPolicy(r, account, name)
		if err == nil && p != nil {
			out.Tags = p.Tags
		}
		return err
	})
	return out, err
}

// Renamed returns the ARN that a user or group would have after Rename.
func (s *Store) Renamed(
	ctx context.Context, account string, k EntityKind, name string, to Renaming,
) (a arn.ARN, err error) {
	e := &Entity{Kind: k, Account: account, Name: name, Path: "/"}
	err = s.store.View(ctx, func(r kv.Reader) error {
		found, err := FindEntity(r, account, k, name)
		if err == nil && found != nil {
			e = found
		}
		return err
	})
	if to.Name != "" {
		e.Name = to.Name
	}
	if to.Path != "" {
		e.Path = to.Path
	}
	return e.ARN(), err
}
