package mfa

import (
	"context"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Consecutive wrong codes lock a device, each time for longer, so that the holder of a
// stolen key can't try all codes.
const (
	lockAfter   = 10
	firstLock   = 15 * time.Minute
	longestLock = 24 * time.Hour
)

// LockedUntil returns when the device accepts codes again.
func (d *Device) LockedUntil() time.Time {
	if d.failures < lockAfter {
		return time.Time{}
	}
	lock := firstLock
	for range min(d.failures/lockAfter-1, 10) {
		lock *= 2
	}
	return d.failedAt.Add(min(lock, longestLock))
}

func failed(why string) error {
	return fault.New(fault.AccessDenied, "MultiFactorAuthentication failed"+why)
}

// ownerID returns the id under which a principal owns devices, "" if it can't own any.
func ownerID(p policy.Principal) string {
	switch p.Kind {
	case policy.AccountRoot:
		return rootOwner
	case policy.User:
		return p.ID
	}
	return ""
}

// use accepts a code of a device that p owns: one step before or after the device's clock,
// and each step only once. If it refuses the code, it changes nothing; wrong reports that
// the code was not valid. Errors: AccessDenied.
func use(tx kv.Tx, p policy.Principal, serial, code string, at time.Time) (wrong bool, err error) {
	d, err := deviceOf(tx, p, serial)
	if err != nil {
		return false, err
	}
	if at.Before(d.LockedUntil()) {
		return false, failed(": too many wrong codes. Try again later.")
	}
	now := d.codes.stepAt(at) + d.drift
	step, ok := d.codes.find(max(now-1, d.lastStep+1), now+1, code)
	if !ok {
		return true, failed(" with invalid MFA one time pass code.")
	}
	d.lastStep, d.failures = step, 0
	d.write(tx)
	return false, nil
}

func deviceOf(tx kv.Tx, p policy.Principal, serial string) (*Device, error) {
	owner := ownerID(p)
	d, err := findDevice(tx, p.Account, serial)
	if err != nil {
		return nil, err
	}
	if d == nil || owner == "" || d.Owner != owner {
		return nil, failed(", unable to validate MFA code.  Please verify your MFA serial number is valid and " +
			"associated with this user.")
	}
	return d, tx.Lock(d.key(), kv.Exclusive)
}

// countWrong counts a wrong code from the owner of a device. Wrong codes from others are
// not counted, so that they can't lock the owner out.
func countWrong(tx kv.Tx, p policy.Principal, serial string, at time.Time) error {
	d, err := deviceOf(tx, p, serial)
	if err != nil {
		return err
	}
	if at.Before(d.LockedUntil()) {
		return change.ErrUnchanged
	}
	d.failures++
	d.failedAt = at.UTC().Truncate(time.Microsecond)
	d.write(tx)
	return nil
}

// Verify accepts a code of a device that p owns, or counts it as wrong. It does so in one
// transaction, so that concurrent attempts are counted like consecutive ones. p must have
// been identified by a signature with its own key. Errors: AccessDenied.
func (s *Store) Verify(ctx context.Context, p policy.Principal, serial, code string, at time.Time) error {
	var refusal error
	err := change.Background(ctx, s.store, "an MFA code is used", func(tx kv.Tx) error {
		wrong, err := use(tx, p, serial, code, at)
		if refusal = err; wrong {
			return countWrong(tx, p, serial, at)
		}
		return err
	})
	if err != nil {
		return err
	}
	return refusal
}

// Proof says that an account's root user gave a code for a request. The zero Proof is
// none. Only this package makes others.
type Proof struct{ account string }

// By reports whether the proof is by the root user of an account.
func (p Proof) By(account string) bool { return account != "" && p.account == account }
