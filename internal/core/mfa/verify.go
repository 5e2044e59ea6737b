package mfa

import (
	"context"
	"errors"
	"strings"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
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
// and only of steps later than the newest one used. If it refuses the code, it changes
// nothing; wrong reports that it is not the code of any of these steps. The code of an
// earlier step is not wrong: requests that are repeated must not lock the device, and who
// has such a code learns nothing by trying it. Errors: AccessDenied.
func use(tx kv.Tx, p policy.Principal, serial, code string, at time.Time) (wrong bool, err error) {
	d, err := deviceOf(tx, p, serial)
	if err != nil {
		return false, err
	}
	if at.Before(d.LockedUntil()) {
		return false, failed(": too many wrong codes. Try again later.")
	}
	now := d.codes.stepAt(at) + d.drift
	// Together they always compare three steps.
	_, used := d.codes.find(now-1, min(now+1, d.lastStep), code)
	step, ok := d.codes.find(max(now-1, d.lastStep+1), now+1, code)
	if !ok {
		return !used, failed(" with invalid MFA one time pass code.")
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

// Proof says that an account's root user gave a code with a request. The zero Proof says
// nothing. No other package can make one.
type Proof struct{ account string }

// By reports whether the root user of an account gave the code.
func (p Proof) By(account string) bool { return account != "" && p.account == account }

// ErrMissing is in the error of a request that needs a Proof and has none.
var ErrMissing = errors.New("mfa: no code of the account's root user")

// Missing returns the error of a request that needs a code of the root user and has none.
func Missing() error {
	return fault.New(fault.AccessDenied, "Mfa Authentication must be used for this request").Because(ErrMissing)
}

// ProveRoot uses up the code in a header of the form "SERIAL CODE" (S3 API reference,
// x-amz-mfa), once for all attempts of the request to commit. c must be a root user, and
// the device its own. Requests must be authorized before, so that those without permission
// use up no code. Errors: InvalidRequest without a secure channel, AccessDenied.
func (s *Store) ProveRoot(ctx context.Context, c authz.Caller, header string) (Proof, error) {
	if !c.SecureChannel() {
		return Proof{}, fault.New(fault.InvalidRequest,
			"Requests with x-amz-mfa must be made over a secure connection.")
	}
	p := c.Principal()
	if p.Kind != policy.AccountRoot {
		return Proof{}, fault.New(fault.AccessDenied, "Only an account's root user can use x-amz-mfa.")
	}
	serial, code, ok := strings.Cut(header, " ")
	if !ok || serial == "" || !isCode(code) {
		return Proof{}, failed(": x-amz-mfa must be a serial number, a space and a code.")
	}
	// The clock, not the request's instant: a slow request must not revive an old code.
	if err := s.Verify(ctx, p, serial, code, c.Now()); err != nil {
		return Proof{}, err
	}
	return Proof{p.Account}, nil
}

// isCode reports whether a text has the form of a code. Others are not counted as wrong.
func isCode(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) == codeDigits
}

// checkSecondFactor refuses changes of the root user's devices while it has one, unless the
// caller's session was made with a code: the root user's access key alone must not add or
// take away the second factor, which destroys versions under MFA Delete. Stricter than AWS.
func checkSecondFactor(r kv.Reader, g authz.Grant, account, owner string) error {
	if owner != rootOwner || g.Caller().MFA() {
		return nil
	}
	n, err := record.Count(r, devicesKey(account, rootOwner))
	if err == nil && n > 0 {
		err = fault.New(fault.AccessDenied, "While the root user has an MFA device, its devices can be changed only "+
			"in a session that GetSessionToken made with a code of it, or by the server's operator: watertight mfa.")
	}
	return err
}
