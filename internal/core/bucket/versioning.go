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

// configure changes a setting of a bucket while nobody writes into it. It needs
// action on the bucket; do may return change.ErrUnchanged.
func (s *Store) configure(ctx context.Context, g authz.Grant, action policy.Action, name string, do func(kv.Tx, *Bucket) error) error {
	if err := g.Demand(action, arn.Bucket(name)); err != nil {
		return err
	}
	return change.Commit(ctx, s.store, g, func(tx kv.Tx) error {
		if err := tx.Lock(Guard(name), kv.Exclusive); err != nil {
			return err
		}
		b, err := Read(tx, name)
		if err != nil {
			return err
		}
		return do(tx, &b)
	})
}

// SetVersioning enables or suspends versioning; a write that is under way is
// stored by the state it finds when it commits. It needs s3:PutBucketVersioning.
// Errors: NoSuchBucket, IllegalVersioningConfigurationException for Off, to
// which there is no way back (S3 user guide, "Using versioning in S3 buckets").
func (s *Store) SetVersioning(ctx context.Context, g authz.Grant, name string, state Versioning) error {
	if state != Enabled && state != Suspended {
		return fault.Of(fault.IllegalVersioningConfigurationException)
	}
	return s.configure(ctx, g, "s3:PutBucketVersioning", name, func(tx kv.Tx, b *Bucket) error {
		if b.Versioning == state {
			return change.ErrUnchanged
		}
		b.Versioning = state
		tx.Set(bucketKey(name), b.encode())
		return nil
	})
}

// GetVersioning returns a bucket's versioning state. It needs
// s3:GetBucketVersioning.
func (s *Store) GetVersioning(ctx context.Context, g authz.Grant, name string) (Versioning, error) {
	if err := g.Demand("s3:GetBucketVersioning", arn.Bucket(name)); err != nil {
		return Off, err
	}
	b, err := s.read(ctx, name)
	return b.Versioning, err
}
