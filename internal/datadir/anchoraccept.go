package datadir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"watertight/internal/gateway/audit"
	"watertight/internal/storage/anchor"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
)

// AnchorAccepted is a state of a store that an operator accepted although its anchor knew
// another one.
type AnchorAccepted struct {
	Cause  string // why a start refused it
	Commit uint64 // its newest commit
}

// ErrAnchorAgrees means that there is nothing to accept.
var ErrAnchorAgrees = errors.New("the store is the one that its anchor knows, and nothing was changed: there is " +
	"nothing to accept")

// AcceptAnchor accepts the store in a data directory, such as a restored backup, in place of
// the one that its anchor knows. It records that in the audit log, and anchors the store. No
// server may be running on the directory. If the anchor knows the store, or can't be read, it
// returns an error and changes nothing.
func AcceptAnchor(ctx context.Context, o Options, place, reason string) (out AnchorAccepted, err error) {
	lock, err := Lock(folder.OS(), o.Data)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	a, err := OpenAnchor(AnchorOptions{Place: place, Data: o.Data, Getenv: o.Getenv, Logger: o.Logger})
	if err != nil {
		return out, err
	}
	if a.place == nil {
		return out, errors.New("no anchor; use --anchor PATH|URL")
	}
	key, err := o.keyring(ctx)
	if err != nil {
		return out, err
	}
	trail, err := audit.Open(audit.Options{
		Dir: AuditDir(o.Data), Root: key.Ring, Region: o.Region, Logger: o.Logger,
	})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, trail.Close(ctx)) }()
	a.Bind(key, trail)
	parts, err := Survey(folder.OS(), o.Data)
	if err == nil && parts.Fresh {
		err = errors.New("there is no store")
	}
	if err != nil {
		return out, err
	}
	parts.Keyring, parts.Agree = key, trail.Check
	parts.Anchored = func(ctx context.Context, f embedded.Found) error {
		cause, err := a.difference(ctx, f)
		out.Cause = cause
		return err
	}
	store, err := parts.Open(ctx, embedded.Options{Root: key.Ring, AtLeast: trail.Anchor(), Logger: o.Logger})
	if errors.Is(err, ErrAnchorAgrees) {
		return out, ErrAnchorAgrees
	}
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := a.accept(ctx, store, reason, out.Cause); err != nil {
		return out, err
	}
	out.Commit = store.Durable()
	return out, parts.Mark(store)
}

// difference says how a store differs from the one that its anchor knows. Error: ErrAnchorAgrees.
func (a *Anchor) difference(ctx context.Context, f embedded.Found) (cause string, err error) {
	a.id = f.ID
	if a.known, err = anchoredOf(ctx, f.Store); err != nil {
		return "", err
	}
	err = a.compare(ctx, a.found(f))
	if err == nil {
		return "", ErrAnchorAgrees
	}
	if !errors.As(err, new(errOlder)) {
		return "", errAdvised{fmt.Errorf("%w. Nothing was changed", err)}
	}
	return err.Error(), nil
}

// accept makes the store the one that its anchor knows. The store begins a new round first,
// so that a start after a crash in between accepts it, too.
func (a *Anchor) accept(ctx context.Context, store kv.Store, reason, cause string) error {
	s, _, err := a.newest(ctx)
	if err != nil && !errors.Is(err, anchor.ErrForged) {
		return err
	}
	next := anchored{round: max(a.known.round, s.Round) + 1, place: a.place.String()}
	err = a.o.Trail.AnchorAccepted(ctx, store, fmt.Sprintf("uid %d", os.Getuid()), reason, cause, func(tx kv.Tx) error {
		tx.Set(anchorKey(), next.encode())
		return accepted(tx)
	})
	if err != nil {
		return err
	}
	a.known = next
	return a.put(ctx, store)
}

// AnchorShown is what an anchor says.
type AnchorShown struct {
	Anchor        string
	Store         string // id, in hexadecimal
	Round         uint64 // how often another state was accepted
	Commit        uint64
	AuditFrame    uint64
	KeyringSerial uint64
	Written       time.Time
}

// ReadAnchor reads the newest anchor at a place. It needs the root key, and changes nothing.
func ReadAnchor(ctx context.Context, o Options, place string) (out AnchorShown, err error) {
	a, err := OpenAnchor(AnchorOptions{Place: place, Data: o.Data, Getenv: o.Getenv})
	if err != nil {
		return out, err
	}
	if a.place == nil {
		return out, errors.New("no anchor; use --anchor PATH|URL")
	}
	if a.o.Keyring, err = o.keyring(ctx); err != nil {
		return out, err
	}
	s, found, err := a.newest(ctx)
	if err == nil && !found {
		err = fmt.Errorf("there is no anchor at %s", a.place)
	}
	if err != nil {
		return out, err
	}
	return AnchorShown{
		Anchor: a.place.String(), Store: fmt.Sprintf("%x", s.Store), Round: s.Round, Commit: s.Commit,
		AuditFrame: s.Frame, KeyringSerial: s.Serial, Written: s.At,
	}, nil
}
