package bucket

import (
	"context"
	"strconv"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// LockMode says how a retention protects a version (S3 user guide, "Locking objects
// with Object Lock").
type LockMode uint8

// The modes. The numbers are stored. The zero mode is no retention.
const (
	Governance LockMode = 1 // callers with s3:BypassGovernanceRetention may end it
	Compliance LockMode = 2 // nobody may end it before its date
)

// ParseLockMode reads a mode by its AWS name.
func ParseLockMode(name string) (m LockMode, ok bool) {
	for _, m := range []LockMode{Governance, Compliance} {
		if m.String() == name {
			return m, true
		}
	}
	return 0, false
}

// String returns the mode's AWS name, "" for no retention.
func (m LockMode) String() string {
	switch m {
	case Governance:
		return "GOVERNANCE"
	case Compliance:
		return "COMPLIANCE"
	}
	return ""
}

// ObjectLock is a bucket's Object Lock configuration. It is a part of the bucket's
// record, so that a write reads nothing more. Once enabled, it stays so.
type ObjectLock struct {
	Enabled     bool
	Mode        LockMode // of the default retention; zero if there is none
	Days, Years int      // the period of the default retention; one of them is set
}

// The longest default retention (S3 user guide, "Locking objects with Object Lock").
const (
	maxLockDays  = 36500
	MaxLockYears = 100 // also for a version's own retention
)

// RetainUntil returns the end of the default retention for a version made at an instant.
func (l ObjectLock) RetainUntil(made time.Time) time.Time {
	return made.AddDate(l.Years, 0, l.Days)
}

// valid reports whether a stored configuration makes sense.
func (l ObjectLock) valid() bool {
	switch {
	case !l.Enabled, l.Mode == 0:
		return l == ObjectLock{Enabled: l.Enabled}
	case l.Days > 0:
		return l.Years == 0 && l.Days <= maxLockDays
	}
	return l.Years > 0 && l.Years <= MaxLockYears
}

// DefaultRetention is a default retention as a client sends it. One of Days and Years must
// be set.
type DefaultRetention struct {
	Mode        LockMode
	Days, Years *int
}

// lock checks d and returns the configuration with it.
func (d *DefaultRetention) lock() (ObjectLock, error) {
	l := ObjectLock{Enabled: true}
	if d == nil {
		return l, nil
	}
	if d.Mode == 0 || (d.Days == nil) == (d.Years == nil) {
		return l, fault.Of(fault.MalformedXML)
	}
	l.Mode = d.Mode
	name, n, most, to := "Days", d.Days, maxLockDays, &l.Days
	if n == nil {
		name, n, most, to = "Years", d.Years, MaxLockYears, &l.Years
	}
	message := ""
	switch *to = *n; {
	case *n <= 0:
		message = "Default retention period must be a positive integer value."
	case *n > most:
		message = "Default retention period too large."
	default:
		return l, nil
	}
	return l, fault.New(fault.InvalidArgument, message).
		With("ArgumentName", name).With("ArgumentValue", strconv.Itoa(*n))
}

// PutObjectLock enables Object Lock and replaces the default retention; nil removes it.
// Existing versions do not change. It needs s3:PutBucketObjectLockConfiguration. Errors:
// NoSuchBucket, MalformedXML, InvalidArgument, and InvalidBucketState if versioning is not
// enabled.
func (s *Store) PutObjectLock(ctx context.Context, g authz.Grant, name string, d *DefaultRetention) error {
	return s.modify(ctx, g, "s3:PutBucketObjectLockConfiguration", name, func(_ kv.Tx, b *Bucket) error {
		l, err := d.lock()
		if err != nil {
			return err
		}
		if b.Versioning != Enabled {
			return fault.New(fault.InvalidBucketState,
				"Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
		}
		if b.ObjectLock == l {
			return change.ErrUnchanged
		}
		b.ObjectLock = l
		return nil
	})
}

// GetObjectLock returns a bucket's Object Lock configuration. It needs
// s3:GetBucketObjectLockConfiguration. Errors: NoSuchBucket,
// ObjectLockConfigurationNotFoundError.
func (s *Store) GetObjectLock(ctx context.Context, g authz.Grant, name string) (ObjectLock, error) {
	if err := g.Demand("s3:GetBucketObjectLockConfiguration", arn.Bucket(name)); err != nil {
		return ObjectLock{}, err
	}
	b, err := s.read(ctx, name)
	if err == nil && !b.ObjectLock.Enabled {
		err = fault.Of(fault.ObjectLockConfigurationNotFoundError).With("BucketName", name)
	}
	return b.ObjectLock, err
}

// mayHaveVersioning refuses to suspend versioning under Object Lock: writes would
// replace versions.
func (l ObjectLock) mayHaveVersioning(state Versioning) error {
	if l.Enabled && state != Enabled {
		return fault.New(fault.InvalidBucketState,
			"An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
	}
	return nil
}

// demandObjectLock demands the grants for creating a bucket with Object Lock (S3 API
// reference, CreateBucket).
func demandObjectLock(g authz.Grant, name string) error {
	if err := g.Demand("s3:PutBucketObjectLockConfiguration", arn.Bucket(name)); err != nil {
		return err
	}
	return g.Demand("s3:PutBucketVersioning", arn.Bucket(name))
}

// append appends the configuration's fields to a bucket's record.
func (l ObjectLock) append(r []byte) []byte {
	r = record.Bool(r, fieldObjectLock, l.Enabled)
	r = record.Uint(r, fieldLockMode, uint64(l.Mode))
	r = record.Uint(r, fieldLockDays, uint64(l.Days))
	return record.Uint(r, fieldLockYears, uint64(l.Years))
}

// take takes over one field. It refuses a value that this program does not know.
func (l *ObjectLock) take(f *record.Fields) {
	switch f.Number {
	case fieldObjectLock:
		if l.Enabled = f.Uint == 1; !l.Enabled {
			f.Unknown()
		}
	case fieldLockMode:
		if l.Mode = LockMode(f.Uint); f.Uint > uint64(Compliance) {
			f.Unknown()
		}
	case fieldLockDays:
		l.Days = f.Int()
	case fieldLockYears:
		l.Years = f.Int()
	}
}
