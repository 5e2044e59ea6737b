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

// Record is the audit event of a request as core uses it: an entry that is written in the
// transaction of the change. gateway/audit implements it.
type Record interface {
	// Entry returns the key and the value of the event for a change that is about to
	// commit. The store seals the value. A transaction that is repeated calls Entry again
	// and gets the same key.
	Entry() (key, value []byte, err error)
	// Note adds to the event what the change creates or deletes: ids of versions, of a key,
	// of an account. It replaces earlier values of the same name.
	Note(name string, values ...string)
	// Committed is called after the transaction with the entry is durable.
	Committed()
}

// Need is one permission that an operation needs.
type Need struct {
	Action   policy.Action
	Resource arn.ARN
	Version  *string             // of the object, as the request names it; nil means the current version
	Keys     map[string][]string // condition keys for this need only, in lower case
	Asked    Conditions          // further condition keys for this need only; may be nil
	Soft     bool                // a refusal does not refuse the whole request; the handler calls Allows
	// New means that the resource does not exist yet, or that the need is about all
	// resources of a kind. In both cases the caller's account counts as the owner. A
	// bucket's policy can still deny the creation of an object in the bucket.
	New bool
	// Given means that the caller has the permission by default; for example, the initiator
	// of an upload may abort it. It counts like an Allow; a Deny, a boundary and a session
	// policy still apply.
	Given bool
	// Denial means that the need only asks whether a policy of the resource explicitly
	// denies the action. The grant never covers such a need; see Grant.Denied.
	Denial bool
	// As is the principal of a token in the request. The need is decided for that
	// principal; only the connection of the caller counts. The core method that demands the
	// grant must first verify the token.
	As *policy.Principal
	// Refusal returns the error if a hard need is refused; nil means AccessDenied.
	Refusal func(policy.Verdict) error
}

// Conditions are condition keys that are computed only if a policy refers to them.
type Conditions interface {
	policy.Conditions
	// Costly returns the prefix of the condition keys that cost a read, as policy.KeyName
	// returns it. Look, which reads them, is called before a decision only if a policy that may apply mentions one.
	Costly() string
	Look(ctx context.Context) error
	// Laws returns the laws of the need's resource, which were read in the view in which
	// the resource was found; Facts.Resource would return the same. They are shared and must
	// not be modified.
	Laws() *ResourceLaws
}

// Facts look up the policies and settings that decisions need. Package server implements it
// with the stores of core.
type Facts interface {
	// Principal returns the laws of a principal. Neither p nor the laws, which may be shared,
	// may be modified.
	Principal(ctx context.Context, p *policy.Principal) (*PrincipalLaws, error)
	// Resource returns the laws of a resource at the time of the request. The laws of a
	// bucket apply to its objects, too. A resource that does not exist has zero laws. The laws
	// may be shared and must not be modified.
	Resource(ctx context.Context, r arn.ARN, at time.Time) (*ResourceLaws, error)
	// ObjectTags returns the tags of an object's version, or none if it does not exist; a
	// nil version means the current one. It is called only if a policy that may apply
	// mentions s3:ExistingObjectTag.
	ObjectTags(ctx context.Context, object arn.ARN, version *string) (map[string]string, error)
	// Object returns the owner and the ACL of an object's version, or zero laws if it does
	// not exist; a nil version means the current one. It is called only if ACLs are enabled
	// in the bucket.
	Object(ctx context.Context, object arn.ARN, version *string) (ObjectLaws, error)
	// Grants returns what the grants of a KMS key allow a principal (policy.Grants). It
	// does not read the grants to others. It is called only if ResourceLaws.HasGrants is
	// set.
	Grants(ctx context.Context, key arn.ARN, to *policy.Principal) ([]*policy.Document, error)
}

// PrincipalLaws are the policies of a principal. A nil Boundary means that there is no boundary.
type PrincipalLaws struct{ Identity, Boundary []*policy.Document }

// ResourceLaws are the policies and settings of a resource. Owner is the id of the account
// that owns it, empty if the resource does not exist.
type ResourceLaws struct {
	Owner     string
	Documents []*policy.Document
	Public    policy.PublicAccess
	Peers     policy.Peers
	MustAllow bool
	// HasGrants means that grants allow some principals more than Documents do; see Facts.Grants.
	HasGrants bool
	// Until is when Public, or what a key may be used for, changes without a write, because
	// a period ends; zero means never.
	Until time.Time
	// Service, if set, limits Documents and MustAllow to the actions of one service:
	// a role's trust policy says nothing about iam:GetRole.
	Service string
	// Record is what was read of the resource. The core method that works on the resource
	// gets it from Grant.Record; authz does not look into it. It may be nil.
	Record any
	// ACL is the ACL of a bucket, nil if ACLs are disabled. If it is set, each object of
	// the bucket has an owner and an ACL as well.
	ACL *policy.Document
}

// Authority decides needs.
type Authority struct{ facts Facts }

// New returns an Authority that decides with these facts.
func New(facts Facts) *Authority { return &Authority{facts: facts} }

// Asker returns the needs of an operation. It is asked again each time a grant is renewed.
// It must not decide anything.
type Asker interface {
	Needs(ctx context.Context, c Caller) ([]Need, error)
}

// Asks is an Asker that is a function.
type Asks func(context.Context, Caller) ([]Need, error)

// Needs implements Asker.
func (f Asks) Needs(ctx context.Context, c Caller) ([]Need, error) { return f(ctx, c) }

