package authz

import (
	"context"
	"maps"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// Record is the audit event of a request as the core sees it: something to be
// written into the transaction of the change.
type Record interface {
	// Entry returns the key and the sealed-to-be value of the event of a
	// change that is about to commit.
	Entry() (key, value []byte, err error)
	// Note tells the event what the change makes or deletes: ids of versions, of
	// a key, an account. They take the place of what had the same name.
	Note(name string, values ...string)
	// Committed is called once the transaction that holds the entry is durable.
	Committed()
}

// Need is one permission an operation asks for.
type Need struct {
	Action   policy.Action
	Resource arn.ARN
	Version  *string             // of the object, as the request names it; nil is the current one
	Keys     map[string][]string // condition keys of this need alone, in lower case
	Soft     bool                // a refusal does not refuse the request; the handler asks Allows
	// New: the resource is about to be made, or all of its kind: the caller's
	// account owns it. Of an object, its bucket's policy can still deny.
	New bool
	// Given: the caller may by default, as who began an upload may end it. It stands
	// in for an Allow; a Deny, a boundary and a session policy bind as ever.
	Given bool
	// Denial: it is only asked whether a policy of the resource denies the action
	// outright. The grant never covers such a need; see Denied.
	Denial bool
	// As is who a token in the request says its bearer is: the need is judged
	// for that principal, and nothing of the caller counts but the connection.
	// Whoever demands the grant verifies the token before anything follows.
	As *policy.Principal
	// Refusal words the refusal of a hard need; nil is AccessDenied.
	Refusal func(policy.Verdict) error
}

// Facts are the laws, met by identity, bucket and keys, joined in server.
type Facts interface {
	// Principal returns the laws of a principal.
	Principal(ctx context.Context, p policy.Principal) (PrincipalLaws, error)
	// Resource returns the laws that stand on a resource at the instant of the
	// request. A resource that does not exist has the zero laws.
	Resource(ctx context.Context, r arn.ARN, at time.Time) (ResourceLaws, error)
	// ObjectTags returns the tags of an object's version, nil being the current
	// one; none where it is not there. It is asked only where a law that may
	// bind the request speaks of s3:ExistingObjectTag.
	ObjectTags(ctx context.Context, object arn.ARN, version *string) (map[string]string, error)
	// Object returns what stands on an object's version by itself, nil being the
	// current one; the zero laws where no object is there. It is asked only where
	// the ACLs of its bucket are active.
	Object(ctx context.Context, object arn.ARN, version *string) (ObjectLaws, error)
}

// PrincipalLaws bind a principal. Boundary nil is no boundary.
type PrincipalLaws struct{ Identity, Boundary []*policy.Document }

// ResourceLaws stand on a resource. Owner is the owning account's id, empty
// where the resource does not exist.
type ResourceLaws struct {
	Owner     string
	Documents []*policy.Document
	Public    policy.PublicAccess
	Peers     policy.Peers
	MustAllow bool
	// Until is when Public is another one by the clock alone; zero is never.
	Until time.Time
	// Service, where it is set, is whose actions alone Documents and MustAllow
	// are about: a role's trust policy says nothing of iam:GetRole.
	Service string
	// Record is what was read of the resource, for the core method that works on
	// it: authz hands it on unread (see Grant.Record). nil is none.
	Record any
	// ACL is a bucket's own, nil where ACLs are disabled. Where there is one, the
	// bucket's objects have owners and ACLs of their own.
	ACL *policy.Document
}

// Authority decides.
type Authority struct{ facts Facts }

// New returns the authority over these facts.
func New(facts Facts) *Authority { return &Authority{facts: facts} }

// Authorize judges every need. It refuses the whole request when a hard need
// is refused, when there are no needs, or when the caller is zero; soft needs
// that are refused are left out of the grant.
func (a *Authority) Authorize(ctx context.Context, c Caller, needs ...Need) (Grant, error) {
	if a == nil || c.principal.Kind == policy.Nobody || len(needs) == 0 {
		return Grant{}, fault.Of(fault.AccessDenied)
	}
	return a.ask(ctx, c, func(context.Context, Caller) ([]Need, error) { return needs, nil })
}

// ask judges the needs that asks returns, now and whenever the grant is renewed.
func (a *Authority) ask(ctx context.Context, c Caller, asks func(context.Context, Caller) ([]Need, error)) (Grant, error) {
	g, err := a.decide(ctx, c, asks)
	if err != nil {
		return Grant{}, err
	}
	g.seen = c.situation.Seen
	return Grant{g}, nil
}

// decide judges the needs that asks returns.
func (a *Authority) decide(ctx context.Context, c Caller, asks func(context.Context, Caller) ([]Need, error)) (*grant, error) {
	needs, err := asks(ctx, c)
	if err != nil {
		return nil, err
	}
	if a == nil || len(needs) == 0 {
		return nil, fault.Of(fault.AccessDenied)
	}
	laws, err := a.facts.Principal(ctx, c.principal)
	if err != nil {
		return nil, err
	}
	g := &grant{authority: a, asks: asks, caller: c, needs: needs, decided: c.situation.At, laws: laws, held: make([]permission, 0, len(needs))}
	g.on.laws, g.on.work = g.on.room[:0], policy.NewWork()
	hard := false
	for _, n := range needs {
		hard = hard || !n.Soft && !n.Denial
		j, err := a.judge(ctx, c, laws, &g.on, &n)
		if err != nil {
			return nil, err
		}
		switch {
		case n.Denial:
			if j.Effect == policy.ExplicitDeny && j.Layer == policy.ResourceLayer {
				g.denied = append(g.denied, permission{n.Action, n.Resource})
			}
		case j.Effect == policy.Allow:
			g.hold(n)
		case !n.Soft && n.Refusal != nil:
			return nil, n.Refusal(j.Verdict)
		case !n.Soft:
			return nil, c.denial(&n, j)
		default:
			g.refuse(n, c.denial(&n, j))
		}
	}
	if !hard && len(g.held) == 0 && c.Anonymous() {
		return nil, fault.Of(fault.AccessDenied)
	}
	return g, nil
}

// judge decides one need; the laws of a bucket are asked for once a request.
func (a *Authority) judge(ctx context.Context, c Caller, laws PrincipalLaws, on *standing, n *Need) (judgement, error) {
	res := ResourceLaws{Owner: c.principal.Account}
	if !n.New || n.Resource.IsObject() {
		var err error
		if res, err = on.resource(ctx, a.facts, n.Resource, c.situation.At); err != nil {
			return judgement{}, err
		}
	}
	if service, _, _ := strings.Cut(string(n.Action), ":"); res.Service != "" && res.Service != service {
		res.Documents, res.MustAllow = nil, false
	}
	return a.decideUnder(ctx, c, laws, res, on, n)
}

// decideUnder is the decision on one need under the laws of its resource.
func (a *Authority) decideUnder(ctx context.Context, c Caller, laws PrincipalLaws, res ResourceLaws, on *standing, n *Need) (judgement, error) {
	l := policy.Laws{
		Identity: laws.Identity, Boundary: laws.Boundary, Session: c.situation.Session,
		Resource: res.Documents, Public: res.Public, Peers: res.Peers, ResourceOwner: res.Owner, ResourceMustAllow: res.MustAllow,
		ObjectLists: res.ACL != nil,
	}
	who := c.principal
	if n.As != nil {
		who, l.Identity, l.Boundary, l.Session = *n.As, nil, nil, nil
	}
	if n.Denial && !speakOf(l.Resource, n.Action) {
		return judgement{}, nil
	}
	if l.Excludes(&who) { // nothing is looked up for a stranger who gets nothing
		return judgement{Verdict: policy.Verdict{Layer: policy.ResourceLayer}}, nil
	}
	sawObject, err := a.lists(ctx, &who, &l, &res, on, n)
	if err != nil {
		return judgement{}, err
	}
	if n.Given {
		give(&l, &who, n.Action)
	}
	tags, err := a.tagKeys(ctx, &l, on, n)
	if err != nil {
		return judgement{}, err
	}
	keys := c.situation.Keys
	if len(n.Keys)+len(tags) > 0 {
		keys = maps.Clone(keys)
		if keys == nil {
			keys = map[string][]string{}
		}
		maps.Copy(keys, n.Keys)
		maps.Copy(keys, tags)
	}
	v := policy.Decide(l, policy.Request{
		Principal: who, Action: n.Action, Resource: n.Resource, Version: n.Version,
		At: c.situation.At, SourceIP: c.situation.SourceIP, Keys: keys, Work: on.work,
	})
	if v.Exhausted {
		return judgement{}, tooMuchWork()
	}
	return judgement{v, c.mayTell(n, &res, sawObject || tags != nil)}, nil
}
