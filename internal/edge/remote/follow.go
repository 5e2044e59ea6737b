package remote

import (
	"context"
	"errors"
	"time"

	"watertight/internal/core/distribution"
)

// Waits between two attempts while the store is away.
const firstWait, longestWait = time.Second, 30 * time.Second

// firstAnswer is how long an edge that starts with a kept snapshot waits for the store, before it
// serves from what it kept.
const firstAnswer = 5 * time.Second

// Edge is what serves the snapshots.
type Edge interface {
	Apply(ctx context.Context, s *distribution.Snapshot) error
	Clear() // serve nothing, until a snapshot of whatever generation
}

// Keeper keeps the newest snapshot for the next run of the edge.
type Keeper interface {
	// Load returns the kept snapshot, or nil.
	Load() *distribution.Snapshot
	// Keep replaces the kept snapshot, with none if s is nil. Error: an older one may still be kept.
	Keep(s *distribution.Snapshot) error
}

// nothing is the Keeper of an edge that keeps nothing.
type nothing struct{}

func (nothing) Load() *distribution.Snapshot        { return nil }
func (nothing) Keep(_ *distribution.Snapshot) error { return nil }

// Follower makes an edge serve what its store says.
type Follower struct {
	store  *Store
	edge   Edge
	keeper Keeper
	have   uint64 // the generation that is served, and kept
}

// Begin starts an edge: with what the store says or, if a snapshot was kept and the store does
// not answer, with that one. The store is asked first, because it may have invalidated what is
// in the cache, or may refuse the credential. Without a kept snapshot, nothing is served yet.
// A nil keeper keeps nothing.
func (s *Store) Begin(ctx context.Context, edge Edge, keeper Keeper) *Follower {
	if keeper == nil {
		keeper = nothing{}
	}
	f := &Follower{store: s, edge: edge, keeper: keeper}
	kept := keeper.Load()
	if kept == nil {
		return f
	}
	asking, stop := context.WithTimeout(ctx, firstAnswer)
	defer stop()
	next, err := s.Snapshot(asking, 0)
	switch {
	case err == nil && next.Generation < kept.Generation:
		f.have = kept.Generation // the store was restored
	case err != nil && !errors.Is(err, errRefused):
		s.options.Logger.Warn("the store can't be reached, and the edge serves what it kept", "err", err,
			"generation", kept.Generation)
		if err := edge.Apply(ctx, kept); err != nil {
			s.options.Logger.Error("the kept configuration can't be served", "err", err)
			return f
		}
		f.have = kept.Generation
		return f
	}
	if err := f.take(ctx, next, err); err != nil {
		s.options.Logger.Warn("the edge does not get its configuration", "err", err)
	}
	return f
}

// take makes the edge serve an answer of the store. A snapshot is kept before it is served: an
// edge that starts again with a kept one has no cached object that a later one invalidated. If
// the store refuses the credential, the edge stops serving. If the store has an older generation,
// it was restored from a backup, and the edge starts again from nothing.
func (f *Follower) take(ctx context.Context, next *distribution.Snapshot, err error) error {
	if errors.Is(err, errRefused) || err == nil && next.Generation < f.have {
		f.edge.Clear()
		f.have = 0
		if lost := f.keeper.Keep(nil); lost != nil {
			return errors.Join(err, lost)
		}
	}
	if err != nil || next.Generation == f.have {
		return err
	}
	// What can't be kept is served, but not confirmed: the next start may have an older one.
	if err = errors.Join(f.keeper.Keep(next), f.edge.Apply(ctx, next)); err == nil {
		f.have = next.Generation
	}
	return err
}

// Follow applies every snapshot until ctx ends. While the store can't be reached, the edge
// keeps its configuration.
func (f *Follower) Follow(ctx context.Context) {
	log := f.store.options.Logger
	wait, away := firstWait, false
	for ctx.Err() == nil {
		next, err := f.store.Snapshot(ctx, f.have)
		if err = f.take(ctx, next, err); err == nil {
			if away {
				log.Info("the store answers again", "generation", f.have)
			}
			wait, away = firstWait, false
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if !away {
			log.Warn("the edge does not get its configuration", "err", err)
		}
		away = true
		if pause(ctx, wait) != nil {
			return
		}
		wait = min(2*wait, longestWait)
	}
}
