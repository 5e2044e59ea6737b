package policy

import (
	"cmp"
	"slices"
)

// opinion is the result of one layer.
type opinion struct {
	deny  *statement
	allow *statement
	grant grant // the furthest reaching of a resource-based policy's allows
	// alone is the allow of a grant of a KMS key, beside which no identity policy needs
	// to allow, and reaches how far it does.
	alone   *statement
	reaches grant
	lost    bool // a document is missing
	spent   bool // the decision took too many steps
}

// ask evaluates one layer. It stops at the first Deny, unless the denies of the
// layer don't bind the caller under l; if l is nil, they bind every caller.
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
			case !ok || !s.allow && escapes():
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

// Decide decides a request in AWS's order (IAM user guide, "Policy evaluation logic"):
// an explicit deny in any layer wins; then the resource's policy can be enough for a
// caller of the resource's account, depending on how it names the caller; then identity
// policies, boundary and session policy must each allow. Between accounts both sides
// must allow. Without any allow the result is the implicit deny. Whatever policies
// allow, RestrictPublicBuckets can deny, and only the bucket's own account may change
// its settings. A decision that takes too many steps is a deny.
func Decide(l Laws, r Request) Verdict {
	if r.Principal.Kind == Nobody {
		return Verdict{}
	}
	in := situation{
		request: r, owner: cmp.Or(l.BucketOwner, l.ResourceOwner), ignoreGroups: l.Public.IgnorePublicACLs,
		most: r.Work.most(),
	}
	v := in.decide(&l)
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
		o := in.ask(at.layer, at.docs, l)
		switch {
		case o.spent:
			return Verdict{
				Effect: ExplicitDeny, Why: []string{"the decision takes more work than one may"}, Exhausted: true,
			}
		case o.lost:
			return Verdict{Effect: ExplicitDeny, Why: []string{"a policy could not be read"}, Layer: at.layer}
		case o.deny != nil:
			return Verdict{Effect: ExplicitDeny, Why: o.deny.why[at.layer], Layer: at.layer}
		}
		opinions[at.layer] = o // the allows of Guard do not count: Resource comes after it
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
			Effect: ImplicitDeny, Why: []string{"settings of a bucket are its own account's alone"},
			Layer: ResourceLayer,
		}
	}
	if v.Effect == Allow && in.owner != "" && r.Principal.Account != in.owner && r.Action.Facts().OwnAccount {
		return Verdict{
			Effect: ImplicitDeny, Why: []string{"settings of a key are its own account's alone"}, Layer: ResourceLayer,
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

// weigh returns the verdict where nothing denies.
func weigh(l *Laws, r *Request, opinions *[layers]opinion) Verdict {
	p, resource := &r.Principal, &opinions[ResourceLayer]
	if (p.Kind == Anonymous || p.Kind == WebIdentity) && r.Action.Service() == "kms" {
		// KMS takes signed requests only, so "*" in a key policy means no others (KMS
		// developer guide, "Key policies in AWS KMS", "Principal").
		return implicitDeny(ResourceLayer)
	}
	own := p.Account != "" && (l.ResourceOwner == "" || l.ResourceOwner == p.Account)
	v := weighAllow(l, p, opinions, resource.allow, resource.grant, own)
	if v.Effect == Allow || resource.alone == nil {
		return v
	}
	// A grant carries a principal of any account as far as a policy of its own account's
	// resource would (KMS developer guide, "Grants in AWS KMS").
	return weighAllow(l, p, opinions, resource.alone, resource.reaches, true)
}

// weighAllow returns the verdict where the resource-based policies allow no more than
// one statement does, nil for none, and carry the principal as far as reaches. own: the
// resource counts as one of the principal's account.
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

// Excludes reports that the laws allow the principal nothing, whatever it asks for; the
// caller then need not look anything up for it.
func (l *Laws) Excludes(p *Principal) bool {
	if p.Kind != Anonymous {
		return false
	}
	if l.ObjectLists && !l.Public.IgnorePublicACLs { // the ACL of any object may allow everyone
		return restricted(l, p)
	}
	return restricted(l, p) ||
		!slices.ContainsFunc(l.Resource, func(d *Document) bool { return d == nil || d.admitsAll })
}

// implicitDeny is the verdict where a layer that had to allow does not.
func implicitDeny(layer Layer) Verdict {
	return Verdict{Effect: ImplicitDeny, Why: []string{"no " + layer.String() + " allows it"}, Layer: layer}
}

// ownerEscapes reports whether the denies of a bucket's policy do not bind: the root
// user of the bucket's account may always read, write and delete the policy, so that
// it can repair one that locks everyone out (S3 API reference, PutBucketPolicy).
func ownerEscapes(l *Laws, r *Request) bool {
	if r.Principal.Kind != AccountRoot || l.ResourceOwner == "" || r.Principal.Account != l.ResourceOwner {
		return false
	}
	return r.Action.Facts().BucketPolicy
}
