package embedded

import (
	"context"
	"fmt"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/space"
)

const (
	triesBeforeClaim = 6
	smallSets        = 256 << 10 // bytes that a deletion may set when the disk is nearly full
	lastRoom         = 2 << 20   // bytes that it must leave free for the engine
)

// Update implements Store. It honours ctx until the committer takes the transaction; from
// then on it waits, so that its error says what happened: nothing was written, unless the
// error is ErrUnknown.
func (s *store) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.update(ctx, fn)
}

func (s *store) update(ctx context.Context, fn func(kv.Tx) error) error {
	paced := false
	for try := 0; ; try++ {
		switch err := s.try(ctx, fn, try >= triesBeforeClaim, paced); err {
		case errConflict:
		case errSlower, errPause:
			if err := s.slow(ctx, err == errSlower); err != nil {
				return err
			}
			paced = true
		default:
			return err
		}
	}
}

// try runs fn once and commits it; if claimed, no other transaction commits meanwhile. A
// transaction that was not paced yet may be told to wait.
func (s *store) try(ctx context.Context, fn func(kv.Tx) error, claimed, paced bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var held *claim
	if claimed {
		var err error
		if held, err = s.claim(ctx); err != nil {
			return err
		}
		defer held.giveUp()
	}
	t := s.newTx(ctx)
	defer t.end()
	err := fn(t)
	if err == nil {
		err = t.err
	}
	if err != nil || len(t.ops) == 0 {
		// Only one state was read, so even a failed run saw a consistent one.
		if t.at != nil {
			if err := s.waitDurable(ctx, t.at.commit); err != nil {
				return err
			}
		}
		return err
	}
	if !claimed && !paced {
		if err := s.pace(t); err != nil {
			return err
		}
	}
	if err := s.admit(ctx, t); err != nil {
		return err
	}
	t.closeIdle()
	t.ended, t.handed = true, true
	t.Settle()
	t.hash()
	if held != nil {
		held.hand(&t.commit)
	} else if err := s.submit(ctx, &t.commit); err != nil {
		return err
	}
	return s.outcome(ctx, &t.commit)
}

// admit checks whether t may still be committed, and whether the disk has room.
func (s *store) admit(ctx context.Context, t *tx) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.failed:
		return s.failure()
	default:
	}
	if s.room == nil {
		return nil
	}
	switch s.room(int64(t.size)) {
	case space.Ample:
		return nil
	case space.DeletesOnly:
		if t.deletes > 0 && t.sets <= smallSets {
			return nil
		}
	case space.Full:
		// The last free space is for deletions.
		if t.deletes > 0 && t.sets <= smallSets && s.enough != nil && s.enough(lastRoom+int64(t.size)) {
			return nil
		}
	}
	if t.sets == 0 {
		return nil
	}
	return noRoom()
}

func (s *store) submit(ctx context.Context, c *commit) error {
	select {
	case s.queue <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.failed:
		return s.failure()
	}
}

// outcome waits for the outcome of c.
func (s *store) outcome(ctx context.Context, c *commit) error {
	select {
	case err := <-c.done:
		return s.settled(c, err)
	case <-s.failed:
	case <-ctx.Done():
		if c.status.CompareAndSwap(queued, withdrawn) {
			return ctx.Err()
		}
		select {
		case err := <-c.done:
			return s.settled(c, err)
		case <-s.failed:
		}
	}
	select {
	case err := <-c.done:
		return s.settled(c, err)
	default:
	}
	if c.status.CompareAndSwap(queued, withdrawn) {
		return s.failure()
	}
	return unavailable(fmt.Errorf("%w: %w", kv.ErrUnknown, s.cause))
}

// settled returns the outcome of c, which the committer does not know any more.
func (s *store) settled(c *commit, err error) error {
	c.tx.free()
	return err
}

// claim waits until the committer stops for the caller, which must then send one
// commit, or nil, to turn.
func (s *store) claim(ctx context.Context) (*claim, error) {
	cl := &claim{granted: make(chan struct{}), turn: make(chan *commit, 1)}
	if err := s.submit(ctx, &commit{claim: cl}); err != nil {
		return nil, err
	}
	select {
	case <-cl.granted:
		return cl, nil
	case <-ctx.Done():
		cl.turn <- nil // the committer skips the claim
		return nil, ctx.Err()
	case <-s.failed:
		return nil, s.failure()
	}
}
