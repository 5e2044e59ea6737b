package policy

import (
	"cmp"
	"slices"
)

// opinion is the result of one layer.
type opinion struct {
	deny  *statement
	allow *statement
	grant grant // the furthest reaching grant among the Allow statements of a resource-based policy
	// alone is a statement of a grant of a KMS key: it needs no identity policy that also
	// allows the request. reaches is how far it reaches.
	alone   *statement
	reaches grant
	lost    bool // a document could not be read
	spent   bool // the decision took too many steps
}

// ask evaluates one layer. It stops at the first Deny, unless the Deny statements of the
// layer don't apply to the caller under l; if l is nil, they apply to every caller.
func (in *situation) ask(layer Layer, docs []*Document, l *Laws) opinion {
	escapes := func() bool { return l != nil && layer == ResourceLayer && ownerEscapes(l, &in.request) }
	var o opinion
	for _, d := range docs {
		switch {
		case d == nil && escapes():
			continue
		case d == nil:
			o.lost = true
			return o
		}
		for i := range d.statements {
			s := &d.statements[i]
			g, ok := s.applies(layer, in)
			switch {
			case in.exhausted():
				o.spent = true
				return o
			case !ok || !s.allow && !s.changes && escapes(): // a freeze binds every caller
			case !s.allow:
				o.deny = s
				return o
			case s.alone && (o.alone == nil || g > o.reaches):
				o.alone, o.reaches = s, g
			case !s.alone && (o.allow == nil || g > o.grant):
				o.allow, o.grant = s, g
			}
		}
	}
	return o
}

// Decide decides a request in AWS's order (IAM user guide, "Policy evaluation logic"). An
// explicit Deny in any layer wins. Then the resource's policy can be enough for a caller of
// the resource's account, depending on how it names the caller. Then identity policies,
// boundary and session policy must each allow. Between accounts both sides must allow.
// Without any Allow the result is an implicit deny. Whatever policies allow,
// RestrictPublicBuckets can deny, and only the bucket's own account may change its
// settings. A decision that takes too many steps is a deny. Neither l nor r is modified or
// kept.
func Decide(l *Laws, r *Request) Verdict {
	if r.Principal.Kind == Nobody {
		return Verdict{}
	}
	in := situation{
		request: *r, action: actionOf(r.Action), owner: cmp.Or(l.BucketOwner, l.ResourceOwner),
		ignoreGroups: l.Public.IgnorePublicACLs, most: r.Work.most(),
	}
	v := in.decide(l)
	r.Work.Spend(in.spent)
	return v
}

func (in *situation) decide(l *Laws) Verdict {
	r := &in.request
	var opinions [layers]opinion
	for _, at := range [...]struct {
		layer Layer
		docs  []*Document
	}{
		{ResourceLayer, l.Guard}, {ResourceLayer, l.Resource}, {IdentityLayer, l.Identity},
		{BoundaryLayer, l.Boundary}, {SessionLayer, l.Session},
	} {
		if len(at.docs) == 0 {
			opinions[at.layer] = opinion{}
			continue
		}
		o := in.ask(at.layer, at.docs, l)
		switch {
		case o.spent:
			return Verdict{
				Effect: ExplicitDeny, Why: []string{"the decision needs more steps than are allowed"}, Exhausted: true,
			}
		case o.lost:
			return Verdict{Effect: ExplicitDeny, Why: []string{"a policy could not be read"}, Layer: at.layer}
		case o.deny != nil:
			return Verdict{Effect: ExplicitDeny, Why: o.deny.why[at.layer], Layer: at.layer}
		}
		opinions[at.layer] = o // the allows of Guard do not count: Resource comes after it and replaces them
	}
	v := weigh(l, r, &opinions)
	if v.Effect == Allow && restricted(l, &r.Principal) {
		return Verdict{
			Effect: ExplicitDeny, Why: []string{"the bucket's policy is public, and RestrictPublicBuckets is on"},
			Layer: PublicAccessLayer,
		}
	}
	if v.Effect == Allow && in.ownersAlone(l) {
		return Verdict{
			Effect: ImplicitDeny, Why: []string{"only the bucket's own account may change its settings"},
			Layer: ResourceLayer,
		}
	}
	if v.Effect == Allow && in.owner != "" && r.Principal.Account != in.owner && r.Action.Facts().OwnAccount {
		return Verdict{
			Effect: ImplicitDeny, Why: []string{"only the key's own account may change its settings"},
			Layer: ResourceLayer,
		}
	}
	if v.Effect == Allow && in.givesAccessAway(l) {
		return Verdict{
			Effect: ImplicitDeny,
			Why:    []string{"what is open to everybody lets no other account change an object's ACL"},
			Layer:  ResourceLayer,
		}
	}
	return v
}

