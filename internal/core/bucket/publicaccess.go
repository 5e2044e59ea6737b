package bucket

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

func noPublicAccessBlock(member, value string) error {
	return fault.Of(fault.NoSuchPublicAccessBlockConfiguration).With(member, value)
}

// checkOwner refuses callers of other accounts, whatever a policy allows: only the owner
// decides what is public.
func checkOwner(g authz.Grant, account string) error {
	if account == "" || g.Caller().Account() != account {
		return fault.Of(fault.AccessDenied)
	}
	return nil
}

// SetPublic replaces a bucket's own Block Public Access setting. Nil removes it; then only
// the account's setting applies. It needs s3:PutBucketPublicAccessBlock and a caller of the
// owner's account. Errors: NoSuchBucket, AccessDenied.
func (s *Store) SetPublic(ctx context.Context, g authz.Grant, name string, p *policy.PublicAccess) error {
	return s.configure(ctx, g, "s3:PutBucketPublicAccessBlock", name, func(tx kv.Tx, b *Bucket) error {
		if err := checkOwner(g, b.Owner); err != nil {
			return err
		}
		return setPublic(tx, b, p)
	})
}

func setPublic(tx kv.Tx, b *Bucket, p *policy.PublicAccess) error {
	before := b.Settings
	b.Public, b.PublicNone = policy.PublicAccess{}, p == nil
	if p != nil {
		b.Public = *p
	}
	if b.Settings == before {
		return change.ErrUnchanged
	}
	b.write(tx)
	return nil
}

// GetPublic returns a bucket's own setting. It needs
// s3:GetBucketPublicAccessBlock.
// Errors: NoSuchBucket, NoSuchPublicAccessBlockConfiguration.
func (s *Store) GetPublic(ctx context.Context, g authz.Grant, name string) (policy.PublicAccess, error) {
	if err := g.Demand("s3:GetBucketPublicAccessBlock", arn.Bucket(name)); err != nil {
		return policy.PublicAccess{}, err
	}
	b, err := s.read(ctx, name)
	if err == nil && b.PublicNone {
		err = noPublicAccessBlock("BucketName", name)
	}
	return b.Public, err
}

// SetAccountPublic replaces the setting of the caller's account and ends an exception that
// the operator made. Nil removes the setting; then only the buckets' own settings apply. It
// needs s3:PutAccountPublicAccessBlock on "*". Error: AccessDenied for another account than
// the caller's.
func (s *Store) SetAccountPublic(ctx context.Context, g authz.Grant, account string, p *policy.PublicAccess) error {
	if err := g.Demand("s3:PutAccountPublicAccessBlock", arn.Any()); err != nil {
		return err
	}
	if err := checkOwner(g, account); err != nil {
		return err
	}
	a := AccountPublic{None: p == nil}
	if p != nil {
		a.Access = *p
	}
	return change.Commit(ctx, s.store, g, func(tx kv.Tx) error { return setAccountPublic(tx, account, a) })
}

func setAccountPublic(tx kv.Tx, account string, a AccountPublic) error {
	if err := tx.Lock(publicKey(account), kv.Exclusive); err != nil {
		return err
	}
	old, err := readAccountPublic(tx, account)
	if err != nil {
		return err
	}
	a.kept = old.kept
	tx.Set(publicKey(account), a.encode())
	return nil
}

// GetAccountPublic returns what the caller's account blocks at the time of the request:
// everything if it never set anything. It needs s3:GetAccountPublicAccessBlock on "*".
// Errors: AccessDenied for another account, NoSuchPublicAccessBlockConfiguration if the
// setting was removed.
func (s *Store) GetAccountPublic(
	ctx context.Context, g authz.Grant, account string,
) (p policy.PublicAccess, err error) {
	if err := g.Demand("s3:GetAccountPublicAccessBlock", arn.Any()); err != nil {
		return p, err
	}
	if err := checkOwner(g, account); err != nil {
		return p, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		a, err := readAccountPublic(r, account)
		if err == nil && a.None {
			err = noPublicAccessBlock("AccountId", account)
		}
		p = a.At(g.Caller().At())
		return err
	})
	return p, err
}
