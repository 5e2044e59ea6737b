// Package change contains the only functions that commit. It exists so that no change
// becomes durable without its audit event, and no event without its change. It must never
// know what is changed.
package change

import (
	"context"
	"errors"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// ErrUnchanged is returned by fn to Commit if there is nothing to change: then nothing is
// written, and Commit returns nil. The request's audit event is like that of a read.
var ErrUnchanged = errors.New("change: nothing to change")

// ErrStale is returned by fn to Commit if fn commits nothing, but depended on something
// that the decision had read and that has changed since. fn then runs again with a new
// decision.
var ErrStale = errors.New("change: what the decision read has changed")

// Commit runs fn in a transaction of store on behalf of the grant's caller and commits it
// together with the caller's audit event. The caller must have the permission at that time
// and in the state on which the transaction commits: if, in the meantime, a key was
// deleted, a policy was changed or an exception ended, Commit refuses and writes nothing.
// The errors of a refusal are AccessDenied and those of identifying the caller. Like the fn
// of kv.Store.Update, fn may run more than once. When Commit returns nil, change and event
// are durable, or fn returned ErrUnchanged.
func Commit(ctx context.Context, store kv.Store, g authz.Grant, fn func(kv.Tx) error) error {
	caller := g.Caller()
	if caller.Kind() == policy.Nobody {
		return fault.Of(fault.AccessDenied)
	}
	g.Inside(true)
	defer g.Inside(false)
	again := false
	run := func(tx kv.Tx) error {
		if err := bindDecision(ctx, tx, g, again); err != nil {
			return err
		}
		again = true
		return fn(tx)
	}
	err := commit(ctx, store, caller.Record(), run)
	if errors.Is(err, ErrStale) {
		err = commit(ctx, store, caller.Record(), run)
	}
	return err
}

// bindDecision makes the transaction depend on the decision: the commit fails if what the
// decision read has changed. If that is not enough, the decision is made again from what
// the transaction reads.
func bindDecision(ctx context.Context, tx kv.Tx, g authz.Grant, again bool) error {
	if seen, ok := g.Stands(); ok && !again {
		if w, ok := seen.(*kv.Witness); ok {
			return tx.Rely(w)
		}
	}
	return g.Renew(kv.Through(ctx, tx))
}

// View runs fn on one state on behalf of the grant's caller. A decision that depended on an
// object is made again on that state, so that fn reads exactly what was authorized.
func View(ctx context.Context, store kv.Store, g authz.Grant, fn func(kv.Reader) error) error {
	return store.View(ctx, func(r kv.Reader) error {
		if g.RestsOnObjects() {
			if err := g.Renew(kv.Through(ctx, r)); err != nil {
				return err
			}
		}
		return fn(r)
	})
}

// Operate is Commit for the operator, who has no grant: only the owner of the data
// directory can open the socket in it. record may be nil.
func Operate(ctx context.Context, store kv.Store, record authz.Record, fn func(kv.Tx) error) error {
	return commit(ctx, store, record, fn)
}

func commit(ctx context.Context, store kv.Store, record authz.Record, fn func(kv.Tx) error) error {
	err := store.Update(ctx, func(tx kv.Tx) error {
		if err := fn(tx); err != nil || record == nil {
			return err
		}
		key, value, err := record.Entry()
		if err != nil {
			return err
		}
		tx.Set(key, value)
		return nil
	})
	switch {
	case errors.Is(err, ErrUnchanged):
		return nil
	case err != nil:
		return err
	}
	if record != nil {
		record.Committed()
	}
	return nil
}

// Background commits the server's own work, which no request asked for, for example at the
// first start. It leaves no audit event; reason documents why.
func Background(ctx context.Context, store kv.Store, reason string, fn func(kv.Tx) error) error {
	if reason == "" {
		return fault.Internal(errors.New("change: background work without a reason"))
	}
	if err := store.Update(ctx, fn); !errors.Is(err, ErrUnchanged) {
		return err
	}
	return nil
}
