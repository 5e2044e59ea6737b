// Package policy is the policy language and the one decision. It is pure: the
// standard library and arn, no context, no clock, no storage. It must never
// know HTTP or who asks it.
package policy

import (
	"net/netip"
	"time"

	"watertight/internal/access/arn"
)

// Action is an IAM action, "s3:GetObject".
type Action string

// PrincipalKind says what sort of caller a principal is.
type PrincipalKind uint8

// The kinds of principals. The zero value is nobody and matches nothing.
const (
	Nobody PrincipalKind = iota
	Anonymous
	AccountRoot
	User
	RoleSession
	FederatedUser
	Service
)

// Principal is who makes a request.
type Principal struct {
	Kind    PrincipalKind
	Account string  // 12 digits; empty for anonymous callers and services
	ARN     arn.ARN // of the user, of the session, or of the account's root
	Role    arn.ARN // of the role, for role sessions
	ID      string  // unique id: account id, AIDA..., AROA...:session
	Name    string  // friendly name of a user; DNS name of a service
}

// PublicAccess is the merged Block Public Access setting of a bucket.
type PublicAccess struct {
	BlockPublicACLs, IgnorePublicACLs, BlockPublicPolicy, RestrictPublicBuckets bool
}

// Laws are all documents that bear on one request.
type Laws struct {
	Identity, Boundary, Session []*Document
	Resource                    []*Document
	Public                      PublicAccess
	ResourceOwner               string // account id; empty when nobody owns the resource
	ResourceMustAllow           bool   // key and trust policies: identity alone is not enough
}

// Request is what is asked.
type Request struct {
	Principal Principal
	Action    Action
	Resource  arn.ARN
	At        time.Time
	SourceIP  netip.Addr
	Keys      map[string][]string // condition keys, in lower case
}

// Effect is the outcome; the zero Effect is the implicit deny.
type Effect uint8

// The effects.
const (
	ImplicitDeny Effect = iota
	ExplicitDeny
	Allow
)

// Verdict is a decision and its reasons, for the owner's eyes.
type Verdict struct {
	Effect Effect
	Why    []string
}
