package session

import (
	"context"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Durations of sessions (STS API reference).
const (
	minDuration   = 15 * time.Minute
	tokenDuration = 12 * time.Hour
	maxToken      = 36 * time.Hour
	maxRootToken  = time.Hour
)

// Identity returns the caller's identity. It needs no permission, and no policy can deny it
// (STS API reference, GetCallerIdentity). Errors: AccessDenied for callers who did not
// sign.
func (s *Store) Identity(g authz.Grant) (policy.Principal, error) {
	p := g.Caller().Principal()
	if p.Kind == policy.Nobody || p.Kind == policy.Anonymous {
		return policy.Principal{}, fault.Of(fault.AccessDenied)
	}
	return p, nil
}

// TokenInput has the properties of a session of GetSessionToken. A zero Duration means the
// maximum for a root user, and 12 hours for others; Serial and Code of an MFA device must
// be given together.
type TokenInput struct {
	Duration     time.Duration
	Serial, Code string
}

// GetSessionToken creates a session that acts as its caller, who must have signed with a
// long-lived key. It needs no permission (STS API reference, GetSessionToken). Errors:
// AccessDenied, ValidationError.
func (s *Store) GetSessionToken(ctx context.Context, g authz.Grant, in TokenInput) (*Session, error) {
	p, err := s.Identity(g)
	if err != nil {
		return nil, err
	}
	c := g.Caller()
	duration, err := tokenLength(c, in.Duration, "GetSessionToken")
	if err != nil {
		return nil, err
	}
	n := &Session{Principal: p, Parent: c.AccessKeyID(), Purpose: SessionToken}
	if (in.Serial == "") != (in.Code == "") {
		return nil, incompleteMFA()
	}
	if in.Serial != "" {
		if err := s.mfa.Verify(ctx, p, in.Serial, in.Code, c.At()); err != nil {
			return nil, err
		}
		n.MFAAt = c.At().UTC().Truncate(time.Second)
	}
	return n, s.begin(ctx, g, n, duration, func(tx kv.Tx) error { return checkOrigin(tx, n) })
}

// tokenLength returns the duration of a session of a user or of the root user. Only their
// long-lived keys may request one.
func tokenLength(c authz.Caller, duration time.Duration, operation string) (time.Duration, error) {
	longest, usual := maxToken, tokenDuration
	switch c.Kind() {
	case policy.AccountRoot:
		longest, usual = maxRootToken, maxRootToken
	case policy.User:
	default:
		return 0, sessionsMayNot(operation)
	}
	if c.Temporary() {
		return 0, sessionsMayNot(operation)
	}
	if duration == 0 {
		duration = usual
	}
	// A root user who asks for more gets one hour.
	if c.Kind() == policy.AccountRoot {
		duration = min(duration, longest)
	}
	if duration < minDuration || duration > longest {
		return 0, validation("1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint: " +
			"Member must have value between 900 and 129600")
	}
	return duration, nil
}

func sessionsMayNot(operation string) error {
	return fault.New(fault.AccessDenied, "Cannot call "+operation+" with session credentials")
}

// checkOrigin refuses a session whose origin was removed in the meantime.
func checkOrigin(r kv.Reader, n *Session) error {
	_, ok, err := origin(r, n)
	if err == nil && !ok {
		err = fault.Of(fault.AccessDenied)
	}
	return err
}

// FederateInput describes a federated user's session. A zero Duration means the same as in
// TokenInput.
type FederateInput struct {
	Name     string
	Duration time.Duration
	Pass     Passed
	Tags     []tag.Tag
}

// FederatedARN returns the ARN of a federated user's session.
func FederatedARN(account, name string) arn.ARN { return arn.STS(account, "federated-user/"+name) }

// FederateNeeds returns the needs of GetFederationToken. Errors: AccessDenied,
// InvalidParameterValue.
func (s *Store) FederateNeeds(c authz.Caller, in FederateInput) ([]authz.Need, error) {
	p := c.Principal()
	if _, err := tokenLength(c, in.Duration, "GetFederationToken"); err != nil {
		return nil, err
	}
	if err := checkSessionTags(in.Tags, nil); err != nil {
		return nil, err
	}
	at := FederatedARN(p.Account, in.Name)
	return sessionNeeds("sts:GetFederationToken", at, sessionTagKeys(in.Tags, nil), len(in.Tags) > 0, false,
		func(a policy.Action) func(policy.Verdict) error {
			return func(v policy.Verdict) error { return notAuthorized(p, a, at, v) }
		}), nil
}

// GetFederationToken creates a federated user's session. The session may do what both its
// policies and the caller's allow; without session policies, it may do only what
// resource-based policies allow it by name. It needs sts:GetFederationToken and, with tags,
// sts:TagSession, as FederateNeeds says. Errors: AccessDenied, ValidationError,
// MalformedPolicyDocument, PackedPolicyTooLarge.
func (s *Store) GetFederationToken(ctx context.Context, g authz.Grant, in FederateInput) (out Assumed, err error) {
	c := g.Caller()
	account := c.Account()
	at := FederatedARN(account, in.Name)
	if err := g.Demand("sts:GetFederationToken", at); err != nil {
		return out, err
	}
	if len(in.Tags) > 0 {
		if err := g.Demand("sts:TagSession", at); err != nil {
			return out, err
		}
	}
	duration, err := tokenLength(c, in.Duration, "GetFederationToken")
	if err != nil {
		return out, err
	}
	n := &Session{Purpose: FederationToken, Parent: c.AccessKeyID(), Tags: in.Tags, Restricted: true}
	n.Principal = policy.Principal{Kind: policy.FederatedUser, Account: account, ARN: at, ID: account + ":" + in.Name}
	if err := checkPassed(in.Pass); err != nil {
		return out, err
	}
	if out.PackedSize, err = n.restrict(in.Pass); err != nil {
		return out, err
	}
	out.Session = n
	return out, s.begin(ctx, g, n, duration, func(tx kv.Tx) error {
		if err := checkOrigin(tx, n); err != nil {
			return err
		}
		return s.managed(tx, n, account, in.Pass.ARNs)
	})
}

// AccountOfKey returns the account that an access key id belongs to, "" if there is none.
// It needs sts:GetAccessKeyInfo. Errors: AccessDenied.
func (s *Store) AccountOfKey(ctx context.Context, g authz.Grant, accessKeyID string) (string, error) {
	if err := g.Demand("sts:GetAccessKeyInfo", arn.Any()); err != nil {
		return "", err
	}
	if c := g.Caller(); c.Temporary() && c.Kind() != policy.RoleSession {
		return "", sessionsMayNot("GetAccessKeyInfo")
	}
	c, err := s.Lookup(ctx, accessKeyID)
	if err != nil || c == nil {
		return "", err
	}
	return c.Principal.Account, nil
}
