// Package authz decides whether a caller may do what a request asks for, and is the only
// package that does. A Caller asks with Needs and gets a Grant; core methods demand the
// Grant. It must never know HTTP, storage or how policies are stored: it asks Facts.
package authz

import (
	"context"
	"net/netip"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// Situation is what is known about a request, apart from the principal.
type Situation struct {
	At            time.Time // when the caller was last looked up
	SourceIP      netip.Addr
	SecureChannel bool      // TLS, or both listener and peer are on the loopback interface
	AccessKeyID   string    // of the key that signed; empty for an anonymous caller
	Temporary     bool      // the key belongs to a session
	Issued        time.Time // when the session was created
	MFAAt         time.Time // when an MFA code was given for the session; zero means never
	// SourceIdentity is that of the session (IAM user guide, "Monitor and control actions
	// taken with assumed roles").
	SourceIdentity string
	Keys           map[string][]string // condition keys of the request, in lower case
	Asked          policy.Conditions   // those that are worked out when a policy refers to them; may be nil
	Session        []*policy.Document  // compiled session policies; nil means no restriction
	Record         Record              // the request's audit event

	// Now is the clock; if it is nil, the time stays At.
	Now    func() time.Time
	Sender Sender    // looks the caller up again; if it is nil, the caller does not change
	Until  time.Time // when the credential expires; zero means never
	// Seen stands for everything that was read to find the caller and to decide. The
	// transaction that commits compares it; nil means unknown. This package does not look
	// into it. If it is a recorder, this package reads more through it.
	Seen any
}

// Sender is the sender of a request.
type Sender interface {
	// Again looks the caller up again at a later time: whether its credential still exists,
	// and what depends on it and on the time.
	Again(ctx context.Context, at time.Time) (Caller, error)
}

// SenderFunc is a Sender that is a function.
type SenderFunc func(ctx context.Context, at time.Time) (Caller, error)

// Again implements Sender.
func (f SenderFunc) Again(ctx context.Context, at time.Time) (Caller, error) { return f(ctx, at) }

// Caller is the principal of a request and its situation. It is small, so that it can be passed
// by value; copies share the principal and the situation, which never change. The zero Caller
// is refused. test/arch lists the packages that may call NewCaller.
type Caller struct {
	principal *policy.Principal // nil in the zero Caller, as situation
	situation *Situation
	record    Record
	seen      any
}

// NewCaller returns a Caller for an identified principal, or for the anonymous one. Neither p
// nor s may be modified afterwards.
func NewCaller(p *policy.Principal, s *Situation) Caller {
	return Caller{principal: p, situation: s, record: s.Record, seen: s.Seen}
}

// IsNobody reports whether the caller is the zero Caller, or has no principal.
func (c Caller) IsNobody() bool { return c.principal == nil || c.principal.Kind == policy.Nobody }

// Principal returns a copy of who the caller is. Kind and Account cost less.
func (c Caller) Principal() policy.Principal {
	if c.principal == nil {
		return policy.Principal{}
	}
	return *c.principal
}

// Who returns who the caller is. It is shared and must not be modified.
func (c Caller) Who() *policy.Principal {
	if c.principal == nil {
		return new(policy.Principal)
	}
	return c.principal
}

// Kind returns the kind of the principal.
func (c Caller) Kind() policy.PrincipalKind {
	if c.principal == nil {
		return policy.Nobody
	}
	return c.principal.Kind
}

// Account returns the account of the principal, or "".
func (c Caller) Account() string {
	if c.principal == nil {
		return ""
	}
	return c.principal.Account
}

// its returns the situation, that of the zero Caller for the zero Caller.
func (c Caller) its() *Situation {
	if c.situation == nil {
		return new(Situation)
	}
	return c.situation
}

// At returns when the caller was last looked up.
func (c Caller) At() time.Time { return c.its().At }

// SourceIP returns the address that the request came from; it may be invalid.
func (c Caller) SourceIP() netip.Addr { return c.its().SourceIP }

// SecureChannel reports whether the connection uses TLS, or loopback at both ends.
func (c Caller) SecureChannel() bool { return c.its().SecureChannel }

// AccessKeyID returns the id of the key that signed, or "".
func (c Caller) AccessKeyID() string { return c.its().AccessKeyID }

// Temporary reports whether a session's key signed.
func (c Caller) Temporary() bool { return c.its().Temporary }

// Issued returns when the caller's session was created; zero if there is no session.
func (c Caller) Issued() time.Time { return c.its().Issued }

// SourceIdentity returns that of the caller's session, or "".
func (c Caller) SourceIdentity() string { return c.its().SourceIdentity }

// MFA reports whether the caller's session was created with an MFA code.
func (c Caller) MFA() bool { return c.its().Temporary && !c.its().MFAAt.IsZero() }

// Anonymous reports whether the request was not signed.
func (c Caller) Anonymous() bool { return c.Kind() == policy.Anonymous }

// Record returns the request's audit event; it may be nil.
func (c Caller) Record() Record { return c.record }

// WithRecord returns the caller with another audit event.
func (c Caller) WithRecord(r Record) Caller { c.record = r; return c }

// Now returns the time.
func (c Caller) Now() time.Time {
	s := c.its()
	if s.Now == nil {
		return s.At
	}
	return s.Now()
}

// Seen returns Situation.Seen.
func (c Caller) Seen() any { return c.seen }

// WithSeen returns the caller with another Seen.
func (c Caller) WithSeen(seen any) Caller { c.seen = seen; return c }

// Again looks the caller up again, at the present time. Errors: those of Sender.Again,
// for example for a key that was deleted or deactivated, and AccessDenied.
func (c Caller) Again(ctx context.Context) (Caller, error) {
	at, fresh := c.Now(), c
	if c.its().Sender != nil {
		var err error
		if fresh, err = c.situation.Sender.Again(ctx, at); err != nil {
			return Caller{}, err
		}
	}
	was, is := c.Who(), fresh.Who()
	if is.Kind != was.Kind || is.Account != was.Account || is.ID != was.ID {
		return Caller{}, fault.Of(fault.AccessDenied) // the names now belong to another principal
	}
	now := *fresh.its()
	now.At = at
	return Caller{principal: fresh.principal, situation: &now, record: c.record}, nil
}
