package authz

import (
	"context"
	"errors"

	"watertight/internal/fault"
)

// Access says which needs an operation has for a decoded input. With a zero Access, the
// dispatcher refuses to start.
type Access[In any] struct {
	needs   func(ctx context.Context, c Caller, in *In, into []Need) ([]Need, error)
	because string
}

// Ask returns an Access whose needs depend only on the input.
func Ask[In any](needs func(*In) ([]Need, error)) Access[In] {
	if needs == nil {
		return Access[In]{}
	}
	return Access[In]{needs: func(_ context.Context, _ Caller, in *In, _ []Need) ([]Need, error) { return needs(in) }}
}

// AskFor returns an Access whose needs also depend on the caller, or on the current state
// of the resource: for example, the ARN of an IAM user contains the user's path. needs must
// not decide anything.
func AskFor[In any](needs func(context.Context, Caller, *In) ([]Need, error)) Access[In] {
	if needs == nil {
		return Access[In]{}
	}
	return Access[In]{needs: func(ctx context.Context, c Caller, in *In, _ []Need) ([]Need, error) {
		return needs(ctx, c, in)
	}}
}

// AskInto is AskFor for an operation that is called often. needs appends to into, which is
// empty and has room for a few needs.
func AskInto[In any](needs func(ctx context.Context, c Caller, in *In, into []Need) ([]Need, error)) Access[In] {
	return Access[In]{needs: needs}
}

// Ask1 returns an Access with one need.
func Ask1[In any](need func(*In) Need) Access[In] {
	if need == nil {
		return Access[In]{}
	}
	return Access[In]{needs: func(_ context.Context, _ Caller, in *In, into []Need) ([]Need, error) {
		return append(into, need(in)), nil
	}}
}

// Open returns an Access without needs. because documents the reason.
func Open[In any](because string) Access[In] { return Access[In]{because: because} }

// IsZero reports whether a is the zero Access, which neither has needs nor is open.
func (a Access[In]) IsZero() bool { return a.needs == nil && a.because == "" }

// Because returns why the operation is open, or "".
func (a Access[In]) Because() string { return a.because }

// Needs returns the needs of one input from one caller.
func (a Access[In]) Needs(ctx context.Context, c Caller, in *In) ([]Need, error) {
	if a.needs == nil {
		return nil, errors.New("authz: access asks for nothing")
	}
	return a.needs(ctx, c, in, nil)
}

// Judge returns the grant for a request, for the dispatcher. For an open access, the grant
// covers nothing; otherwise Judge decides the needs. Errors: AccessDenied, and those of the
// needs.
func Judge[In any](ctx context.Context, a *Authority, c Caller, may Access[In], in *In) (Grant, error) {
	if c.IsNobody() {
		return Grant{}, fault.Of(fault.AccessDenied)
	}
	if may.because != "" {
		return Grant{&grant{decision: openDecision(a, c), seen: c.seen}}, nil
	}
	if may.needs == nil {
		return Grant{}, fault.Of(fault.AccessDenied)
	}
	o := &operated[In]{may: may, in: in}
	needs, err := may.needs(ctx, c, in, o.room[:0])
	if err != nil {
		return Grant{}, err
	}
	return a.grant(ctx, &o.firstGrant, c, o, needs)
}

// operated is the grant of an operation with its input, and with room for the usual needs, in
// one piece of memory.
type operated[In any] struct {
	firstGrant
	may  Access[In]
	in   *In
	room [3]Need
}

// Needs implements Asker. It does not use the room, because the first decision refers to it.
func (o *operated[In]) Needs(ctx context.Context, c Caller) ([]Need, error) {
	return o.may.Needs(ctx, c, o.in)
}

// openDecision is that of an open access, which covers nothing and has no law.
func openDecision(a *Authority, c Caller) *decision {
	return &decision{basis: &basis{authority: a, caller: c, laws: new(PrincipalLaws)}}
}
