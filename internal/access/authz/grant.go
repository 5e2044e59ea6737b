package authz

import (
	"context"
	"slices"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// Grant is the permission for certain actions on certain resources. The zero Grant covers
// nothing. Core methods demand what they are about to do.
type Grant struct{ g *grant }

type permission struct {
	action   policy.Action
	resource arn.ARN
}

type grant struct {
	authority *Authority
	caller    *Caller // never changed
	needs     []Need
	held      []permission
	index     map[permission]struct{}     // set only if there are many
	refused   map[permission]*fault.Error // soft needs
	denied    []permission                // see Need.Denial

	asks    func(context.Context, Caller) ([]Need, error) // nil for an open access
	decided time.Time
	seen    any           // what was read for the decision; nil means unknown
	laws    PrincipalLaws // the caller's laws at the decision
	on      lookups
	relied  []permission // soft needs that were demanded and are covered
	inside  bool         // a transaction is running, which demands again if it is repeated
}

// firstGrant is a grant with what copies of it share, in one piece of memory.
type firstGrant struct {
	grant
	who  Caller
	room [1]lawsOf // for the usual number of resources
}

// indexFrom is the number of permissions above which a map is faster than a scan.
const indexFrom = 16

func (g *grant) hold(n Need) {
	p := permission{n.Action, n.Resource}
	if _, refused := g.refused[p]; refused {
		return
	}
	g.held = append(g.held, p)
	if len(g.held) < indexFrom {
		return
	}
	if g.index == nil {
		g.index = make(map[permission]struct{}, cap(g.held))
		for _, q := range g.held {
			g.index[q] = struct{}{}
		}
	}
	g.index[p] = struct{}{}
}

// refuse records that a soft need was refused, and the error. It also removes the
// permission for another version of the same object, because a demand does not name the
// version.
func (g *grant) refuse(n Need, how *fault.Error) {
	p := permission{n.Action, n.Resource}
	if g.refused == nil {
		g.refused = map[permission]*fault.Error{}
	}
	g.refused[p] = how
	g.held = slices.DeleteFunc(g.held, func(q permission) bool { return p == q })
	delete(g.index, p)
}

// Demand refuses with AccessDenied unless the grant covers the action on the
// resource.
func (g Grant) Demand(a policy.Action, r arn.ARN) error {
	if g.Allows(a, r) {
		g.g.rely(a, r)
		return nil
	}
	if g.g != nil {
		if how := g.g.refused[permission{a, r}]; how != nil {
			return how
		}
	}
	return fault.Of(fault.AccessDenied)
}

// Allows reports whether the grant covers the action on the resource. Handlers call it for
// soft needs.
func (g Grant) Allows(a policy.Action, r arn.ARN) bool {
	if g.g == nil {
		return false
	}
	p := permission{a, r}
	if g.g.index != nil {
		_, ok := g.g.index[p]
		return ok
	}
	for _, q := range g.g.held {
		if p == q {
			return true
		}
	}
	return false
}

// Denied reports whether a policy of the resource explicitly denies the action. The
// operation must have a need with Denial for it.
func (g Grant) Denied(a policy.Action, r arn.ARN) bool {
	return g.g != nil && slices.Contains(g.g.denied, permission{a, r})
}

// Holds reports whether the grant covers anything.
func (g Grant) Holds() bool { return g.g != nil && len(g.g.held) > 0 }

// Owner returns the account that owned a resource, or the bucket of an object, when the
// needs were decided. It is "" if the resource was not looked up or does not exist.
func (g Grant) Owner(r arn.ARN) string {
	if g.g == nil {
		return ""
	}
	if res := g.g.on.of(r); res != nil {
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
	if res := g.g.on.of(r); res != nil {
		return res.Record
	}
	return nil
}

// Objects returns the resources for which the grant covers one of the actions.
func (g Grant) Objects(actions ...policy.Action) (all []arn.ARN) {
	if g.g == nil {
		return nil
	}
	for _, p := range g.g.held {
		if slices.Contains(actions, p.action) {
			all = append(all, p.resource)
		}
	}
	return all
}

// Note adds to the request's audit event what the change creates. It must be called before
// the commit.
func (g Grant) Note(name string, values ...string) {
	if g.g == nil {
		return
	}
	if r := g.g.caller.Record(); r != nil {
		r.Note(name, values...)
	}
}

// Refused reports whether a soft need was refused.
func (g Grant) Refused() bool { return g.g != nil && len(g.g.refused) > 0 }

// Caller returns the caller of the grant.
func (g Grant) Caller() Caller {
	if g.g == nil {
		return Caller{}
	}
	return *g.g.caller
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
	j, err := g.g.authority.decideUnder(ctx, g.g.caller, laws, res, &lookups{}, &n)
	return j.Verdict, err
}
