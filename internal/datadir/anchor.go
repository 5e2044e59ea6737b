package datadir

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/storage/anchor"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/rootkey"
)

// AnchorNone is the name of the place of a store that is not anchored any more.
const AnchorNone = "none"

// AnchorOptions say where the anchor of a store is.
type AnchorOptions struct {
	Place string // see anchor.Open; "" and AnchorNone are none
	// Optional lets a start go on without an anchor that can't be read or written.
	Optional bool
	Every    time.Duration
	Files    folder.FS // holds the data directory and an anchor's file; nil is the machine's
	Data     string
	Getenv   func(string) string
	Keyring  *rootkey.Keyring
	Trail    *audit.Log
	Logger   *slog.Logger
}

// Anchor keeps the newest state of a store at a place elsewhere. A start compares the store
// with it, so that an older copy of a whole data directory is refused.
type Anchor struct {
	o       AnchorOptions
	place   anchor.Place // nil if there is none
	id      [16]byte     // the store's
	known   anchored     // what the store knows
	skipped error        // why the anchor was not read
	event   AnchorEvent  // set by Begin

	putting sync.Mutex // held while an anchor is put; guards unread and by
	unread  *opened    // not nil until the anchor was compared, after a start without it
	by      uint32     // generation of the root key that authenticates last

	mu     sync.Mutex // guards everything below
	last   anchor.State
	since  time.Time // when the oldest change that is not anchored was noticed; zero if there is none
	reason error     // why the last attempt failed
}

// opened is what a start found, before it changed anything.
type opened struct {
	anchor.State
	has func(audit.Head) error // see audit.Log.Has
}

// anchored is the record z/anchor. The numbers of its fields are stored.
type anchored struct {
	round uint64 // 1, see anchor.State
	place string // 2; "" means that the store is not anchored
}

func anchorKey() []byte { return []byte("z/anchor") }

func (a anchored) encode() []byte {
	return record.String(record.Uint(record.Start(nil), 1, a.round), 2, a.place)
}

func decodeAnchored(value []byte) (a anchored, err error) {
	if value == nil {
		return a, nil
	}
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case 1:
			a.round = f.Uint
		case 2:
			a.place = string(f.Bytes)
		default:
			f.Unknown()
		}
	}
	if err = f.Err(); err != nil {
		err = fault.Internal(fmt.Errorf("datadir: what the store remembers of its anchor: %w", err))
	}
	return a, err
}

func anchoredOf(ctx context.Context, store kv.Store) (a anchored, err error) {
	err = remembered(ctx, store, anchorKey(), func(v []byte) (err error) {
		a, err = decodeAnchored(v)
		return err
	})
	return a, err
}

// OpenAnchor returns the anchor of a data directory. Keyring and Trail may be set later,
// before the store is checked.
func OpenAnchor(o AnchorOptions) (*Anchor, error) {
	a := &Anchor{o: o}
	if o.Place == "" || o.Place == AnchorNone {
		return a, nil
	}
	var err error
	a.place, err = anchor.Open(o.Place, anchor.Options{
		FS: o.Files, Data: o.Data, Every: o.Every, Getenv: o.Getenv, Now: time.Now,
	})
	return a, err
}

// Bind sets what the anchor is made of.
func (a *Anchor) Bind(k *rootkey.Keyring, l *audit.Log) { a.o.Keyring, a.o.Trail = k, l }

// CheckNew refuses to make a store where an anchor tells of one: then a volume is not
// mounted, or somebody has emptied the data directory.
func (a *Anchor) CheckNew(ctx context.Context) error {
	if a.place == nil {
		return nil
	}
	_, _, err := a.place.Newest(ctx, func([]byte) (anchor.State, error) { return anchor.State{}, anchor.ErrForged })
	if errors.Is(err, anchor.ErrForged) {
		return errAdvised{fmt.Errorf("there is no store in %s, but the anchor %s tells of one. Nothing was changed. "+
			"Check that every volume is mounted; to make a new store, name another place with --anchor", a.o.Data,
			a.place)}
	}
	return a.excuse(err)
}

// excuse returns nil if the start may go on without an anchor that can't be read.
func (a *Anchor) excuse(err error) error {
	if err == nil {
		return nil
	}
	if a.o.Optional && errors.Is(err, anchor.ErrUnreachable) {
		a.skipped = err
		return nil
	}
	if !errors.Is(err, anchor.ErrUnreachable) {
		return err
	}
	return errAdvised{fmt.Errorf("%w. Without it nobody knows whether this is the newest state of the store. Nothing "+
		"was changed. Make it readable, or start with --anchor-optional", err)}
}

