package authz

import (
	"context"
	"errors"

	"watertight/internal/fault"
)

// Access says which needs an operation has for a decoded input. With a zero Access, the
// dispatcher refuses to start.
type Access[In any] struct {
	needs   func(context.Context, Caller, *In) ([]Need, error)
	because string
}

// Ask returns an Access whose needs depend only on the input.
func Ask[In any](needs func(*In) ([]Need, error)) Access[In] {
	if needs == nil {
		return Access[In]{}
	}
	return Access[In]{needs: func(_ context.Context, _ Caller, in *In) ([]Need, error) { return needs(in) }}
}

// AskFor returns an Access whose needs also depend on the caller, or on the current state
// of the resource: for example, the ARN of an IAM user contains the user's path. needs must
// not decide anything.
func AskFor[In any](needs func(context.Context, Caller, *In) ([]Need, error)) Access[In] {
	return Access[In]{needs: needs}
}

// Ask1 returns an Access with one need.
func Ask1[In any](need func(*In) Need) Access[In] {
	if need == nil {
		return Access[In]{}
	}
	return Access[In]{needs: func(_ context.Context, _ Caller, in *In) ([]Need, error) { return []Need{need(in)}, nil }}
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
	return a.needs(ctx, c, in)
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
	return a.ask(ctx, c, Asks(func(ctx context.Context, c Caller) ([]Need, error) { return may.Needs(ctx, c, in) }))
}

// openDecision is that of an open access, which covers nothing.
func openDecision(a *Authority, c Caller) *decision {
	return &decision{basis: &basis{authority: a, caller: c}}
}
