package authz

import (
	"context"
	"slices"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// A grant is decided at one time. It is renewed before a change commits, and before an
// object is read whose own tags, owner or ACL were looked up. The new decision is made on
// the same state that is then changed or read. So a request whose body takes long is
// decided by the state at its end.

// standsFor is the maximum age of a decision that is not renewed because nothing that it
// depends on has changed. Correctness does not need this limit, because what was read is
// compared; it only costs work.
const standsFor = time.Second

// Stands returns what was read for the grant's decision, if the decision stays valid while
// that is unchanged: the decision must be fresh, and no policy or credential may depend on
// the time. Otherwise the grant must be renewed.
func (g Grant) Stands() (seen any, ok bool) {
	if g.g == nil || g.g.seen == nil {
		return nil, false
	}
	now, s := g.g.caller.Now(), g.g.caller.situation
	switch age := now.Sub(s.At); {
	case age < 0 || age > standsFor, passed(s.Until, now), g.g.timed():
		return nil, false
	}
	for d := range g.g.all {
		for _, res := range d.on.laws {
			if passed(res.Until, now) {
				return nil, false
			}
		}
	}
	return g.g.seen, true
}

func passed(until, now time.Time) bool { return !until.IsZero() && !now.Before(until) }

// timed reports whether a policy on which the decision depends refers to the time.
func (d *decision) timed() bool {
	if anyTimed(d.laws.Identity) || anyTimed(d.laws.Boundary) || anyTimed(d.caller.situation.Session) {
		return true
	}
	for e := range d.all {
		for _, res := range e.on.laws {
			if anyTimed(res.Documents) {
				return true
			}
		}
	}
	return false
}

func anyTimed(docs []*policy.Document) bool {
	return slices.ContainsFunc(docs, func(d *policy.Document) bool {
		return d != nil && d.Timed()
	})
}

// Renew looks the caller up again, computes its needs again and decides them, all in the
// state that ctx reads. It refuses if a hard need is refused, or a soft need that was
// demanded before. A grant that was refused must not be used any more. Errors:
// AccessDenied, and those of looking the caller up.
func (g Grant) Renew(ctx context.Context) error {
	if g.g == nil {
		return fault.Of(fault.AccessDenied)
	}
	c, err := g.g.caller.Again(ctx)
	if err != nil {
		return err
	}
	if g.g.asks == nil {
		g.g.decision, g.g.seen = openDecision(g.g.authority, c), nil
		return nil
	}
	asks := g.g.asks
	if g.g.before != nil {
		asks = g.g.decision
	}
	needs, err := asks.Needs(ctx, c)
	if err != nil {
		return err
	}
	fresh := &firstGrant{}
	if err := g.g.authority.decide(ctx, fresh, c, asks, needs); err != nil {
		return err
	}
	g.g.decision, g.g.seen = fresh.decision, nil
	for _, p := range g.g.relied {
		if g.Allows(p.action, p.resource) {
			continue
		}
		if how := g.g.refusal(p); how != nil {
			return how
		}
		return fault.Of(fault.AccessDenied)
	}
	return nil
}

// RestsOnObjects reports whether the tags, the owner or the ACL of an object were looked up
// for the decision. They may differ between versions, and may change within one, so the
// decision is valid only for the state in which it was made.
func (g Grant) RestsOnObjects() bool {
	if g.g != nil {
		for d := range g.g.all {
			if d.on.tagged || len(d.on.objects) > 0 {
				return true
			}
		}
	}
	return false
}

// Inside begins or ends a section of code that demands again if the grant is renewed, such
// as a transaction that may run more than once.
func (g Grant) Inside(yes bool) {
	if g.g != nil {
		g.g.inside = yes
	}
}

// rely records a soft need that was demanded, so that Renew decides it again.
func (g *grant) rely(a policy.Action, r arn.ARN) {
	if g.inside {
		return
	}
	p := permission{a, r}
	for d := range g.all {
		for i := range d.needs {
			n := &d.needs[i]
			if n.Soft && n.Action == a && n.Resource == r && !slices.Contains(g.relied, p) {
				g.relied = append(g.relied, p)
			}
		}
	}
}
