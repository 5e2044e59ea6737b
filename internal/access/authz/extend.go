package authz

import (
	"context"
	"maps"
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
func (g Grant) Extend(ctx context.Context, asks func(context.Context, Caller) ([]Need, error)) (Grant, error) {
	if g.g == nil || g.g.asks == nil || asks == nil {
		return Grant{}, fault.Of(fault.AccessDenied)
	}
	w, ok := g.g.seen.(recorder)
	recorded := ok && w.Recording()
	if recorded {
		ctx = w // the decision also depends on what is read for the further needs
	}
	fresh := g.g.isFresh()
	var needs []Need
	if fresh {
		var err error
		if needs, err = furtherNeeds(ctx, *g.g.caller, asks); err != nil {
			return Grant{}, err
		}
	}
	wider := g.g.copy(len(needs))
	wider.asks = bothAsk(g.g.asks, asks)
	if !recorded {
		wider.seen = nil
	}
	if !fresh {
		if err := (Grant{wider}).Renew(ctx); err != nil {
			return Grant{}, err
		}
		return Grant{wider}, nil
	}
	if err := wider.add(ctx, needs); err != nil {
		return Grant{}, err
	}
	return Grant{wider}, nil
}

// recorder may be the value of Situation.Seen: a context that records what is read through
// it, until a transaction depends on it.
type recorder interface {
	context.Context
	Recording() bool
}

// bothAsk returns a function that returns the needs of both.
func bothAsk(before, further func(context.Context, Caller) ([]Need, error),
) func(context.Context, Caller) ([]Need, error) {
	return func(ctx context.Context, c Caller) ([]Need, error) {
		needs, err := before(ctx, c)
		if err != nil {
			return nil, err
		}
		more, err := furtherNeeds(ctx, c, further)
		return slices.Concat(needs, more), err
	}
}

// furtherNeeds returns the needs of asks. It is an error if there are none, because the
// caller of Extend would expect a wider grant.
func furtherNeeds(
	ctx context.Context, c Caller, asks func(context.Context, Caller) ([]Need, error),
) ([]Need, error) {
	needs, err := asks(ctx, c)
	if err == nil && len(needs) == 0 {
		err = fault.Of(fault.AccessDenied)
	}
	return needs, err
}

// isFresh reports whether the decision is recent enough to extend it.
func (g *grant) isFresh() bool {
	age := g.caller.Now().Sub(g.decided)
	return age >= 0 && age <= standsFor
}

// copy returns a copy of the grant that can be changed, with room for a number of further
// needs. Both share the limit of steps.
func (g *grant) copy(more int) *grant {
	c := *g
	c.denied, c.relied = slices.Clone(g.denied), slices.Clone(g.relied)
	c.held = append(make([]permission, 0, len(g.held)+more), g.held...)
	c.index, c.refused = maps.Clone(g.index), maps.Clone(g.refused)
	c.on.objects = slices.Clone(g.on.objects)
	c.on.laws = append(make([]lawsOf, 0, len(g.on.laws)+1), g.on.laws...) // further needs are about one resource
	return &c
}

// With decides the needs of an action on a resource again, as hard needs and with further
// condition keys, and returns a grant for all needs; see Extend. Errors: those of Extend,
// and AccessDenied if the operation has no such need.
func (g Grant) With(ctx context.Context, action policy.Action, on arn.ARN, keys map[string][]string) (Grant, error) {
	if g.g == nil || g.g.asks == nil {
		return Grant{}, fault.Of(fault.AccessDenied)
	}
	before := g.g.asks
	return g.Extend(ctx, func(ctx context.Context, c Caller) ([]Need, error) {
		needs, err := before(ctx, c)
		if err != nil {
			return nil, err
		}
		return withKeys(needs, action, on, keys), nil
	})
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