// Check refuses a store that is older than its anchor, or another one. It changes nothing.
func (a *Anchor) Check(ctx context.Context, f embedded.Found) (err error) {
	a.id = f.ID
	if f.New {
		a.later(a.found(f))
		return nil
	}
	if a.known, err = anchoredOf(ctx, f.Store); err != nil {
		return err
	}
	if a.place == nil {
		if a.known.place != "" && a.o.Place != AnchorNone {
			return errAdvised{fmt.Errorf("the store is anchored at %[1]s, and --anchor is missing. Nothing was "+
				"changed. Start it with --anchor %[1]s, or with --anchor %[2]s to give the anchor up", a.known.place,
				AnchorNone)}
		}
		return nil
	}
	at := a.found(f)
	err = a.compare(ctx, at)
	if errors.As(err, new(errOlder)) {
		return errAdvised{fmt.Errorf("%w. Nothing was changed. %s", err, acceptAdvice)}
	}
	if err = a.excuse(err); err == nil {
		a.later(at)
	}
	return err
}

const acceptAdvice = "Put the newest data back, or, if this is the store that you want to serve, such as a restored " +
	"backup: watertight anchor accept --reason TEXT"

// later keeps what a start found that goes on without its anchor. Until it was compared, the
// anchor is not written: it may be the only trace of a newer state.
func (a *Anchor) later(at opened) {
	if a.skipped == nil {
		return
	}
	at.has = a.o.Trail.Recall()
	a.unread = &at
	a.since = time.Now()
}

// found returns the state of the store that was found.
func (a *Anchor) found(f embedded.Found) opened {
	s := anchor.State{Store: f.ID, Round: a.known.round, Commit: f.Commit}
	s.Keyring, s.Serial = a.o.Keyring.Version()
	if h, ok := f.Store.(embedded.Anchored); ok {
		if commit, chain := h.Head(); commit == f.Commit {
			s.Chain = chain
		}
	}
	return opened{s, a.o.Trail.Has}
}

// errOlder is a difference between a store and its anchor, which an operator may accept.
type errOlder struct{ text string }

func (e errOlder) Error() string { return e.text }

func older(format string, args ...any) error { return errOlder{fmt.Sprintf(format, args...)} }

// newest reads the newest anchor.
func (a *Anchor) newest(ctx context.Context) (anchor.State, bool, error) {
	return a.place.Newest(ctx, func(b []byte) (anchor.State, error) { return anchor.Decode(b, a.o.Keyring.Ring) })
}

// compare returns an errOlder if a store that was found is not the anchored one, or a state
// before it.
func (a *Anchor) compare(ctx context.Context, at opened) error {
	s, found, err := a.newest(ctx)
	switch {
	case errors.Is(err, anchor.ErrForged):
		return older("the anchor: %v", err)
	case err != nil:
		return err
	case !found && a.known.place == "":
		return nil // the first start with an anchor
	case !found && a.known.place == a.place.String():
		return older("there is no anchor at %s, where the store is anchored", a.place)
	case !found:
		return older("the store was anchored at %s, and there is no anchor at %s", a.known.place, a.place)
	case s.Store != at.Store:
		return older("the anchor %s is that of another store", a.place)
	case at.Round > s.Round:
		return nil // it was accepted, and the anchor could not be put yet
	case at.Round < s.Round:
		return older("this copy of the store is from before another one was accepted in its place, says the "+
			"anchor %s", a.place)
	case at.Commit < s.Commit:
		return older("the store is older than its anchor: it ends at commit %d, and the anchor %s knows of commit "+
			"%d of %s, so an old copy was put back", at.Commit, a.place, s.Commit, s.At.Format(time.RFC3339))
	case at.Commit == s.Commit && at.Chain != s.Chain && at.Chain != [32]byte{}:
		return older("commit %d of the store is not the one that the anchor %s knows", at.Commit, a.place)
	case at.Keyring != s.Keyring || at.Serial < s.Serial:
		return older("the keyring is older than the one that the anchor %s knows: number %d, not %d", a.place,
			at.Serial, s.Serial)
	}
	if err := at.has(audit.Head{Frame: s.Frame, File: s.File, Chain: s.FrameChain}); err != nil {
		return older("the anchor %s knows another audit log: %v", a.place, err)
	}
	return nil
}

// state returns the state of the store, all of which is durable.
func (a *Anchor) state(store kv.Store) anchor.State {
	h := a.o.Trail.Head()
	s := anchor.State{
		Store: a.id, Round: a.known.round, Frame: h.Frame, File: h.File, FrameChain: h.Chain, At: time.Now(),
	}
	s.Keyring, s.Serial = a.o.Keyring.Version()
	if e, ok := store.(embedded.Anchored); ok {
		s.Commit, s.Chain = e.Head()
	}
	return s
}

