// Package policy is the policy language and the one decision. It is pure: the
// standard library and arn, no context, no clock, no storage. It must never
// know HTTP or who asks it.
//
// A document is compiled once, by Parse; Decide then works on patterns, numbers,
// dates and address ranges that were read before the first request came.
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

// Service is the action's service, "s3".
func (a Action) Service() string {
	service, _, _ := strings.Cut(string(a), ":")
	return service
}

// Facts are what the catalogue says of the action; see action.Of for unknown ones.
func (a Action) Facts() action.Facts {
	f, _ := action.Of(string(a))
	return f
}

// PrincipalKind is the kind of a principal. The numbers are stored, in records of
// sessions.
type PrincipalKind uint8

// The kinds of principals. The zero value is no principal and matches nothing.
const (
	Nobody        PrincipalKind = 0
	Anonymous     PrincipalKind = 1
	AccountRoot   PrincipalKind = 2
	User          PrincipalKind = 3
	RoleSession   PrincipalKind = 4
	FederatedUser PrincipalKind = 5
	Service       PrincipalKind = 6
	WebIdentity   PrincipalKind = 7 // shows an identity provider's token and signs nothing
)

// Principal is who makes a request.
type Principal struct {
	Kind      PrincipalKind
	Account   string  // 12 digits; empty for anonymous callers, services and web identities
	ARN       arn.ARN // of the user, of the session, or of the account's root
	Role      arn.ARN // of the role, for role sessions
	Issuer    arn.ARN // of the user who asked for it, for federated users' sessions
	IssuerID  string  // unique id of that user
	ID        string  // unique id: account id, AIDA..., AROA...:session, account:name of a federated user
	Name      string  // friendly name of a user; DNS name of a service
	Canonical string  // canonical user id of the account, 64 hex digits; empty where unknown
	Provider  string  // of web identities: the provider's ARN or DNS name
}

// PublicAccess is the merged Block Public Access setting of a bucket.
type PublicAccess struct {
	BlockPublicACLs, IgnorePublicACLs, BlockPublicPolicy, RestrictPublicBuckets bool
}

// Stricter is what two settings block together.
func (p PublicAccess) Stricter(q PublicAccess) PublicAccess {
	return PublicAccess{
		p.BlockPublicACLs || q.BlockPublicACLs, p.IgnorePublicACLs || q.IgnorePublicACLs,
		p.BlockPublicPolicy || q.BlockPublicPolicy, p.RestrictPublicBuckets || q.RestrictPublicBuckets,
	}
}

// Laws are all documents that bear on one request. A nil document among them
// denies: what could not be read might have been a Deny.
type Laws struct {
	// Identity are the policies of the principal and its groups. The root user
	// has a built-in one, like everybody else: Decide knows no way round.
	Identity []*Document
	// Boundary and Session limit. Nil is no limit; a list without an allow
	// allows nothing. A federated user without Session has no permissions but
	// those a resource gives to the session by name.
	Boundary, Session []*Document
	Resource          []*Document
	// Guard are policies of the resource that may deny and not allow: a bucket's,
	// about an object that another account owns.
	Guard             []*Document
	Public            PublicAccess
	Peers             Peers  // where requests come from
	ResourceOwner     string // account id; empty when nobody owns the resource
	BucketOwner       string // account id, where it is not ResourceOwner
	ObjectLists       bool   // ACLs are active: objects have documents that are not among these
	ResourceMustAllow bool   // key and trust policies: identity alone is not enough
}

// Request is what is asked.
type Request struct {
	Principal Principal
	Action    Action
	Resource  arn.ARN
	Version   *string // of the object, where the request names one: s3:VersionId
	At        time.Time
	SourceIP  netip.Addr
	// Keys are the condition keys, under the names KeyName gives. The keys that
	// follow from the fields above (see derivedKey) are never read from here.
	Keys map[string][]string
	// Work is what this decision takes its steps from; nil is what one decision
	// may take.
	Work  *Work
	given map[string][]string // see Suppose
}

// Effect is the outcome; the zero Effect is the implicit deny.
type Effect uint8

// The effects.
const (
	ImplicitDeny Effect = iota
	ExplicitDeny
	Allow
)

// Layer is where a decision fell.
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

// Verdict is a decision and its reasons, for the owner's eyes.
type Verdict struct {
	Effect Effect
	Why    []string // layer and statement; not to be changed
	Layer  Layer    // that denied, or whose allow was decisive
	// Exhausted: it denies because it took too many steps, whatever the laws say.
	Exhausted bool
}

// Because is the end of AWS's AccessDenied message (IAM user guide,
// "Troubleshoot access denied error messages"): "with an explicit deny in a
// resource-based policy", "because no identity-based policy allows the
// s3:GetObject action". It is empty for an Allow, and where no layer is to
// blame. AWS tells it to callers of the resource's own account alone.
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

// String is AWS's name of the layer.
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
