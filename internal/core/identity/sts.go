package identity

import (
	"context"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// Durations of sessions (STS API reference).
const (
	minDuration   = 15 * time.Minute
	tokenDuration = 12 * time.Hour
	maxToken      = 36 * time.Hour
	maxRootToken  = time.Hour
)

// GetSessionToken makes a session that acts as its caller, who must have signed
// with a long-lived key. Zero duration is the longest a root user may have, or
// 12 hours for others. It needs no permission (STS API reference,
// GetSessionToken). Errors: AccessDenied, ValidationError.
func (s *Store) GetSessionToken(ctx context.Context, g authz.Grant, duration time.Duration) (*Session, error) {
	c := g.Caller()
	p := c.Principal()
	longest, usual := maxToken, tokenDuration
	switch p.Kind {
	case policy.AccountRoot:
		longest, usual = maxRootToken, maxRootToken
	case policy.User:
	default:
		return nil, fault.New(fault.Denied, "AccessDenied", "Cannot call GetSessionToken with session credentials")
	}
	if c.Temporary() {
		return nil, fault.New(fault.Denied, "AccessDenied", "Cannot call GetSessionToken with session credentials")
	}
	if duration == 0 {
		duration = usual
	}
	// A root user who asks for more is given an hour.
	if p.Kind == policy.AccountRoot {
		duration = min(duration, longest)
	}
	if duration < minDuration || duration > longest {
		return nil, fault.New(fault.Invalid, "ValidationError", "1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 129600")
	}
	n := &Session{Principal: p, Parent: c.AccessKeyID(), Purpose: SessionToken}
	return n, s.begin(ctx, g, n, duration)
}

// AccountOfKey returns the account an access key id belongs to, "" where there
// is none.
func (s *Store) AccountOfKey(ctx context.Context, g authz.Grant, accessKeyID string) (string, error) {
	if err := g.Demand("sts:GetAccessKeyInfo", arn.Any()); err != nil {
		return "", err
	}
	c, found, err := s.Lookup(ctx, accessKeyID)
	if err != nil || !found {
		return "", err
	}
	return c.Principal.Account, nil
}
