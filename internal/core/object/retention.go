package object

import (
	"cmp"
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/core/instant"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// ServeBy sets the clock by which retentions end. Without it they end by the time of each
// request. It must be called before the first request.
func (s *Store) ServeBy(c *instant.Clock) { s.clock = c }

// removalBy returns the removal for a request. Only a bucket with Object Lock has versions
// with a retention and needs the clock.
func removalBy(c *instant.Clock, g authz.Grant, b *bucket.Bucket) removal {
	if !b.ObjectLock.Enabled {
		return removal{}
	}
	return removal{at: c.Passed(requestTime(g))}
}

// mayBypass reports whether a request may ignore governance mode: it asks to, and its
// caller has the permission.
func mayBypass(g authz.Grant, asked bool, bucketName, key string) bool {
	return asked && g.Allows("s3:BypassGovernanceRetention", arn.Object(bucketName, key))
}

// RetentionInput is a retention for a version. The zero Retention removes the present one.
type RetentionInput struct {
	VersionInput
	Retention Retention
	Bypass    bool // x-amz-bypass-governance-retention; it counts with s3:BypassGovernanceRetention only
}

// PutRetention replaces the retention of a version. It needs s3:PutObjectRetention. While a
// retention has not ended, it can be made longer. In GOVERNANCE mode, Bypass is required to
// shorten or remove it or to change its mode. In COMPLIANCE mode it is never weakened. Errors:
// NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker,
// InvalidArgument, InvalidRequest in a bucket without Object Lock, AccessDenied.
func (s *Store) PutRetention(ctx context.Context, g authz.Grant, in RetentionInput) error {
	if err := g.Demand("s3:PutObjectRetention", arn.Object(in.Bucket, in.Key)); err != nil {
		return err
	}
	now := requestTime(g)
	if in.Retention.Mode != 0 {
		if err := in.Retention.checkDate(s.clock.Reached(now)); err != nil {
			return err
		}
	}
	return s.rewrite(ctx, g, &in.VersionInput, "PUT", func(tx kv.Tx, k slot, v *version) error {
		if err := k.mustLock(); err != nil {
			return err
		}
		bypass := mayBypass(g, in.Bypass, in.Bucket, in.Key)
		at := s.clock.Passed(now)
		if err := v.mayRetain(in.Retention, at, bypass); err != nil {
			if in.Bypass && v.mayRetain(in.Retention, at, true) == nil {
				return cmp.Or(g.Demand("s3:BypassGovernanceRetention", arn.Object(in.Bucket, in.Key)), err)
			}
			return err
		}
		v.lock.Retention = in.Retention
		s.clock.Note(tx)
		return nil
	})
}

// PutLegalHold places or ends the legal hold of a version. It needs s3:PutObjectLegalHold.
// Errors: NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker,
// InvalidArgument, InvalidRequest in a bucket without Object Lock.
func (s *Store) PutLegalHold(ctx context.Context, g authz.Grant, in VersionInput, on bool) error {
	if err := g.Demand("s3:PutObjectLegalHold", arn.Object(in.Bucket, in.Key)); err != nil {
		return err
	}
	return s.rewrite(ctx, g, &in, "PUT", func(_ kv.Tx, k slot, v *version) error {
		if v.lock.Hold = HoldOff; on {
			v.lock.Hold = HoldOn
		}
		return k.mustLock()
	})
}

// GetRetention returns the retention of a version, whether or not it has ended. It needs
// s3:GetObjectRetention. Errors: NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed
// for a delete marker, InvalidArgument, InvalidRequest in a bucket without Object Lock,
// NoSuchObjectLockConfiguration for a version without one.
func (s *Store) GetRetention(ctx context.Context, g authz.Grant, in VersionInput) (Retention, error) {
	if err := g.Demand("s3:GetObjectRetention", arn.Object(in.Bucket, in.Key)); err != nil {
		return Retention{}, err
	}
	l, err := s.lockOf(ctx, g, &in)
	if err == nil && l.Mode == 0 {
		err = fault.Of(fault.NoSuchObjectLockConfiguration)
	}
	return l.Retention, err
}

// GetLegalHold returns the legal hold of a version. It needs s3:GetObjectLegalHold. Errors:
// those of GetRetention.
func (s *Store) GetLegalHold(ctx context.Context, g authz.Grant, in VersionInput) (LegalHold, error) {
	if err := g.Demand("s3:GetObjectLegalHold", arn.Object(in.Bucket, in.Key)); err != nil {
		return HoldNever, err
	}
	l, err := s.lockOf(ctx, g, &in)
	if err == nil && l.Hold == HoldNever {
		err = fault.Of(fault.NoSuchObjectLockConfiguration)
	}
	return l.Hold, err
}

func (s *Store) lockOf(ctx context.Context, g authz.Grant, in *VersionInput) (l Lock, err error) {
	err = change.View(ctx, s.store, g, func(r kv.Reader) error {
		b, err := bucket.For(r, g, in.Bucket)
		if err != nil {
			return err
		}
		v, err := in.find(r, b, "GET")
		if err != nil {
			return err
		}
		l = v.lock
		return slot{b, in.Key}.mustLock()
	})
	return l, err
}

func (s slot) mustLock() error {
	if s.b.ObjectLock.Enabled {
		return nil
	}
	return missingLock("Bucket is missing Object Lock Configuration")
}

// shown returns the parts of the lock that a reader of the version has the permission to
// see (S3 API reference, GetObject).
func (l Lock) shown(ctx context.Context, g authz.Grant, in *GetInput) (out Lock, err error) {
	may := func(action policy.Action) bool {
		if err != nil {
			return false
		}
		need := authz.Need{Action: action, Resource: arn.Object(in.Bucket, in.Key), Version: in.VersionID}
		_, refusal := g.Extend(ctx, authz.Asks(func(context.Context, authz.Caller) ([]authz.Need, error) {
			return []authz.Need{need}, nil
		}))
		if refusal != nil && !fault.Is(refusal, fault.AccessDenied) {
			err = refusal
		}
		return refusal == nil
	}
	if l.Mode != 0 && may("s3:GetObjectRetention") {
		out.Retention = l.Retention
	}
	if l.Hold != HoldNever && may("s3:GetObjectLegalHold") {
		out.Hold = l.Hold
	}
	return out, err
}
