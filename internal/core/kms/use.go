package kms

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// A service uses a key with the permissions of its caller. It extends the caller's grant by
// the needs on the key, so that the key's laws are decided together with those of the
// service's own resources, and again when the change commits. If, while a body is received,
// the key is disabled or a permission on it is removed, the commit is refused.

// ExtendToGenerate resolves the key of a use and returns the grant extended by
// kms:GenerateDataKey on it. Only callers who may use the key get an error about its state.
// Errors: AccessDenied, NotFoundException, InvalidArnException, DisabledException,
// KMSInvalidStateException.
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
		return authz.Grant{}, Key{}, fault.Of(fault.AccessDenied) // KMS accepts signed requests only
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
		if allowed { // the caller may learn the state
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
	for _, a := range actions { // a copy extends the grant twice, for two keys
		wider.Note(string(a), name)
	}
	return wider, key.Key, nil
}

// namesManaged reports whether a name means the account's key alias/aws/s3, which is
// created at its first use.
func (s *Store) namesManaged(account, name string) bool {
	return name == managedAlias || name == s.AliasARN(account, managedAlias).String()
}

// useNeeds resolves the key of a use, and returns the needs for it.
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
			// A caller must not learn which keys other accounts have.
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
