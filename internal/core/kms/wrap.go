package kms

import (
	"context"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// Wrap seals a data key of a service under the key's current material, bound to
// binding. It needs kms:GenerateDataKey on the key. Errors: NotFoundException,
// DisabledException, KMSInvalidStateException.
func (s *Store) Wrap(
	ctx context.Context, g authz.Grant, key arn.ARN, plain seal.Key, binding []byte,
) ([]byte, error) {
	if err := g.Demand("kms:GenerateDataKey", key); err != nil {
		return nil, err
	}
	at, use := g.Caller().At(), useName{key: key.Resource, current: true}
	u, err := s.useAgain(ctx, &key, use, at)
	if u == nil && err == nil {
		u, err = s.useNamed(ctx, key, use, at, func(on arn.ARN) error { return g.Demand("kms:GenerateDataKey", on) })
	}
	if err != nil {
		return nil, err
	}
	w := s.scratch.Get().(*scratch)
	defer s.wipe(w)
	if err := s.openMaterialTo(&w.material, w.context[:], u.id, u.material); err != nil {
		return nil, err
	}
	w.plain = plain
	s.used(u.key, usedToGenerate, at)
	return sealIn(w.room[:], forDataKeys, u.id, u.material.id, w.material, w.plain[:], binding), nil
}

// Unwrap opens a data key that Wrap sealed with the same key and binding, under any of the
// key's materials. It needs kms:Decrypt on the key. Errors: NotFoundException,
// DisabledException, KMSInvalidStateException, and InvalidCiphertextException for anything
// else.
func (s *Store) Unwrap(
	ctx context.Context, g authz.Grant, key arn.ARN, wrapped, binding []byte,
) (seal.Key, error) {
	if err := g.Demand("kms:Decrypt", key); err != nil {
		return seal.Key{}, err
	}
	p, ok := parseBlob(wrapped)
	at, use := g.Caller().At(), useName{key: key.Resource, material: p.material}
	u, err := s.useAgain(ctx, &key, use, at)
	if u == nil && err == nil {
		u, err = s.useNamed(ctx, key, use, at, func(on arn.ARN) error { return g.Demand("kms:Decrypt", on) })
	}
	switch {
	case err != nil:
		return seal.Key{}, err
	case !ok || !p.purpose.isService() || p.key != u.id:
		return seal.Key{}, invalidCiphertext()
	}
	w := s.scratch.Get().(*scratch)
	defer s.wipe(w)
	if err := s.openMaterialTo(&w.material, w.context[:], u.id, u.material); err != nil {
		return seal.Key{}, err
	}
	plain, err := p.openIn(w.room[:], w.material, binding)
	if err != nil || len(plain) != seal.KeySize {
		return seal.Key{}, invalidCiphertext()
	}
	s.used(u.key, usedToDecrypt, at)
	return seal.Key(plain), nil
}

// scratch is memory for one use of a key by a service. It is wiped before another use gets it.
type scratch struct {
	material seal.Key
	plain    seal.Key // a data key
	context  [72]byte
	room     [512]byte // for what is authenticated, and for a data key
}

func (s *Store) wipe(w *scratch) {
	*w = scratch{}
	s.scratch.Put(w)
}

// useNamed reads a key that a service names by its ARN, and a material of it. may is called
// before the caller can learn the key's state.
func (s *Store) useNamed(
	ctx context.Context, key arn.ARN, use useName, at time.Time, may func(arn.ARN) error,
) (*knownUse, error) {
	o := &opening{at: at, may: may, named: &key, sealed: !use.current, material: use.material}
	if err := s.store.View(ctx, func(r kv.Reader) error { return s.readUsable(r, o) }); err != nil {
		return nil, err
	}
	return s.decoded.keepUse(use, &o.usable), nil
}

// findNamed finds the key that a service names.
func (s *Store) findNamed(r kv.Reader, key *arn.ARN, at time.Time) (*keyRecord, error) {
	id, isKey := strings.CutPrefix(key.Resource, "key/")
	if !isKey {
		return nil, invalidKeyID(key.String())
	}
	return s.findID(r, key.Account, key.Region, id, at)
}

// invalidCiphertext has no message, like AWS's error.
func invalidCiphertext() error { return fault.New(fault.InvalidCiphertextException, "") }

// managedAlias is the alias of the key that S3 uses if neither a request nor a bucket names one.
const managedAlias = aliasWord + "aws/s3"

// managedPeriod is the rotation period, in days, of keys that the server manages.
const managedPeriod = 365

// ManagedKey returns the ARN of an account's key alias/aws/s3, and creates the key at its
// first use. It asks for no grant: the key's policy, which nobody can change, decides what
// it may be used for.
func (s *Store) ManagedKey(ctx context.Context, account string) (arn.ARN, error) {
	if !arn.IsAccountID(account) {
		return arn.ARN{}, fault.Of(fault.AccessDenied)
	}
	var found arn.ARN
	look := func(r kv.Reader) error {
		a, err := readAlias(r, account, managedAlias)
		if err == nil && a != nil {
			var k *keyRecord
			if k, err = readKey(r, a.target); err == nil && k != nil {
				found = k.arn()
			}
		}
		return err
	}
	if err := s.store.View(ctx, look); err != nil || !found.IsZero() {
		return found, err
	}
	defer s.wrapping.root.Hold().Release()
	id, now := newKeyID(), s.now()
	first := s.newMaterial(id, seal.NewKey(), now, First)
	err := change.Background(ctx, s.store, "the first use of an account's key alias/aws/s3", func(tx kv.Tx) error {
		found = arn.ARN{}
		switch err := look(tx); {
		case err != nil:
			return err
		case !found.IsZero():
			return change.ErrUnchanged // another request has created it
		}
		k := &keyRecord{
			id: id.String(), region: s.region, account: account, created: now, managed: true,
			description: "Default key that protects S3 objects when no other key is defined",
			period:      managedPeriod, next: now.Add(inDays(managedPeriod)),
		}
		k.setPolicy(s.managedPolicy(account), nil)
		if err := k.add(tx, first); err != nil {
			return err
		}
		tx.Set(dueKey(rotationPrefix, k.next, k.id), record.Start(nil))
		setAlias(tx, account, managedAlias, &aliasRecord{target: k.id, created: now, updated: now})
		found = k.arn()
		return nil
	})
	return found, err
}

// managedPolicy admits the account's callers through S3, and lets the account read the
// key's settings (KMS developer guide, "View the key policy of an AWS managed key").
func (s *Store) managedPolicy(account string) string {
	return `{"Version":"2012-10-17","Id":"auto-s3-2","Statement":[` +
		`{"Sid":"Allow access through S3 for all principals in the account that are authorized to use S3",` +
		`"Effect":"Allow","Principal":{"AWS":"*"},` +
		`"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],` +
		`"Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"` + account + `",` +
		`"kms:ViaService":"s3.` + s.region + `.amazonaws.com"}}},` +
		`{"Sid":"Allow direct access to key metadata to the account","Effect":"Allow",` +
		`"Principal":{"AWS":"` + arn.Root(account).String() + `"},` +
		`"Action":["kms:Describe*","kms:Get*","kms:List*"],"Resource":"*"}]}`
}
