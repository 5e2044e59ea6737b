package kms

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// A service uses a key with the authority of its caller. It extends the caller's grant by
// what it asks of the key, so that the key's laws decide together with the service's own
// and are asked again when the change commits: a key that is disabled while a body comes
// in, or a permission on it that is taken away, refuses the commit.

// ExtendToGenerate resolves the key of a use and returns the grant with
// kms:GenerateDataKey on it. Errors: AccessDenied, NotFoundException,
// InvalidArnException, DisabledException, KMSInvalidStateException. Of a key's state
// only those hear who may use it.
func (s *Store) ExtendToGenerate(ctx context.Context, g authz.Grant, u Use) (authz.Grant, Key, error) {
	return s.extend(ctx, g, u, "kms:GenerateDataKey")
}

// ExtendToDecrypt is ExtendToGenerate for kms:Decrypt.
func (s *Store) ExtendToDecrypt(ctx context.Context, g authz.Grant, u Use) (authz.Grant, Key, error) {
	return s.extend(ctx, g, u, "kms:Decrypt")
}

// ExtendToBoth is ExtendToGenerate for kms:GenerateDataKey and kms:Decrypt: parts of an
// upload need both (S3 API reference, UploadPart).
func (s *Store) ExtendToBoth(ctx context.Context, g authz.Grant, u Use) (authz.Grant, Key, error) {
	return s.extend(ctx, g, u, "kms:GenerateDataKey", "kms:Decrypt")
}

func (s *Store) extend(
	ctx context.Context, g authz.Grant, u Use, actions ...policy.Action,
) (authz.Grant, Key, error) {
	p := g.Caller().Principal()
	if p.Account == "" && p.Kind != policy.Service {
		return authz.Grant{}, Key{}, fault.Of(fault.AccessDenied) // KMS takes signed requests only
	}
	if s.namesManaged(p.Account, u.Key) {
		if _, err := s.ManagedKey(ctx, p.Account); err != nil {
			return authz.Grant{}, Key{}, err
		}
	}
	var key *Subject
	allowed := false
	wider, err := g.Extend(ctx, func(ctx context.Context, c authz.Caller) ([]authz.Need, error) {
		found, needs, err := s.useNeeds(ctx, c, &u, actions)
		if err != nil {
			return nil, err
		}
		key = found
		if allowed { // the caller may know the state
			err = checkState(found.State, toUse, found.ARN.String())
		}
		return needs, err
	})
	if err != nil {
		return authz.Grant{}, Key{}, err
	}
	allowed = true
	name := key.ARN.String()
	if err := checkState(key.State, toUse, name); err != nil {
		return authz.Grant{}, Key{}, err
	}
	for _, a := range actions { // a copy uses two keys
		wider.Note(string(a), name)
	}
	return wider, key.Key, nil
}

// namesManaged reports a name of the account's key for S3, which is made at its first
// use.
func (s *Store) namesManaged(account, name string) bool {
	return name == managedAlias || name == s.AliasARN(account, managedAlias).String()
}

// useNeeds resolves the key of a use, and returns what a caller needs for it.
func (s *Store) useNeeds(
	ctx context.Context, c authz.Caller, u *Use, actions []policy.Action,
) (*Subject, []authz.Need, error) {
	account := c.Principal().Account
	var key *keyRecord
	var alias string
	err := s.store.View(ctx, func(r kv.Reader) (err error) {
		key, alias, err = s.find(r, account, u.Key, c.At())
		return err
	})
	if err != nil {
		if a, bad := arn.Parse(u.Key); bad == nil && a.Account != account && fault.Is(err, fault.NotFoundException) &&
			a.Region == s.region {
			// Nobody learns which keys other accounts have.
			err = fault.Of(fault.AccessDenied).Because(err)
		}
		return nil, nil, err
	}
	subject := key.described(alias, c.At())
	with := &useConditions{s: s, use: u, key: subject}
	needs := make([]authz.Need, len(actions))
	for i, a := range actions {
		needs[i] = authz.Need{Action: a, Resource: subject.ARN, Asked: with}
	}
	return &with.key, needs, nil
}
