package s3

import (
	"context"
	"maps"
	"strconv"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/bucket"
	"watertight/internal/core/object"
)

// The condition keys of Object Lock (S3 service authorization reference, PutObject,
// PutObjectRetention and PutObjectLegalHold).
const (
	lockModeKey  = "s3:object-lock-mode"
	lockUntilKey = "s3:object-lock-retain-until-date"
	lockDaysKey  = "s3:object-lock-remaining-retention-days"
	lockHoldKey  = "s3:object-lock-legal-hold"
)

// withLock adds the needs of a write with headers of Object Lock. The first of needs is
// s3:PutObject; its condition keys get the values of the headers. Error: InvalidArgument.
func withLock(needs []authz.Need, at arn.ARN, h *shape.LockHeaders) ([]authz.Need, error) {
	keys, ok := lockKeys(h.ObjectLockMode, h.ObjectLockRetainUntilDate)
	if !ok {
		return nil, object.BadRetainUntil(h.ObjectLockRetainUntilDate)
	}
	if keys != nil {
		maps.Copy(needs[0].Keys, keys)
		needs = append(needs, authz.Need{Action: "s3:PutObjectRetention", Resource: at, Keys: keys})
	}
	if hold := h.ObjectLockLegalHoldStatus; hold != "" {
		needs[0].Keys[lockHoldKey] = []string{hold}
		needs = append(needs, authz.Need{
			Action: "s3:PutObjectLegalHold", Resource: at, Keys: map[string][]string{lockHoldKey: {hold}},
		})
	}
	return needs, nil
}

// lockKeys returns the condition keys of a retention, nil without one. The date is
// rewritten as RFC 3339 in UTC, so that a policy's Date operators can read it in whichever
// form it was sent: a value that they can't read meets no condition, and a Deny would not
// apply. ok is false for a date that can't be read; such a request must fail.
func lockKeys(mode, until string) (keys map[string][]string, ok bool) {
	if mode == "" && until == "" {
		return nil, true
	}
	keys = map[string][]string{}
	if mode != "" {
		keys[lockModeKey] = []string{mode}
	}
	if until == "" {
		return keys, true
	}
	t, ok := object.ParseRetainUntil(until)
	if !ok {
		return nil, false
	}
	keys[lockUntilKey] = []string{t.Format(time.RFC3339Nano)}
	return keys, true
}

// addRemainingDays adds the number of days that a retention still lasts. A day that has
// begun counts, so that a retention of 30 days counts as 30 however long the request took.
func addRemainingDays(n *authz.Need, now time.Time) {
	date := n.Keys[lockUntilKey]
	if len(date) != 1 {
		return
	}
	if until, ok := object.ParseRetainUntil(date[0]); ok {
		const day = 24 * time.Hour
		left := until.Sub(now) // for a date in the far future, the longest Duration
		days := left / day
		if left%day > 0 {
			days++
		}
		n.Keys[lockDaysKey] = []string{strconv.FormatInt(int64(max(0, days)), 10)}
	}
}

func mayBypass(bucket, key string) authz.Need {
	return authz.Need{Action: "s3:BypassGovernanceRetention", Resource: arn.Object(bucket, key), Soft: true}
}

func isTrue(b *bool) bool { return b != nil && *b }

// lockedVersion names the version that an operation of Object Lock is about. As at AWS,
// these operations take an empty version id for none; the permissions are the same.
func lockedVersion(bucket, key string, id *string) object.VersionInput {
	if id != nil && *id == "" {
		id = nil
	}
	return object.VersionInput{Bucket: bucket, Key: key, VersionID: id}
}

func lockHeaders(h *shape.LockHeaders) object.LockHeaders {
	return object.LockHeaders{
		Mode: h.ObjectLockMode, Until: h.ObjectLockRetainUntilDate, LegalHold: h.ObjectLockLegalHoldStatus,
	}
}