// put puts the state of the store if it changed, or if an older generation of the root key
// authenticates it. After a start without the anchor, it compares first.
func (a *Anchor) put(ctx context.Context, store kv.Store) error {
	a.putting.Lock()
	defer a.putting.Unlock()
	by := a.o.Keyring.Ring.Current().Number // before the state: a newer one makes the state another one
	s := a.state(store)
	a.mu.Lock()
	same := s.Same(a.last) && by == a.by
	if !same && a.since.IsZero() {
		a.since = s.At
	}
	a.mu.Unlock()
	if same {
		return nil
	}
	err := a.compareLate(ctx)
	if err == nil {
		err = a.place.Put(ctx, s, s.Encode(a.o.Keyring.Ring))
	}
	if err == nil {
		a.by = by
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reason = err; err == nil {
		a.last, a.since = s, time.Time{}
	}
	return err
}

// compareLate compares the anchor that a start went on without.
func (a *Anchor) compareLate(ctx context.Context) error {
	if a.unread == nil {
		return nil
	}
	err := a.compare(ctx, *a.unread)
	if err == nil {
		a.unread = nil
	}
	return err
}

// Renew makes sure that the anchor is authenticated under the newest generation of the root
// key, before older ones are dropped. It returns the number of anchors.
func (a *Anchor) Renew(ctx context.Context, store kv.Store) (int, error) {
	if a.place == nil {
		return 0, nil
	}
	if err := a.put(ctx, store); err != nil {
		return 0, fmt.Errorf("the anchor %s can't be written, and an older generation made it: %w", a.place, err)
	}
	return 1, nil
}

// AnchorEvent begins the audit event of a start that has something to say about the anchor.
type AnchorEvent func(operation string, details map[string]string) *audit.Record

// Begin anchors the store that was opened, and makes it know its place. The anchor is put
// first: whatever a crash leaves is accepted by the next start.
func (a *Anchor) Begin(ctx context.Context, store kv.Store, event AnchorEvent) error {
	a.event = event
	var failed error
	if a.place != nil {
		failed = a.put(ctx, store)
		if errors.As(failed, new(errOlder)) { // it answers again
			return errAdvised{fmt.Errorf("%w. %s", failed, acceptAdvice)}
		}
		if failed != nil && a.skipped == nil {
			err := fmt.Errorf("%w: the anchor %s can't be written: %w", anchor.ErrUnreachable, a.place, failed)
			if err := a.excuse(err); err != nil {
				return err
			}
		}
	}
	if a.skipped != nil {
		a.o.Logger.Error("this start went on without the anchor, so nobody knows whether this is the newest state of "+
			"the store", "anchor", a.place, "err", a.skipped)
		event("AnchorSkipped", map[string]string{"anchor": a.place.String(), "cause": a.skipped.Error()}).Finish(
			audit.Outcome{})
	}
	if failed != nil {
		return nil // Run makes it know its place
	}
	return a.remember(ctx, store)
}

// remember makes the store know its place, where an anchor is, or that there is none any more.
func (a *Anchor) remember(ctx context.Context, store kv.Store) error {
	want, operation := anchored{round: a.known.round}, "AnchorRemoved"
	if a.place != nil {
		want.place, operation = a.place.String(), "AnchorSet"
	}
	if want == a.known {
		return nil
	}
	r := a.event(operation, map[string]string{"anchor": want.place, "before": a.known.place})
	err := change.Operate(ctx, store, r, func(tx kv.Tx) error {
		tx.Set(anchorKey(), want.encode())
		return nil
	})
	if err != nil {
		r.Finish(audit.Outcome{Err: fault.From(err)})
		return err
	}
	r.Finish(audit.Outcome{})
	a.known = want
	return nil
}

// Run puts the state of the store whenever it changed, until ctx ends.
func (a *Anchor) Run(ctx context.Context, store kv.Store) {
	if a.place == nil {
		return
	}
	tick := time.NewTicker(a.place.Every())
	defer tick.Stop()
	for failing, differs := false, false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := a.put(ctx, store)
		if err == nil {
			err = a.remember(ctx, store)
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.As(err, new(errOlder)):
			if !differs {
				a.differs(err)
			}
			differs = true
		case err != nil && !failing:
			a.o.Logger.Error("the anchor can't be written; until it can, an older copy of the data from now on would "+
				"not be noticed", "anchor", a.place, "err", err)
			failing = true
		case err == nil && failing:
			a.o.Logger.Info("the anchor is written again", "anchor", a.place)
			failing = false
		}
	}
}

// differs tells that the store which a start opened without its anchor is not the anchored one.
func (a *Anchor) differs(err error) {
	a.o.Logger.Error("this start went on without the anchor, which answers now: the store is not the one that it "+
		"knows. The anchor stays as it is, and the next start is refused. "+acceptAdvice, "anchor", a.place, "err", err)
	a.event("AnchorDiffers", map[string]string{"anchor": a.place.String(), "cause": err.Error()}).Finish(
		audit.Outcome{})
}

// lastWait bounds the last writing, at the end of a server.
const lastWait = 5 * time.Second

// End puts the last state of a store that is about to be closed.
func (a *Anchor) End(ctx context.Context, store kv.Store) {
	if a.place == nil || a.known.place == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastWait)
	defer cancel()
	if err := a.put(ctx, store); err != nil {
		a.o.Logger.Warn("the last state of the store is not anchored", "anchor", a.place, "err", err)
	}
}

// Behind returns how long the oldest change that is not anchored has waited. on is false if
// the store is not anchored.
func (a *Anchor) Behind() (behind time.Duration, on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.place == nil || a.since.IsZero() {
		return 0, a.place != nil
	}
	return time.Since(a.since), true
}