// Authorize decides every need, soft ones perhaps only when they are asked for. It refuses
// the whole request if a hard need is refused, if there are no needs, or if the caller is the
// zero Caller. The grant does not cover soft needs that are refused. Errors: AccessDenied, and those of Facts.
func (a *Authority) Authorize(ctx context.Context, c Caller, needs ...Need) (Grant, error) {
	if a == nil || c.IsNobody() || len(needs) == 0 {
		return Grant{}, fault.Of(fault.AccessDenied)
	}
	asks := Asks(func(context.Context, Caller) ([]Need, error) { return needs, nil })
	return a.grant(ctx, new(firstGrant), c, asks, needs)
}

// grant decides the needs that asks has returned, and returns g. Each time it is renewed, asks
// is called again.
func (a *Authority) grant(ctx context.Context, g *firstGrant, c Caller, asks Asker, needs []Need) (Grant, error) {
	if err := a.decide(ctx, g, c, asks, needs); err != nil {
		return Grant{}, err
	}
	g.seen = c.seen
	return Grant{&g.grant}, nil
}

// decide decides the needs that asks has returned, once. g is a new grant.
func (a *Authority) decide(ctx context.Context, g *firstGrant, c Caller, asks Asker, needs []Need) error {
	if a == nil || len(needs) == 0 {
		return fault.Of(fault.AccessDenied)
	}
	laws, err := a.facts.Principal(ctx, c.principal)
	if err != nil {
		return err
	}
	g.decision = &g.made
	g.basis = basis{authority: a, caller: c, laws: laws}
	g.made = decision{basis: &g.basis, asks: asks}
	if g.made.held = g.held[:0]; len(needs) > mostLater {
		g.made.held = make([]permission, 0, len(needs))
	}
	g.made.on.laws = g.laws[:0]
	return g.made.add(ctx, needs)
}

// add decides needs under the laws of the caller and adds them to a decision that is being
// made.
func (d *decision) add(ctx context.Context, needs []Need) error {
	hard := false
	d.needs = needs
	for i := range needs {
		n := &needs[i]
		hard = hard || !n.Soft && !n.Denial
		if len(needs) <= mostLater && d.mayWait(n) {
			d.later |= 1 << i
			continue
		}
		j, err := d.judge(ctx, n)
		if err != nil {
			return err
		}
		switch {
		case n.Denial:
			if j.Effect == policy.ExplicitDeny && j.Layer == policy.ResourceLayer {
				d.denied = append(d.denied, permission{n.Action, n.Resource})
			}
		case j.Effect == policy.Allow:
			d.hold(n)
		case !n.Soft && n.Refusal != nil:
			return n.Refusal(j.Verdict)
		case !n.Soft:
			return d.caller.denial(n, j)
		default:
			d.refuse(n, d.caller.denial(n, j))
		}
	}
	if !hard && d.caller.Anonymous() && !d.holds() {
		return fault.Of(fault.AccessDenied)
	}
	return nil
}

// judge decides one need. It looks up the laws of a bucket once per request.
func (d *decision) judge(ctx context.Context, n *Need) (judgement, error) {
	res := &ResourceLaws{Owner: d.caller.principal.Account}
	if !n.New || n.Resource.IsObject() {
		var err error
		if res, err = d.resource(ctx, n); err != nil {
			return judgement{}, err
		}
	}
	if service, _, _ := strings.Cut(string(n.Action), ":"); res.Service != "" && res.Service != service {
		silent := *res
		silent.Documents, silent.MustAllow = nil, false
		res = &silent
	}
	return d.under(ctx, res, n)
}

// under decides one need under the laws of its resource.
func (d *decision) under(ctx context.Context, res *ResourceLaws, n *Need) (judgement, error) {
	c := &d.caller
	l := policy.Laws{
		Identity: d.laws.Identity, Boundary: d.laws.Boundary, Session: c.situation.Session,
		Resource: res.Documents, Public: res.Public, Peers: res.Peers, ResourceOwner: res.Owner,
		ResourceMustAllow: res.MustAllow,
		ObjectLists:       res.ACL != nil,
	}
	who := c.principal
	if n.As != nil {
		who, l.Identity, l.Boundary, l.Session = n.As, nil, nil, nil
	}
	if n.Denial && !mentionAction(l.Resource, n.Action) {
		return judgement{}, nil
	}
	if l.Excludes(who) { // an anonymous caller who is allowed nothing needs no further lookups
		return judgement{Verdict: policy.Verdict{Layer: policy.ResourceLayer}}, nil
	}
	sawObject, err := d.lists(ctx, who, &l, res, n)
	if err != nil {
		return judgement{}, err
	}
	if n.Given {
		addGiven(&l, who, n.Action)
	}
	tags, err := d.tagKeys(ctx, &l, n)
	if err != nil {
		return judgement{}, err
	}
	r := policy.Request{
		Principal: *who, Action: n.Action, Resource: n.Resource, Version: n.Version,
		At: c.situation.At, SourceIP: c.situation.SourceIP, Keys: c.situation.with(n.Keys, tags),
		Common: c.situation.Asked, Work: &d.work,
	}
	if n.Asked != nil {
		if r.Asked = n.Asked; mention(&l, n.Asked.Costly()) {
			if err := n.Asked.Look(ctx); err != nil {
				return judgement{}, err
			}
		}
	}
	v := policy.Decide(&l, &r)
	if v.Exhausted {
		return judgement{}, tooMuchWork()
	}
	return judgement{v, c.mayTell(n, res, sawObject || tags != nil)}, nil
}

// with returns the condition keys of the request with those of a need and the tags of its
// object.
func (s *Situation) with(need, tags map[string][]string) map[string][]string {
	switch {
	case len(need)+len(tags) == 0:
		return s.Keys
	case len(s.Keys)+len(tags) == 0:
		return need
	}
	keys := make(map[string][]string, len(s.Keys)+len(need)+len(tags))
	maps.Copy(keys, s.Keys)
	maps.Copy(keys, need)
	maps.Copy(keys, tags)
	return keys
}
