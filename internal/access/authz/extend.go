package authz

import (
	"context"
	"slices"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// Extend decides further needs of the grant's caller and returns a grant for all needs; it
// does not change g. An operation calls it for needs that it learns only while it runs,
// such as those on the key of an object. The new grant depends on everything that g
// depended on. When it is renewed, asks is called again and all needs are decided again. A
// grant that is not fresh any more is renewed immediately. Errors: AccessDenied, also for a
// grant that covers nothing because its operation is open, and those of asks and of Renew.
func (g Grant) Extend(ctx context.Context, asks Asker) (Grant, error) {
	return g.ExtendIn(ctx, new(Room), asks)
}

// Room is memory for one grant that ExtendIn returns.
type Room struct{ widerGrant }

// ExtendIn is Extend in the memory of room, a zero Room, which is used for no other grant.
func (g Grant) ExtendIn(ctx context.Context, room *Room, asks Asker) (Grant, error) {
	if g.g == nil || g.g.asks == nil || asks == nil {
		return Grant{}, fault.Of(fault.AccessDenied)
	}
	wider := &room.widerGrant
	if w, ok := g.g.seen.(recorder); ok && w.Recording() {
		ctx, wider.seen = w, g.g.seen // the decision also depends on what is read for the further needs
	}
	wider.decision, wider.relied = &wider.made, slices.Clip(g.g.relied) // either may append
	wider.made.basis, wider.made.before, wider.made.asks = g.g.basis, g.g.decision, asks
	wider.made.held, wider.made.on.laws = wider.held[:0], wider.laws[:0]
	if !g.g.isFresh() {
		if err := (Grant{&wider.grant}).Renew(ctx); err != nil {
			return Grant{}, err
		}
		return Grant{&wider.grant}, nil
	}
	needs, err := furtherNeeds(ctx, g.g.caller, asks)
	if err != nil {
		return Grant{}, err
	}
	if err := wider.made.add(ctx, needs); err != nil {
		return Grant{}, err
	}
	return Grant{&wider.grant}, nil
}

// recorder may be the value of Situation.Seen: a context that records what is read through
// it, until a transaction depends on it.
type recorder interface {
	context.Context
	Recording() bool
}

// Needs implements Asker: it returns the needs of a decision and of those that it extends.
func (d *decision) Needs(ctx context.Context, c Caller) ([]Need, error) {
	if d.before == nil {
		return d.asks.Needs(ctx, c)
	}
	needs, err := d.before.Needs(ctx, c)
	if err != nil {
		return nil, err
	}
	more, err := furtherNeeds(ctx, c, d.asks)
	return slices.Concat(needs, more), err
}

// furtherNeeds returns the needs of asks. It is an error if there are none, because the
// caller of Extend would expect a wider grant.
func furtherNeeds(ctx context.Context, c Caller, asks Asker) ([]Need, error) {
	needs, err := asks.Needs(ctx, c)
	if err == nil && len(needs) == 0 {
		err = fault.Of(fault.AccessDenied)
	}
	return needs, err
}

// isFresh reports whether the decision is recent enough to extend it.
func (g *grant) isFresh() bool {
	age := g.caller.Now().Sub(g.caller.situation.At)
	return age >= 0 && age <= standsFor
}

// With decides the needs of an action on a resource again, as hard needs and with further
// condition keys, and returns a grant for all needs; see Extend. Errors: those of Extend,
// and AccessDenied if the operation has no such need.
func (g Grant) With(ctx context.Context, action policy.Action, on arn.ARN, keys map[string][]string) (Grant, error) {
	if g.g == nil || g.g.asks == nil {
		return Grant{}, fault.Of(fault.AccessDenied)
	}
	before := g.g.decision
	return g.Extend(ctx, Asks(func(ctx context.Context, c Caller) ([]Need, error) {
		needs, err := before.Needs(ctx, c)
		if err != nil {
			return nil, err
		}
		return withKeys(needs, action, on, keys), nil
	}))
}

// withKeys returns the needs of an action on a resource, as hard needs and with further
// condition keys.
func withKeys(needs []Need, action policy.Action, on arn.ARN, keys map[string][]string) (further []Need) {
	for _, n := range needs {
		if n.Action != action || n.Resource != on {
			continue
		}
		with := make(map[string][]string, len(n.Keys)+len(keys))
		for _, from := range []map[string][]string{n.Keys, keys} {
			for k, v := range from {
				with[k] = v
			}
		}
		n.Keys, n.Soft = with, false
		further = append(further, n)
	}
	return further
}
