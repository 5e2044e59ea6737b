package bucket

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/acl"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Ownership is a bucket's Object Ownership setting by its AWS name. It is empty if the
// setting was deleted, which has the effect of ObjectWriter (S3 user guide, "Controlling
// ownership of objects and disabling ACLs").
type Ownership string

// The values of Ownership. BucketOwnerEnforced is the default: ACLs are disabled.
const (
	BucketOwnerEnforced  Ownership = "BucketOwnerEnforced"
	BucketOwnerPreferred Ownership = "BucketOwnerPreferred"
	ObjectWriter         Ownership = "ObjectWriter"
)

// Known reports whether a client may ask for the setting.
func (o Ownership) Known() bool {
	return o == BucketOwnerEnforced || o == BucketOwnerPreferred || o == ObjectWriter
}

// ACLs reports whether ACLs are enabled. Only BucketOwnerEnforced disables them.
func (o Ownership) ACLs() bool { return o != BucketOwnerEnforced }

// OwnerOfNew returns the account that will own an object that account writes into the
// bucket with an ACL. The bucket's owner owns what anonymous callers write, so that no
// stranger controls it.
func (b *Bucket) OwnerOfNew(account string, asked *acl.Request) string {
	if !b.Ownership.ACLs() || account == "" || b.Ownership == BucketOwnerPreferred && asked.HandsOver() {
		return b.Owner
	}
	return account
}

// SetOwnership changes who owns new objects, and whether ACLs are enabled. It needs
// s3:PutBucketOwnershipControls. Errors: NoSuchBucket, and
// InvalidBucketAclWithObjectOwnership if the setting disables ACLs while the bucket's ACL
// has grants to others.
func (s *Store) SetOwnership(ctx context.Context, g authz.Grant, name string, o Ownership) error {
	return s.modify(ctx, g, "s3:PutBucketOwnershipControls", name, func(_ kv.Tx, b *Bucket) error {
		if !o.ACLs() && len(b.ACL.Foreign(b.Owner)) > 0 {
			return aclWithOwnership()
		}
		if b.Ownership == o {
			return change.ErrUnchanged
		}
		b.Ownership = o
		return nil
	})
}

// DeleteOwnership removes the setting, which has the effect of ObjectWriter. It needs
// s3:PutBucketOwnershipControls. Errors: NoSuchBucket.
func (s *Store) DeleteOwnership(ctx context.Context, g authz.Grant, name string) error {
	return s.SetOwnership(ctx, g, name, "")
}

// GetOwnership returns the setting. It needs s3:GetBucketOwnershipControls.
// Errors: NoSuchBucket, OwnershipControlsNotFoundError where it was deleted.
func (s *Store) GetOwnership(ctx context.Context, g authz.Grant, name string) (Ownership, error) {
	if err := g.Demand("s3:GetBucketOwnershipControls", arn.Bucket(name)); err != nil {
		return "", err
	}
	b, err := s.read(ctx, name)
	if err != nil {
		return "", err
	}
	if b.Ownership == "" {
		return "", fault.Of(fault.OwnershipControlsNotFoundError).With("BucketName", name)
	}
	return b.Ownership, nil
}

func aclWithOwnership() error {
	return fault.Of(fault.InvalidBucketAclWithObjectOwnership)
}