// weigh returns the verdict if no statement denies.
func weigh(l *Laws, r *Request, opinions *[layers]opinion) Verdict {
	p, resource := &r.Principal, &opinions[ResourceLayer]
	if (p.Kind == Anonymous || p.Kind == WebIdentity) && r.Action.Service() == "kms" {
		// KMS accepts signed requests only, so "*" in a key policy does not include
		// anonymous callers (KMS developer guide, "Key policies in AWS KMS", "Principal").
		return implicitDeny(ResourceLayer)
	}
	own := p.Account != "" && (l.ResourceOwner == "" || l.ResourceOwner == p.Account)
	v := weighAllow(l, p, opinions, resource.allow, resource.grant, own)
	if v.Effect == Allow || resource.alone == nil {
		return v
	}
	// For a principal of any account, a grant is like a policy of a resource of its own
	// account (KMS developer guide, "Grants in AWS KMS").
	return weighAllow(l, p, opinions, resource.alone, resource.reaches, true)
}

// weighAllow returns the verdict for what the resource-based policies allow: allow is the
// statement that allows it, nil if there is none, and reaches is how far it reaches. own:
// the resource counts as one of the principal's account.
func weighAllow(
	l *Laws, p *Principal, opinions *[layers]opinion, allow *statement, reaches grant, own bool,
) Verdict {
	if allow == nil && (!own || l.ResourceMustAllow) {
		return implicitDeny(ResourceLayer)
	}
	needsIdentity, needsBoundary, needsSession := true, l.Boundary != nil, l.Session != nil || p.Kind == FederatedUser
	if own {
		needsIdentity = reaches < limited
		needsBoundary = needsBoundary && reaches < toUser
		needsSession = needsSession && reaches < unlimited
	} else if p.Account == "" {
		// Anonymous callers, services and web identities have no identity policies.
		needsIdentity = false
	}
	switch {
	case needsIdentity && opinions[IdentityLayer].allow == nil:
		return implicitDeny(IdentityLayer)
	case needsBoundary && opinions[BoundaryLayer].allow == nil:
		return implicitDeny(BoundaryLayer)
	case needsSession && opinions[SessionLayer].allow == nil:
		return implicitDeny(SessionLayer)
	case !needsIdentity:
		return Verdict{Effect: Allow, Why: allow.why[ResourceLayer], Layer: ResourceLayer}
	}
	return Verdict{Effect: Allow, Why: opinions[IdentityLayer].allow.why[IdentityLayer], Layer: IdentityLayer}
}

// Excludes reports whether the laws certainly allow the principal nothing, so that the
// caller of Excludes need not look up more.
func (l *Laws) Excludes(p *Principal) bool {
	if p.Kind != Anonymous {
		return false
	}
	if l.ObjectLists && !l.Public.IgnorePublicACLs { // the ACL of an object may allow everyone
		return restricted(l, p)
	}
	return restricted(l, p) ||
		!slices.ContainsFunc(l.Resource, func(d *Document) bool { return d == nil || d.admitsAll })
}

// implicitDeny returns the verdict if a layer does not allow what it must allow.
func implicitDeny(layer Layer) Verdict {
	return Verdict{Effect: ImplicitDeny, Why: []string{"no " + layer.String() + " allows it"}, Layer: layer}
}

// ownerEscapes reports whether the Deny statements of a bucket's policy don't apply: the
// root user of the bucket's account may always read, write and delete the policy, so that
// it can repair one that locks everyone out (S3 API reference, PutBucketPolicy).
func ownerEscapes(l *Laws, r *Request) bool {
	if r.Principal.Kind != AccountRoot || l.ResourceOwner == "" || r.Principal.Account != l.ResourceOwner {
		return false
	}
	return r.Action.Facts().BucketPolicy
}
