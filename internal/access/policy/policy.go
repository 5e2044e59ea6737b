// Package policy implements the policy language and the decision on a request. It is pure:
// it uses the standard library, arn and the catalogue of actions, but no context, clock or
// storage. It must never know HTTP or its caller.
//
// Parse compiles a document once. Decide then works with patterns, numbers, dates and
// address ranges, without parsing the text of a policy.
package policy

import (
	"net/netip"
	"strings"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
)

// Action is an IAM action, "s3:GetObject".
type Action string

// Service returns the action's service, "s3".
func (a Action) Service() string {
	service, _, _ := strings.Cut(string(a), ":")
	return service
}

// Facts returns the facts of the catalogue about the action; see action.Of for unknown ones.
func (a Action) Facts() action.Facts {
	f, _ := action.Of(string(a))
	return f
}

// PrincipalKind is the kind of a principal. The numbers are stored, in records of
// sessions.
type PrincipalKind uint8

// The kinds of principals. The zero value means no principal and matches nothing.
const (
	Nobody        PrincipalKind = 0
	Anonymous     PrincipalKind = 1
	AccountRoot   PrincipalKind = 2
	User          PrincipalKind = 3
	RoleSession   PrincipalKind = 4
	FederatedUser PrincipalKind = 5
	Service       PrincipalKind = 6
	WebIdentity   PrincipalKind = 7 // presents an identity provider's token and signs nothing
)

// Principal is the identity that makes a request.
type Principal struct {
	Kind      PrincipalKind
	Account   string  // 12 digits; empty for anonymous callers, services and web identities
	ARN       arn.ARN // of the user, of the session, or of the account's root
	Role      arn.ARN // of the role, for role sessions
	Issuer    arn.ARN // of the user who created the session, for federated users
	IssuerID  string  // unique id of that user
	ID        string  // unique id: account id, AIDA..., AROA...:session, account:name of a federated user
	Name      string  // friendly name of a user; DNS name of a service
	Canonical string  // canonical user id of the account, 64 hex digits; empty where unknown
	Provider  string  // for web identities: the provider's ARN or DNS name
}

// PublicAccess is the merged Block Public Access setting of a bucket.
type PublicAccess struct {
	BlockPublicACLs, IgnorePublicACLs, BlockPublicPolicy, RestrictPublicBuckets bool
}

// Stricter returns what at least one of two settings blocks.
func (p PublicAccess) Stricter(q PublicAccess) PublicAccess {
	return PublicAccess{
		p.BlockPublicACLs || q.BlockPublicACLs, p.IgnorePublicACLs || q.IgnorePublicACLs,
		p.BlockPublicPolicy || q.BlockPublicPolicy, p.RestrictPublicBuckets || q.RestrictPublicBuckets,
	}
}

// Laws are all documents and settings that apply to one request. A nil document denies,
// because the document that could not be read might contain a Deny.
type Laws struct {
	// Identity are the policies of the principal and its groups. The root user has a
	// built-in policy, so Decide makes no exception for it.
	Identity []*Document
	// Boundary and Session limit the permissions. Nil means no limit; a list without an
	// Allow allows nothing. A federated user without Session has only the permissions that
	// a resource gives to the session by name.
	Boundary, Session []*Document
	Resource          []*Document
	// Guard are policies of the resource that can only deny: those of a bucket, for an
	// object that another account owns.
	Guard             []*Document
	Public            PublicAccess
	Peers             Peers  // what is known about the addresses of requests
	ResourceOwner     string // account id; empty if the resource has no owner
	BucketOwner       string // account id, if it is not ResourceOwner
	ObjectLists       bool   // ACLs are enabled: objects have ACLs that are not in these documents
	ResourceMustAllow bool   // for key and trust policies: an identity policy is not enough
}

// Request is the request that Decide decides.
type Request struct {
	Principal Principal
	Action    Action
	Resource  arn.ARN
	Version   *string // of the object, if the request names one: s3:VersionId
	At        time.Time
	SourceIP  netip.Addr
	// Keys are the condition keys, under the names that KeyName returns. Keys whose values
	// follow from the fields above (see derived) are never read from here.
	Keys map[string][]string
	// Asked has further condition keys, which take precedence over Keys; it may be nil.
	Asked Conditions
	// Common has further condition keys, over which Keys take precedence; it may be nil.
	Common Conditions
	// Work is the budget of steps; nil means the budget of one decision.
	Work  *Work
	given map[string][]string // see Suppose
}

// Conditions are condition keys that are computed when a policy refers to them. Values
// takes a name that KeyName returns. It returns no values if the key is absent.
type Conditions interface {
	Values(name string) []string
}

// key returns the values of a condition key that does not follow from typed fields.
func (r *Request) key(name string) []string {
	if r.Asked != nil {
		if v := r.Asked.Values(name); len(v) > 0 {
			return v
		}
	}
	if v, ok := r.Keys[name]; ok || r.Common == nil {
		return v
	}
	return r.Common.Values(name)
}

// Effect is the outcome of a decision; the zero Effect is the implicit deny.
type Effect uint8

// The effects.
const (
	ImplicitDeny Effect = iota
	ExplicitDeny
	Allow
)

// Layer is the kind of the policy that decided.
type Layer uint8

// The layers.
const (
	NoLayer Layer = iota
	IdentityLayer
	BoundaryLayer
	SessionLayer
	ResourceLayer
	PublicAccessLayer // RestrictPublicBuckets
	layers
)

// Verdict is a decision and its reasons, which only the owner may see.
type Verdict struct {
	Effect Effect
	Why    []string // layer and statement; must not be modified
	Layer  Layer    // layer that denied, or whose Allow decided
	// Exhausted means that the request was denied because the decision took too many steps,
	// whatever the policies say.
	Exhausted bool
}

// Because returns the end of AWS's AccessDenied message (IAM user guide, "Troubleshoot
// access denied error messages"): "with an explicit deny in a resource-based policy",
// "because no identity-based policy allows the s3:GetObject action". It is empty for an
// Allow, and if no layer decided. AWS shows it only to callers of the resource's own
// account.
func (v Verdict) Because(a Action) string {
	name := v.Layer.String()
	switch {
	case name == "" || v.Effect == Allow:
		return ""
	case v.Layer == PublicAccessLayer:
		return "because public policies are restricted by the RestrictPublicBuckets setting in S3 Block Public Access"
	case v.Effect == ExplicitDeny:
		return "with an explicit deny in " + article(name)
	default:
		return "because no " + name + " allows the " + string(a) + " action"
	}
}

func article(name string) string {
	if name[0] == 'i' {
		return "an " + name
	}
	return "a " + name
}

// String returns AWS's name of the layer.
func (l Layer) String() string {
	switch l {
	case IdentityLayer:
		return "identity-based policy"
	case BoundaryLayer:
		return "permissions boundary"
	case SessionLayer:
		return "session policy"
	case ResourceLayer:
		return "resource-based policy"
	case PublicAccessLayer:
		return "Block Public Access setting"
	}
	return ""
}
