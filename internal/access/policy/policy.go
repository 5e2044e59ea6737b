// Package policy implements the policy language and the decision on a request. It is
// pure: it uses the standard library, arn and the catalogue of actions, but no context,
// clock or storage. It must never know HTTP or its caller.
//
// Parse compiles a document once. Decide then works on patterns, numbers, dates and
// address ranges, and reads no text of a policy.
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

// The kinds of principals. The zero value means no principal and matches nothing.
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

// Principal is the identity that makes a request.
type Principal struct {
	Kind      PrincipalKind
	Account   string  // 12 digits; empty for anonymous callers, services and web identities
	ARN       arn.ARN // of the user, of the session, or of the account's root
	Role      arn.ARN // of the role, for role sessions
	Issuer    arn.ARN // of the user who asked for the session, for federated users
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

// Stricter returns what two settings block together.
func (p PublicAccess) Stricter(q PublicAccess) PublicAccess {
	return PublicAccess{
		p.BlockPublicACLs || q.BlockPublicACLs, p.IgnorePublicACLs || q.IgnorePublicACLs,
		p.BlockPublicPolicy || q.BlockPublicPolicy, p.RestrictPublicBuckets || q.RestrictPublicBuckets,
	}
}

// Laws are all documents and settings that apply to one request. A nil document among
// them denies: what could not be read might have been a Deny.
type Laws struct {
	// Identity are the policies of the principal and its groups. The root user
	// has a built-in one: Decide makes no exception for it.
	Identity []*Document
	// Boundary and Session limit. Nil means no limit; a list without an allow
	// allows nothing. A federated user without Session has only the permissions
	// that a resource gives to the session by name.
	Boundary, Session []*Document
	Resource          []*Document
	// Guard are policies of the resource that can deny and cannot allow: those of a
	// bucket, for an object that another account owns.
	Guard             []*Document
	Public            PublicAccess
	Peers             Peers  // where requests come from
	ResourceOwner     string // account id; empty where the resource has no owner
	BucketOwner       string // account id, where it is not ResourceOwner
	ObjectLists       bool   // ACLs are active: objects have ACLs that are not among these documents
	ResourceMustAllow bool   // key and trust policies: an identity policy is not enough
}

// Request is what Decide decides.
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
	// Asked has further condition keys, which win over Keys; nil has none.
	Asked Conditions
	// Work is the budget of steps; nil is the budget of one decision.
	Work  *Work
	given map[string][]string // see Suppose
}

// Conditions are condition keys that are worked out when a policy asks for them. Name is
// one that KeyName gives; without values the key is absent.
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
	return r.Keys[name]
}

// Effect is the outcome of a decision; the zero Effect is the implicit deny.
type Effect uint8

// The effects.
const (
	ImplicitDeny Effect = iota
	ExplicitDeny
	Allow
)

// Layer is the kind of policy that was decisive.
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
	Why    []string // layer and statement; not to be changed
	Layer  Layer    // that denied, or whose Allow was decisive
	// Exhausted: denied because the decision took too many steps, whatever the policies say.
	Exhausted bool
}

// Because is the end of AWS's AccessDenied message (IAM user guide,
// "Troubleshoot access denied error messages"): "with an explicit deny in a
// resource-based policy", "because no identity-based policy allows the
// s3:GetObject action". It is empty for an Allow, and where no layer was decisive. AWS
// tells it only to callers of the resource's own account.
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
