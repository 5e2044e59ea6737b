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
	Now func() time.Time
	// Again looks the caller up again at a later time: whether its credential still exists,
	// and what depends on it and on the time. If it is nil, the caller does not change.
	Again func(ctx context.Context, at time.Time) (Caller, error)
	Until time.Time // when the credential expires; zero means never
	// Seen stands for everything that was read to find the caller and to decide. The
	// transaction that commits compares it; nil means unknown. This package does not look
	// into it. If it is a recorder, this package reads more through it.
	Seen any
}

// Caller is the principal of a request and its situation. The zero Caller is refused.
// test/arch lists the packages that may call NewCaller.
type Caller struct {
	principal policy.Principal
	situation Situation
}

// NewCaller returns a Caller for an identified principal, or for the anonymous one.
func NewCaller(p policy.Principal, s Situation) Caller { return Caller{principal: p, situation: s} }

// Principal returns who the caller is.
func (c Caller) Principal() policy.Principal { return c.principal }

// At returns when the caller was last looked up.
func (c Caller) At() time.Time { return c.situation.At }

// SourceIP returns the address that the request came from; it may be invalid.
func (c Caller) SourceIP() netip.Addr { return c.situation.SourceIP }

// SecureChannel reports whether the connection uses TLS, or loopback at both ends.
func (c Caller) SecureChannel() bool { return c.situation.SecureChannel }

// AccessKeyID returns the id of the key that signed, or "".
func (c Caller) AccessKeyID() string { return c.situation.AccessKeyID }

// Temporary reports whether a session's key signed.
func (c Caller) Temporary() bool { return c.situation.Temporary }

// Issued returns when the caller's session was created; zero if there is no session.
func (c Caller) Issued() time.Time { return c.situation.Issued }

// SourceIdentity returns that of the caller's session, or "".
func (c Caller) SourceIdentity() string { return c.situation.SourceIdentity }

// MFA reports whether the caller's session was created with an MFA code.
func (c Caller) MFA() bool { return c.situation.Temporary && !c.situation.MFAAt.IsZero() }

// Anonymous reports whether the request was not signed.
func (c Caller) Anonymous() bool { return c.principal.Kind == policy.Anonymous }

// Record returns the request's audit event; it may be nil.
func (c Caller) Record() Record { return c.situation.Record }

// WithRecord returns the caller with another audit event.
func (c Caller) WithRecord(r Record) Caller { c.situation.Record = r; return c }

// Now returns the time.
func (c Caller) Now() time.Time {
	if c.situation.Now == nil {
		return c.situation.At
	}
	return c.situation.Now()
}

// Seen returns Situation.Seen.
func (c Caller) Seen() any { return c.situation.Seen }

// WithSeen returns the caller with another Seen.
func (c Caller) WithSeen(seen any) Caller { c.situation.Seen = seen; return c }

// Again looks the caller up again, at the present time. Errors: those of Situation.Again,
// for example for a key that was deleted or deactivated, and AccessDenied.
func (c Caller) Again(ctx context.Context) (Caller, error) {
	at := c.Now()
	fresh := c
	if c.situation.Again != nil {
		var err error
		if fresh, err = c.situation.Again(ctx, at); err != nil {
			return Caller{}, err
		}
	}
	if fresh.principal.Kind != c.principal.Kind || fresh.principal.Account != c.principal.Account ||
		fresh.principal.ID != c.principal.ID {
		return Caller{}, fault.Of(fault.AccessDenied) // the names now belong to another principal
	}
	fresh.situation.At, fresh.situation.Record, fresh.situation.Seen = at, c.situation.Record, nil
	return fresh, nil
}
