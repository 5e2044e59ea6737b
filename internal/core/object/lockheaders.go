package object

import (
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/instant"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
)

// LockHeaders are the headers of Object Lock in a write. An empty member means that the
// header is missing.
type LockHeaders struct {
	Mode, Until, LegalHold string
}

const (
	modeHeader  = "x-amz-object-lock-mode"
	untilHeader = "x-amz-object-lock-retain-until-date"
	holdHeader  = "x-amz-object-lock-legal-hold"
)

// demandLock demands the grants for a write with these headers besides s3:PutObject (S3 user
// guide, "Required permissions for Amazon S3 API operations").
func (h *LockHeaders) demandLock(g authz.Grant, bucketName, key string) error {
	if h.Mode != "" || h.Until != "" {
		if err := g.Demand("s3:PutObjectRetention", arn.Object(bucketName, key)); err != nil {
			return err
		}
	}
	if h.LegalHold != "" {
		return g.Demand("s3:PutObjectLegalHold", arn.Object(bucketName, key))
	}
	return nil
}

// check returns the lock that the headers of a request ask for.
func (h *LockHeaders) check(c *instant.Clock, g authz.Grant) (l Lock, err error) {
	switch h.LegalHold {
	case "":
	case HoldOn.String():
		l.Hold = HoldOn
	case HoldOff.String():
		l.Hold = HoldOff
	default:
		return l, badLock(holdHeader, h.LegalHold, "Legal Hold must be either of 'ON' or 'OFF'")
	}
	const both = untilHeader + " and " + modeHeader + " must both be supplied."
	switch {
	case h.Mode == "" && h.Until == "":
		return l, nil
	case h.Mode == "":
		return l, badLock(modeHeader, "", both)
	case h.Until == "":
		return l, badLock(untilHeader, "", both)
	}
	var ok bool
	if l.Mode, ok = bucket.ParseLockMode(h.Mode); !ok {
		return l, badLock(modeHeader, h.Mode, "Unknown wormMode directive.")
	}
	if l.Until, ok = ParseRetainUntil(h.Until); !ok {
		return l, BadRetainUntil(h.Until)
	}
	return l, l.checkDate(c.Reached(requestTime(g)))
}

// checkDate refuses a retention that has ended at an instant, or lasts longer than allowed
// (S3 user guide, "Locking objects with Object Lock").
func (r Retention) checkDate(at time.Time) error {
	message := ""
	switch {
	case !r.Until.After(at):
		message = "The retain until date must be in the future!"
	case r.Until.After(at.AddDate(bucket.MaxLockYears, 0, 0)):
		message = "The retain until date must be within 100 years."
	default:
		return nil
	}
	return badLock(untilHeader, r.Until.Format(time.RFC3339), message)
}

// ParseRetainUntil reads the end of a retention, a date of ISO 8601. It returns the date in
// UTC, rounded up to milliseconds, which answers show. It refuses a date whose year in UTC
// has no four digits, because RFC 3339 can't express it.
func ParseRetainUntil(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "20060102T150405Z"} {
		if t, err := time.Parse(layout, s); err == nil {
			t = roundUp(t)
			return t, t.Year() >= 0 && t.Year() <= 9999
		}
	}
	return time.Time{}, false
}

// BadRetainUntil returns the error for a header that ParseRetainUntil can't read.
func BadRetainUntil(s string) error {
	return badLock(untilHeader, s, "The retain until date must be provided in ISO 8601 format")
}

func roundUp(t time.Time) time.Time {
	return t.Add(time.Millisecond - time.Nanosecond).UTC().Truncate(time.Millisecond)
}

func badLock(name, value, message string) error {
	f := fault.New(fault.InvalidArgument, message).With("ArgumentName", name)
	if value != "" {
		f = f.With("ArgumentValue", value)
	}
	return f
}

func missingLock(message string) error { return fault.New(fault.InvalidRequest, message) }

// setLock gives a new version the lock that the request asks for, and the bucket's default
// retention if it asks for none. A copy does not inherit the lock of its source. Error:
// InvalidRequest in a bucket without Object Lock.
func (v *version) setLock(b *bucket.Bucket, asked Lock, c *instant.Clock, now time.Time) error {
	v.lock = asked
	if err := asked.mayBeIn(b); err != nil {
		return err
	}
	if l := &b.ObjectLock; asked.Mode == 0 && l.Mode != 0 {
		v.lock.Retention = Retention{l.Mode, roundUp(l.RetainUntil(c.Reached(now)))}
	}
	return nil
}

// mayBeIn refuses a lock in a bucket without Object Lock.
func (l Lock) mayBeIn(b *bucket.Bucket) error {
	if !b.ObjectLock.Enabled && (l.Mode != 0 || l.Hold != HoldNever) {
		return missingLock("Bucket is missing ObjectLockConfiguration")
	}
	return nil
}

// declaresBody refuses an upload under a retention if the client declared no digest of its
// bytes (S3 API reference, PutObject, Content-MD5). what is Object or Part.
func (v *version) declaresBody(what string, md5 []byte, a digest.Algorithm) error {
	if v.lock.Mode == 0 || md5 != nil || a != digest.None {
		return nil
	}
	return fault.New(fault.InvalidRequest, "Content-MD5 OR x-amz-checksum- HTTP header is required for Put "+what+
		" requests with Object Lock parameters")
}
