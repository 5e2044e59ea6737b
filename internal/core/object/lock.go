package object

import (
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
)

// Retention protects a version until a date. The zero Retention protects nothing.
type Retention struct {
	Mode  bucket.LockMode
	Until time.Time
}

// LegalHold is the state of a version's legal hold.
type LegalHold uint8

// The states. The numbers are stored.
const (
	HoldNever LegalHold = 0 // the version never had one
	HoldOn    LegalHold = 1
	HoldOff   LegalHold = 2
)

// String returns the state's AWS name, "" for a version that never had a legal hold.
func (h LegalHold) String() string {
	switch h {
	case HoldOn:
		return "ON"
	case HoldOff:
		return "OFF"
	}
	return ""
}

// Lock protects a version from being removed (S3 user guide, "Locking objects with Object
// Lock").
type Lock struct {
	Retention
	Hold LegalHold
}

// holds reports whether the retention has not ended at an instant.
func (r Retention) holds(at time.Time) bool { return r.Mode != 0 && r.Until.After(at) }

// removable returns nil if the version may be removed, else the error. at is an instant that
// has certainly come (see instant.Clock). bypass permits to ignore a retention in governance
// mode. Delete markers are never protected.
func (v *version) removable(at time.Time, bypass bool) error {
	switch {
	case v.deleteMarker:
		return nil
	case v.lock.Hold == HoldOn, v.lock.holds(at) && !(bypass && v.lock.Mode == bucket.Governance):
		return locked()
	}
	return nil
}

// mayRetain returns nil if next may replace the version's retention, else the error. It may
// if it protects no less, if the present retention has ended, or if that is in governance
// mode and bypass permits to weaken it. The mode changes only with bypass, and never away
// from compliance.
func (v *version) mayRetain(next Retention, at time.Time, bypass bool) error {
	now := v.lock.Retention
	switch {
	case !now.holds(at), next.Mode == now.Mode && !next.Until.Before(now.Until),
		bypass && now.Mode == bucket.Governance:
		return nil
	}
	return locked()
}

func locked() error {
	return fault.New(fault.AccessDenied, "Access Denied because object protected by object lock.")
}

// append appends the lock's fields to a version's record.
func (l *Lock) append(r []byte) []byte {
	r = record.Uint(r, fieldLockMode, uint64(l.Mode))
	if l.Mode != 0 {
		r = record.Time(r, fieldLockUntil, l.Until)
	}
	return record.Uint(r, fieldLegalHold, uint64(l.Hold))
}

// take takes over one field. It returns false for a value that this program does not know;
// then the version can't be read, and is not removed.
func (l *Lock) take(f *record.Fields) bool {
	switch f.Number {
	case fieldLockMode:
		l.Mode = bucket.LockMode(f.Uint)
		return f.Uint <= uint64(bucket.Compliance)
	case fieldLockUntil:
		l.Until = f.Time()
	case fieldLegalHold:
		l.Hold = LegalHold(f.Uint)
		return f.Uint <= uint64(HoldOff)
	default:
		return false
	}
	return true
}

// valid reports whether a stored lock makes sense.
func (l *Lock) valid() bool { return (l.Mode == 0) == l.Until.IsZero() }
