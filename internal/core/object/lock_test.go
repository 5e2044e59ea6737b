package object

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
)

// TestJudge: which locks keep a version from being removed on the tenth day.
func TestJudge(t *testing.T) {
	kept := func(m bucket.LockMode, until int) Lock { return Lock{Retention: Retention{m, day(until)}} }
	for name, c := range map[string]struct {
		lock           Lock
		marker, bypass bool
		protected      bool
	}{
		"nothing":                       {},
		"governance":                    {lock: kept(bucket.Governance, 11), protected: true},
		"governance, bypassed":          {lock: kept(bucket.Governance, 11), bypass: true},
		"governance, ended":             {lock: kept(bucket.Governance, 9)},
		"governance, ends now":          {lock: kept(bucket.Governance, 10)},
		"compliance":                    {lock: kept(bucket.Compliance, 11), protected: true},
		"compliance, bypassed":          {lock: kept(bucket.Compliance, 11), bypass: true, protected: true},
		"compliance, ended":             {lock: kept(bucket.Compliance, 9)},
		"legal hold":                    {lock: Lock{Hold: HoldOn}, protected: true},
		"legal hold, bypassed":          {lock: Lock{Hold: HoldOn}, bypass: true, protected: true},
		"legal hold, ended":             {lock: Lock{Hold: HoldOff}},
		"legal hold and ended":          {lock: Lock{Retention{bucket.Governance, day(9)}, HoldOn}, protected: true},
		"delete marker":                 {marker: true},
		"delete marker with any record": {lock: kept(bucket.Compliance, 11), marker: true},
	} {
		t.Run(name, func(t *testing.T) {
			v := &version{lock: c.lock, deleteMarker: c.marker}
			err := v.removable(day(10), c.bypass)
			if fault.Is(err, fault.AccessDenied) != c.protected {
				t.Errorf("%v", err)
			}
			if zero := v.removable(time.Time{}, false); c.lock.Mode != 0 && !c.marker && zero == nil {
				t.Error("the zero removal may remove it")
			}
		})
	}
}

// TestNothingWeakensCompliance: after any requests in any order, with and without bypass, a version
// is not removable before the latest date that it had in compliance mode.
func TestNothingWeakensCompliance(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		v, at, until := &version{}, day(1), time.Time{}
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 48).Draw(r, "hours")) * time.Hour)
			bypass := rapid.Bool().Draw(r, "bypass")
			next := Retention{Mode: bucket.LockMode(rapid.IntRange(0, 2).Draw(r, "mode"))}
			if next.Mode != 0 {
				next.Until = at.Add(time.Duration(rapid.IntRange(1, 400).Draw(r, "for")) * time.Hour)
			}
			if v.mayRetain(next, at, bypass) == nil {
				v.lock.Retention = next
			}
			v.lock.Hold = LegalHold(rapid.IntRange(0, 2).Draw(r, "hold"))
			if v.lock.Mode == bucket.Compliance && v.lock.Until.After(until) {
				until = v.lock.Until
			}
			if until.After(at) && (v.removable(at, true) == nil || v.removable(at, false) == nil) {
				r.Fatalf("removable at %v, before %v", at, until)
			}
			if v.lock.Hold == HoldOn && v.removable(at, true) == nil {
				r.Fatal("removable under legal hold")
			}
		}
	})
}

// TestNothingWeakensGovernance: without bypass, nothing weakens a retention in governance mode.
func TestNothingWeakensGovernance(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		v, at := &version{lock: Lock{Retention: Retention{bucket.Governance, day(20)}}}, day(1)
		for range 20 {
			next := Retention{Mode: bucket.LockMode(rapid.IntRange(0, 2).Draw(r, "mode"))}
			if next.Mode != 0 {
				next.Until = at.Add(time.Duration(rapid.IntRange(1, 900).Draw(r, "for")) * time.Hour)
			}
			if v.mayRetain(next, at, false) == nil {
				v.lock.Retention = next
			}
			if v.removable(day(20).Add(-time.Second), false) == nil || v.lock.Mode != bucket.Governance {
				r.Fatalf("%+v", v.lock)
			}
		}
	})
}

// TestUnreadableLock: a record with a lock that this program does not understand is refused, so that
// the version can't be removed.
func TestUnreadableLock(t *testing.T) {
	for name, fields := range map[string][]byte{
		"unknown mode":        record.Time(record.Uint(nil, fieldLockMode, 3), fieldLockUntil, day(9)),
		"mode without a date": record.Uint(nil, fieldLockMode, 1),
		"date without a mode": record.Time(nil, fieldLockUntil, day(9)),
		"unknown legal hold":  record.Uint(nil, fieldLegalHold, 3),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := decodeVersion(append(sample().encode(), fields...)); err == nil {
				t.Error("it is read")
			}
		})
	}
}
