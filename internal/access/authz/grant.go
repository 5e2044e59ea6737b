package authz

import (
	"context"
	"slices"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// Grant is the permission for certain actions on certain resources. The zero Grant covers
// nothing. Core methods demand what they are about to do.
type Grant struct{ g *grant }

// grant is what is known of a grant. Renewing it replaces the decision.
type grant struct {
	*decision
	seen   any          // what was read for the decision; nil means unknown
	relied []permission // soft needs that were demanded and are covered
	inside bool         // a transaction is running, which demands again if it is repeated
}

type permission struct {
	action   policy.Action
	resource arn.ARN
}

// decision is what was decided for the needs of an operation. Once it is made it never
// changes, so a decision that extends it refers to it.
type decision struct {
	*basis
	before  *decision // that this one extends; nil for a first decision
	asks    Asker     // nil for an open access
	needs   []Need
	later   uint8 // needs that wait, by their bits; see mayWait
	held    []permission
	index   map[permission]struct{}     // of held, set only if there are many
	refused map[permission]*fault.Error // soft needs
	denied  []permission                // see Need.Denial
	on      lookups
}

// basis is what the first decision and all that extend it have in common.
type basis struct {
	authority *Authority
	caller    Caller         // decided is when it was looked up
	laws      *PrincipalLaws // the caller's laws at the decision
	work      policy.Work    // work of all decisions on the request
}

// firstGrant is a grant with its decision, and with room for the usual number of needs and
// resources, in one piece of memory.
type firstGrant struct {
	grant
	made  decision
	basis basis
	held  [1]permission // soft needs mostly wait, see mayWait
	laws  [1]lawsOf
}

// widerGrant is a firstGrant that extends another decision.
type widerGrant struct {
	grant
	made decision
	held [1]permission
	laws [1]lawsOf
}

// all yields a decision and those that it extends, the newest first.
func (d *decision) all(yield func(*decision) bool) {
	for ; d != nil; d = d.before {
		if !yield(d) {
			return
		}
	}
}

// indexFrom is the number of permissions above which a map is faster than a scan.
const indexFrom = 16

func (d *decision) hold(n *Need) {
	p := permission{n.Action, n.Resource}
	if d.refusal(p) != nil {
		return
	}
	d.held = append(d.held, p)
	if len(d.held) < indexFrom {
		return
	}
	if d.index == nil {
		d.index = make(map[permission]struct{}, cap(d.held))
		for _, q := range d.held {
			d.index[q] = struct{}{}
		}
	}
	d.index[p] = struct{}{}
}

// refuse records that a soft need was refused, and the error. From then on the permission is
// not held for another version of the same object either, because a demand does not name
// the version.
func (d *decision) refuse(n *Need, how *fault.Error) {
	if d.refused == nil {
		d.refused = map[permission]*fault.Error{}
	}
	d.refused[permission{n.Action, n.Resource}] = how
}

// refusal returns how a soft need was refused, or nil.
func (d *decision) refusal(p permission) *fault.Error {
	for ; d != nil; d = d.before {
		if how := d.refused[p]; how != nil {
			return how
		}
		for n, i := d.waits(0, &p); n != nil; n, i = d.waits(i+1, &p) {
			if how := d.decideNow(n); how != nil {
				return how
			}
		}
	}
	return nil
}

// Version returns the version of an object that the need for a permission named. nil means
// the current one, or that nothing needed the permission.
func (g Grant) Version(a policy.Action, r arn.ARN) *string {
	if g.g == nil {
		return nil
	}
	for d := range g.g.decision.all {
		for i := range d.needs {
			if n := &d.needs[i]; n.Action == a && n.Resource == r {
				return n.Version
			}
		}
	}
	return nil
}

// allows reports whether a permission is held.
func (d *decision) allows(p permission) bool {
	if d.refusal(p) != nil {
		return false
	}
	for ; d != nil; d = d.before {
		if n, _ := d.waits(0, &p); n != nil {
			return true // or it would be refused
		}
		if d.index != nil {
			if _, ok := d.index[p]; ok {
				return true
			}
			continue
		}
		for i := range d.held {
			if p == d.held[i] {
				return true
			}
		}
	}
	return false
}

// holds reports whether anything is held.
func (d *decision) holds() bool {
	for e := range d.all {
		for _, p := range e.held {
			if d.refusal(p) == nil {
				return true
			}
		}
	}
	for e := range d.all {
		for n, i := e.waits(0, nil); n != nil; n, i = e.waits(i+1, nil) {
			if d.refusal(permission{n.Action, n.Resource}) == nil {
				return true
			}
		}
	}
	return false
}

// Demand refuses with AccessDenied unless the grant covers the action on the
// resource.
func (g Grant) Demand(a policy.Action, r arn.ARN) error {
	if g.Allows(a, r) {
		g.g.rely(a, r)
		return nil
	}
	if g.g != nil {
		if how := g.g.refusal(permission{a, r}); how != nil {
			return how
		}
	}
	return fault.Of(fault.AccessDenied)
}

// Allows reports whether the grant covers the action on the resource. Handlers call it for
// soft needs.
func (g Grant) Allows(a policy.Action, r arn.ARN) bool {
	return g.g != nil && g.g.allows(permission{a, r})
}

// Denied reports whether a policy of the resource explicitly denies the action. The
// operation must have a need with Denial for it.
func (g Grant) Denied(a policy.Action, r arn.ARN) bool {
	if g.g != nil {
		for d := range g.g.all {
			if slices.Contains(d.denied, permission{a, r}) {
				return true
			}
		}
	}
	return false
}

// Holds reports whether the grant covers anything.
func (g Grant) Holds() bool { return g.g != nil && g.g.holds() }

// Owner returns the account that owned a resource, or the bucket of an object, when the
// needs were decided. It is "" if the resource was not looked up or does not exist.
func (g Grant) Owner(r arn.ARN) string {
	if g.g == nil {
		return ""
	}
	if res := g.g.lawsOf(r); res != nil {
		return res.Owner
	}
	return ""
}

// Record returns what was read of a resource, or of the bucket of an object, for the
// decision. It is nil if the resource was not looked up. A transaction of change.Commit
// depends on it, as on the decision itself.
func (g Grant) Record(r arn.ARN) any {
	if g.g == nil {
		return nil
	}
	if res := g.g.lawsOf(r); res != nil {
		return res.Record
	}
	return nil
}

// Objects returns the resources for which the grant covers one of the actions.
func (g Grant) Objects(actions ...policy.Action) (all []arn.ARN) {
	if g.g == nil {
		return nil
	}
	for d := range g.g.all {
		var own []arn.ARN
		for _, p := range d.held {
			if slices.Contains(actions, p.action) && g.g.refusal(p) == nil {
				own = append(own, p.resource)
			}
		}
		for n, i := d.waits(0, nil); n != nil; n, i = d.waits(i+1, nil) {
			if p := (permission{n.Action, n.Resource}); slices.Contains(actions, p.action) && g.g.refusal(p) == nil {
				own = append(own, p.resource)
			}
		}
		all = append(own, all...)
	}
	return all
}

// Note adds to the request's audit event what the change creates. It must be called before
// the commit.
func (g Grant) Note(name string, values ...string) {
	if g.g == nil {
		return
	}
	if r := g.g.caller.record; r != nil {
		r.Note(name, values...)
	}
}

// Refused reports whether a soft need was refused.
func (g Grant) Refused() bool {
	if g.g != nil {
		for d := range g.g.all {
			if len(d.refused) > 0 {
				return true
			}
			for n, i := d.waits(0, nil); n != nil; n, i = d.waits(i+1, nil) {
				if d.decideNow(n) != nil {
					return true
				}
			}
		}
	}
	return false
}

// Caller returns the caller of the grant.
func (g Grant) Caller() Caller {
	if g.g == nil {
		return Caller{}
	}
	return g.g.caller
}

// Under decides a need of the same caller as if the resource had other laws. It shows what
// a policy would allow before it is stored.
func (g Grant) Under(ctx context.Context, res ResourceLaws, n Need) (policy.Verdict, error) {
	if g.g == nil {
		return policy.Verdict{}, nil
	}
	laws, err := g.g.authority.facts.Principal(ctx, g.g.caller.principal)
	if err != nil {
		return policy.Verdict{}, err
	}
	alone := decision{basis: &basis{authority: g.g.authority, caller: g.g.caller, laws: laws}}
	j, err := alone.under(ctx, &res, &n)
	return j.Verdict, err
}