// shownLock returns the headers that describe an object's lock in an answer.
func shownLock(l *object.Lock) (out shape.LockHeaders) {
	if l.Mode != 0 {
		out.ObjectLockMode = l.Mode.String()
		out.ObjectLockRetainUntilDate = l.Until.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	out.ObjectLockLegalHoldStatus = l.Hold.String()
	return out
}

// mayPutRetention needs the same action with and without a version.
func mayPutRetention(_ context.Context, c authz.Caller, in *shape.PutObjectRetentionInput) ([]authz.Need, error) {
	n := versionNeed("s3:PutObjectRetention", "s3:PutObjectRetention", in.Bucket, in.Key, in.VersionId)
	if r := in.Retention; r != nil {
		keys, ok := lockKeys(text(r.Mode), text(r.RetainUntilDate))
		if !ok {
			return nil, malformedXML()
		}
		n.Keys = keys
		addRemainingDays(&n, c.At())
	}
	needs := []authz.Need{n, mayList(in.Bucket)}
	if isTrue(in.Bypass) {
		needs = append(needs, mayBypass(in.Bucket, in.Key))
	}
	return needs, nil
}

func (a *API) putObjectRetention(
	ctx context.Context, g authz.Grant, in *shape.PutObjectRetentionInput,
) (*shape.Empty, error) {
	put := object.RetentionInput{
		VersionInput: lockedVersion(in.Bucket, in.Key, in.VersionId),
		Bypass:       isTrue(in.Bypass),
	}
	r := in.Retention
	if r == nil {
		return nil, a.malformedFor(ctx, g, in.Bucket)
	}
	if r.Mode != nil || r.RetainUntilDate != nil {
		var knownMode, isDate bool
		put.Retention.Mode, knownMode = bucket.ParseLockMode(text(r.Mode))
		put.Retention.Until, isDate = object.ParseRetainUntil(text(r.RetainUntilDate))
		if !knownMode || !isDate {
			return nil, malformedXML()
		}
	}
	return nil, a.Objects.PutRetention(ctx, g, put)
}

// malformedFor returns the error for a request without a document. As at AWS, a missing
// bucket is reported first.
func (a *API) malformedFor(ctx context.Context, g authz.Grant, bucket string) error {
	if err := a.exists(ctx, g, bucket); err != nil {
		return err
	}
	return malformedXML()
}

func (a *API) getObjectRetention(
	ctx context.Context, g authz.Grant, in *shape.ObjectInput,
) (*shape.ObjectRetentionOutput, error) {
	r, err := a.Objects.GetRetention(ctx, g, lockedVersion(in.Bucket, in.Key, in.VersionId))
	if err != nil {
		return nil, err
	}
	return &shape.ObjectRetentionOutput{Mode: r.Mode.String(), RetainUntilDate: r.Until}, nil
}

func mayPutLegalHold(in *shape.PutObjectLegalHoldInput) ([]authz.Need, error) {
	n := versionNeed("s3:PutObjectLegalHold", "s3:PutObjectLegalHold", in.Bucket, in.Key, in.VersionId)
	if h := in.LegalHold; h != nil && h.Status != "" {
		n.Keys = map[string][]string{lockHoldKey: {h.Status}}
	}
	return []authz.Need{n, mayList(in.Bucket)}, nil
}

func (a *API) putObjectLegalHold(
	ctx context.Context, g authz.Grant, in *shape.PutObjectLegalHoldInput,
) (*shape.Empty, error) {
	if in.LegalHold == nil {
		return nil, a.malformedFor(ctx, g, in.Bucket)
	}
	on := in.LegalHold.Status == object.HoldOn.String()
	if !on && in.LegalHold.Status != object.HoldOff.String() {
		return nil, malformedXML()
	}
	return nil, a.Objects.PutLegalHold(ctx, g,
		lockedVersion(in.Bucket, in.Key, in.VersionId), on)
}

func (a *API) getObjectLegalHold(
	ctx context.Context, g authz.Grant, in *shape.ObjectInput,
) (*shape.LegalHold, error) {
	h, err := a.Objects.GetLegalHold(ctx, g, lockedVersion(in.Bucket, in.Key, in.VersionId))
	if err != nil {
		return nil, err
	}
	return &shape.LegalHold{Status: h.String()}, nil
}

func mayPutObjectLock(in *shape.PutObjectLockConfigurationInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketObjectLockConfiguration", Resource: arn.Bucket(in.Bucket)}
}

func (a *API) putObjectLockConfiguration(
	ctx context.Context, g authz.Grant, in *shape.PutObjectLockConfigurationInput,
) (*shape.Empty, error) {
	if in.Configuration == nil {
		return nil, missingBody()
	}
	if in.Configuration.ObjectLockEnabled != "Enabled" {
		return nil, malformedXML()
	}
	var d *bucket.DefaultRetention
	if rule := in.Configuration.Rule; rule != nil {
		if rule.DefaultRetention == nil {
			return nil, malformedXML()
		}
		d = &bucket.DefaultRetention{Days: rule.DefaultRetention.Days, Years: rule.DefaultRetention.Years}
		d.Mode, _ = bucket.ParseLockMode(rule.DefaultRetention.Mode) // core refuses an unknown mode
	}
	return nil, a.Buckets.PutObjectLock(ctx, g, in.Bucket, d)
}

func (a *API) getObjectLockConfiguration(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.ObjectLockConfiguration, error) {
	l, err := a.Buckets.GetObjectLock(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	out := &shape.ObjectLockConfiguration{ObjectLockEnabled: "Enabled"}
	if l.Mode == 0 {
		return out, nil
	}
	d := &shape.DefaultRetention{Mode: l.Mode.String(), Days: &l.Days, Years: &l.Years}
	if l.Days == 0 {
		d.Days = nil
	} else {
		d.Years = nil
	}
	out.Rule = &shape.ObjectLockRule{DefaultRetention: d}
	return out, nil
}
