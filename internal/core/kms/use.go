package kms

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
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
	return s.extend(ctx, g, u, generates)
}

// ExtendToDecrypt is ExtendToGenerate for kms:Decrypt.
func (s *Store) ExtendToDecrypt(ctx context.Context, g authz.Grant, u Use) (authz.Grant, Key, error) {
	return s.extend(ctx, g, u, decrypts)
}

// ExtendToBoth is ExtendToGenerate for kms:GenerateDataKey and kms:Decrypt: parts of an
// upload need both (S3 API reference, UploadPart).
func (s *Store) ExtendToBoth(ctx context.Context, g authz.Grant, u Use) (authz.Grant, Key, error) {
	return s.extend(ctx, g, u, generates|decrypts)
}

// needed says which actions a use needs.
type needed uint8

const (
	generates needed = 1 << iota
	decrypts
)

// extend extends the grant by the actions that a use needs.
func (s *Store) extend(ctx context.Context, g authz.Grant, u Use, n needed) (authz.Grant, Key, error) {
	c := g.Caller()
	account := c.Account()
	if account == "" && c.Kind() != policy.Service {
		return authz.Grant{}, Key{}, fault.Of(fault.AccessDenied) // KMS accepts signed requests only
	}
	x := &extension{needed: n, of: u, useConditions: useConditions{s: s}}
	wider, err := g.ExtendIn(ctx, &x.grant, x)
	if fault.Is(err, fault.NotFoundException) && s.namesManaged(account, u.Key) {
		if _, err := s.ManagedKey(ctx, account); err != nil {
			return authz.Grant{}, Key{}, err
		}
		wider, err = g.Extend(ctx, x)
	}
	if err != nil {
		return authz.Grant{}, Key{}, err
	}
	x.allowed = true
	if err := x.key.check(toUse, x.at); err != nil {
		return authz.Grant{}, Key{}, err
	}
	for i := range x.asked { // a copy extends the grant twice, for two keys
		wider.Note(string(x.asked[i].Action), x.key.texts()...)
	}
	return wider, x.key.key(), nil
}

// namesManaged reports whether a name means the account's key alias/aws/s3, which is
// created at its first use.
func (s *Store) namesManaged(account, name string) bool {
	return name == managedAlias || name == s.AliasARN(account, managedAlias).String()
}

// extension is what a use adds to the grant of a request. Its needs are computed again
// whenever the grant is renewed.
type extension struct {
	of      Use
	needed  needed
	allowed bool // the caller may use the key, so it may learn its state
	asked   []authz.Need
	room    [1]authz.Need // of asked, for most uses
	grant   authz.Room    // the wider grant, in the same piece of memory
	useConditions
}

// Needs implements authz.Asker. It resolves the key of the use, and returns the needs for it. They have the laws of the
// record that was found.
func (x *extension) Needs(ctx context.Context, c authz.Caller) ([]authz.Need, error) {
	account := c.Account()
	x.useConditions = useConditions{s: x.s, use: &x.of, at: c.At()}
	var err error
	if x.key, x.alias, err = x.s.findNow(ctx, account, x.of.Key, x.at); err != nil {
		if a, bad := arn.Parse(x.of.Key); bad == nil && a.Account != account &&
			fault.Is(err, fault.NotFoundException) && a.Region == x.s.region {
			// A caller must not learn which keys other accounts have.
			err = fault.Of(fault.AccessDenied).Because(err)
		}
		return nil, err
	}
	x.asked = x.room[:0]
	if x.needed&generates != 0 {
		x.ask("kms:GenerateDataKey")
	}
	if x.needed&decrypts != 0 {
		x.ask("kms:Decrypt")
	}
	if x.allowed {
		err = x.key.check(toUse, x.at)
	}
	return x.asked, err
}

func (x *extension) ask(a policy.Action) {
	x.asked = append(x.asked, authz.Need{Action: a, Resource: x.key.arn(), Asked: &x.useConditions})
}
