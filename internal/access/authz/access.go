package authz

import (
	"context"
	"errors"

	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// Access says which needs an operation has, from its decoded input. The zero
// Access makes the dispatcher refuse to start.
type Access[In any] struct {
	needs   func(context.Context, Caller, *In) ([]Need, error)
	because string
}

// Ask is an access with needs worked out from the input.
func Ask[In any](needs func(*In) ([]Need, error)) Access[In] {
	if needs == nil {
		return Access[In]{}
	}
	return Access[In]{needs: func(_ context.Context, _ Caller, in *In) ([]Need, error) { return needs(in) }}
}

// AskFor is an access with needs that also depend on the caller, or on the resource's
// current state: the ARN of an IAM user holds the user's path. needs only works out
// the needs; it does not decide anything.
func AskFor[In any](needs func(context.Context, Caller, *In) ([]Need, error)) Access[In] {
	return Access[In]{needs: needs}
}

// Ask1 is an access with one need.
func Ask1[In any](need func(*In) Need) Access[In] {
	if need == nil {
		return Access[In]{}
	}
	return Access[In]{needs: func(_ context.Context, _ Caller, in *In) ([]Need, error) { return []Need{need(in)}, nil }}
}

// Open is an access that asks for nothing, for a written reason.
func Open[In any](because string) Access[In] { return Access[In]{because: because} }

// IsZero reports the zero Access, which neither has needs nor is open.
func (a Access[In]) IsZero() bool { return a.needs == nil && a.because == "" }

// Because returns why the operation is open, or "".
func (a Access[In]) Because() string { return a.because }

// Needs returns the needs of one input from one caller.
func (a Access[In]) Needs(ctx context.Context, c Caller, in *In) ([]Need, error) {
	if a.needs == nil {
		return nil, errors.New("authz: access asks for nothing")
	}
	return a.needs(ctx, c, in)
}

// Judge returns the grant for a request, for the dispatcher: an open access gives a
// grant that covers nothing, any other asks for its needs. Errors: AccessDenied, and
// those of the needs.
func Judge[In any](ctx context.Context, a *Authority, c Caller, may Access[In], in *In) (Grant, error) {
	if c.principal.Kind == policy.Nobody {
		return Grant{}, fault.Of(fault.AccessDenied)
	}
	if may.because != "" {
		return Grant{&grant{authority: a, caller: c, decided: c.situation.At, seen: c.situation.Seen}}, nil
	}
	return a.ask(ctx, c, func(ctx context.Context, c Caller) ([]Need, error) { return may.Needs(ctx, c, in) })
}
