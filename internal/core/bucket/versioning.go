package bucket

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/mfa"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// MFADelete says whether removing a version for good, and changing the versioning state,
// needs an MFA code of the bucket owner's root user (S3 user guide, "Configuring MFA
// delete").
type MFADelete uint8

// The states of MFA Delete. The numbers are stored.
const (
	MFADeleteUnset    MFADelete = 0 // never configured
	MFADeleteEnabled  MFADelete = 1
	MFADeleteDisabled MFADelete = 2
)

// VersioningInput is a versioning configuration. MFADeleteUnset keeps the state of MFA
// Delete.
type VersioningInput struct {
	State     Versioning
	MFADelete MFADelete
	MFA       mfa.Proof
}

// SetVersioning enables or suspends versioning and MFA Delete. A concurrent write is stored
// by the state that it reads when it commits. It needs s3:PutBucketVersioning, and an MFA
// code of the bucket owner's root user where MFA Delete is or becomes enabled. Errors:
// NoSuchBucket, AccessDenied without the code, IllegalVersioningConfigurationException for
// Off, to which a bucket cannot return (S3 user guide, "Using versioning in S3 buckets"),
// InvalidRequest for MFA Delete beside a lifecycle configuration, InvalidBucketState for
// Suspended under Object Lock.
func (s *Store) SetVersioning(ctx context.Context, g authz.Grant, name string, in VersioningInput) error {
	if in.State != Enabled && in.State != Suspended {
		return fault.Of(fault.IllegalVersioningConfigurationException)
	}
	return s.modify(ctx, g, "s3:PutBucketVersioning", name, func(_ kv.Tx, b *Bucket) error {
		if in.MFADelete == MFADeleteEnabled || b.MFADelete == MFADeleteEnabled {
			if err := b.demandMFA(in.MFA); err != nil {
				return err
			}
		}
		if err := b.ObjectLock.mayHaveVersioning(in.State); err != nil {
			return err
		}
		old := b.Settings
		if b.Versioning = in.State; in.MFADelete != MFADeleteUnset {
			b.MFADelete = in.MFADelete
		}
		if b.Settings == old {
			return change.ErrUnchanged
		}
		if b.Lifecycle != (LifecycleID{}) {
			return b.refuseLifecycle()
		}
		return nil
	})
}

// MayRemove reports whether versions of the bucket may be removed for good with p: always,
// unless MFA Delete is enabled. Error: AccessDenied.
func (b *Bucket) MayRemove(p mfa.Proof) error {
	if b.MFADelete != MFADeleteEnabled {
		return nil
	}
	return b.demandMFA(p)
}

func (b *Bucket) demandMFA(p mfa.Proof) error {
	if p.By(b.Owner) {
		return nil
	}
	return mfa.Missing()
}

// refuseLifecycle refuses a lifecycle configuration beside MFA Delete: expiration can't bring
// a code (S3 user guide, "Configuring MFA delete"). Error: InvalidRequest.
func (b *Bucket) refuseLifecycle() error {
	if b.MFADelete == MFADeleteEnabled {
		return mfaDeleteExcludesLifecycle()
	}
	return nil
}

func mfaDeleteExcludesLifecycle() error {
	return fault.New(fault.InvalidRequest,
		"MFA Delete and a lifecycle configuration can't be used on the same bucket.")
}

// GetVersioning returns a bucket's versioning state and that of MFA Delete. It needs
// s3:GetBucketVersioning.
func (s *Store) GetVersioning(ctx context.Context, g authz.Grant, name string) (Versioning, MFADelete, error) {
	if err := g.Demand("s3:GetBucketVersioning", arn.Bucket(name)); err != nil {
		return Off, MFADeleteUnset, err
	}
	b, err := s.read(ctx, name)
	return b.Versioning, b.MFADelete, err
}
