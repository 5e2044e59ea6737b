package bucket

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// SetVersioning enables or suspends versioning. A concurrent write is stored by the state
// that it reads when it commits. It needs s3:PutBucketVersioning. Errors: NoSuchBucket,
// IllegalVersioningConfigurationException for Off, to which a bucket cannot return (S3 user
// guide, "Using versioning in S3 buckets").
func (s *Store) SetVersioning(ctx context.Context, g authz.Grant, name string, state Versioning) error {
	if state != Enabled && state != Suspended {
		return fault.Of(fault.IllegalVersioningConfigurationException)
	}
	return s.modify(ctx, g, "s3:PutBucketVersioning", name, func(_ kv.Tx, b *Bucket) error {
		if b.Versioning == state {
			return change.ErrUnchanged
		}
		b.Versioning = state
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
