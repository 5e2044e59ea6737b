package kms

import (
	"context"
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
	u, err := s.current(ctx, key.Account, key.String(), g.Caller().At())
	if err != nil {
		return nil, err
	}
	return sealBlob(forServices, u.id, u.material.id, u.opened, plain[:], binding), nil
}

// Unwrap opens a data key that Wrap sealed with the same key and binding, by whichever
// of the key's materials sealed it. It needs kms:Decrypt on the key. Errors:
// NotFoundException, DisabledException, KMSInvalidStateException, and
// InvalidCiphertextException for what Wrap did not seal so.
func (s *Store) Unwrap(
	ctx context.Context, g authz.Grant, key arn.ARN, wrapped, binding []byte,
) (seal.Key, error) {
	if err := g.Demand("kms:Decrypt", key); err != nil {
		return seal.Key{}, err
	}
	p, ok := parseBlob(wrapped)
	if !ok || p.purpose != forServices || "key/"+p.key.String() != key.Resource {
		return seal.Key{}, invalidCiphertext()
	}
	u, err := s.sealedBy(ctx, key.Account, key.String(), &p, g.Caller().At())
	if err != nil {
		return seal.Key{}, err
	}
	plain, err := p.open(u.opened, binding)
	if err != nil || len(plain) != seal.KeySize {
		return seal.Key{}, invalidCiphertext()
	}
	return seal.Key(plain), nil
}

// invalidCiphertext has no message, as at AWS.
func invalidCiphertext() error { return fault.New(fault.InvalidCiphertextException, "") }

// usable is a key with an opened material.
type usable struct {
	Key
	id       keyID
	material *materialRecord
	opened   seal.Key
}

// current opens a key's current material, if its state allows that it is used.
func (s *Store) current(ctx context.Context, account, name string, at time.Time) (*usable, error) {
	return s.use(ctx, account, name, at, func(k *keyRecord) MaterialID { return k.current })
}

// sealedBy opens the material that a ciphertext names. One that is not the key's is an
// invalid ciphertext.
func (s *Store) sealedBy(ctx context.Context, account, name string, p *blob, at time.Time) (*usable, error) {
	return s.use(ctx, account, name, at, func(*keyRecord) MaterialID { return p.material })
}

func (s *Store) use(
	ctx context.Context, account, name string, at time.Time, which func(*keyRecord) MaterialID,
) (*usable, error) {
	u := &usable{}
	err := s.store.View(ctx, func(r kv.Reader) error {
		k, _, err := s.find(r, account, name, at)
		if err != nil {
			return err
		}
		if err := k.check(toUse, at); err != nil {
			return err
		}
		u.Key = k.key()
		u.id, _ = parseKeyID(k.id)
		if u.material, err = readMaterial(r, k.id, which(k)); err != nil {
			return err
		}
		if u.material == nil || u.material.wrapped == nil {
			return invalidCiphertext()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	u.opened, err = s.openMaterial(u.id, u.material)
	return u, err
}

// managedAlias is the alias of the key that S3 uses where a request names none.
const managedAlias = aliasWord + "aws/s3"

// managedPeriod is how many days lie between rotations of keys that the server manages.
const managedPeriod = 365

// ManagedKey returns the ARN of an account's key alias/aws/s3, and makes the key at its
// first use. It asks for no grant: what the key may be used for is decided by its
// policy, which nobody can change.
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
			return change.ErrUnchanged // another request made it
		}
		k := &keyRecord{
			id: id.String(), region: s.region, account: account, created: now, managed: true,
			description: "Default key that protects S3 objects when no other key is defined",
			period:      managedPeriod, next: now.AddDate(0, 0, managedPeriod),
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

// managedPolicy admits the account's callers through S3, and lets the account look at
// the key (KMS developer guide, "View the key policy of an AWS managed key").
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
