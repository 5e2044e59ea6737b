package authz

import (
	"context"

	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// Most soft needs of a read are never asked about: whether the caller may list the bucket
// matters only for an object that does not exist. Such a need waits: it is decided when
// somebody asks for its permission, each time. The result is the same at any time: what it
// follows from was looked up for the needs before it, and never changes. Nothing is written
// down, so a decision does not change either.

// mostLater is the number of needs up to which they may wait. All keys of a batch are decided
// at once, so that one that takes too much work refuses the whole request.
const mostLater = 8

// mayWait reports whether a need can be decided without a look at anything but the laws of
// the caller and of a resource that the decision already has.
func (d *decision) mayWait(n *Need) bool {
	switch {
	case !n.Soft, n.Denial, n.New, n.Given, n.As != nil, n.Asked != nil, n.Keys != nil, n.Version != nil,
		d.caller.Anonymous():
		return false
	}
	res := d.lawsOf(n.Resource)
	if res == nil || res.ACL != nil {
		return false
	}
	return !n.Resource.IsObject() || !mention(&policy.Laws{
		Identity: d.laws.Identity, Boundary: d.laws.Boundary, Session: d.caller.situation.Session,
		Resource: res.Documents,
	}, existingTag)
}

// waits returns the first need from number i on that waits, nil after the last one, and its
// number. If p is set, only needs for that permission count.
func (d *decision) waits(i int, p *permission) (*Need, int) {
	for ; d.later>>i != 0; i++ {
		n := &d.needs[i]
		if d.later>>i&1 != 0 && (p == nil || n.Action == p.action && n.Resource == p.resource) {
			return n, i
		}
	}
	return nil, i
}

// decideNow decides a need that waits, and returns how it is refused, or nil. If it can't be
// decided, it is refused. The work for it counts from what was left after the decision.
func (d *decision) decideNow(n *Need) *fault.Error {
	own, its := *d, *d.basis
	own.basis = &its
	j, err := own.judge(context.Background(), n) // it waits for nothing, see mayWait
	switch {
	case err != nil:
		return fault.From(err)
	case j.Effect != policy.Allow:
		return d.caller.denial(n, j)
	}
	return nil
}
