// Package instant tells the time to the code that decides whether something is still
// protected. It exists so that a clock that is set back or jumps forward ends no
// protection early (decision 0054). It must never know what is protected.
//
// The records of this package:
//
//	z/clock  the newest instant that the store has seen
package instant

import (
	"context"
	"fmt"
	"sync"
	"time"

	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

const (
	// tolerance is how far the system's clock may run ahead of the monotonic clock,
	// which nobody can set. A greater difference is a jump.
	tolerance = time.Hour
	// settleAfter is how long a jump must last, with both clocks running equally fast,
	// before it is believed.
	settleAfter = time.Hour
	// maxDrift is how much the jump may grow or shrink meanwhile.
	maxDrift = time.Minute
	// writeEvery is the shortest time between two writes of the newest instant.
	writeEvery = time.Minute
)

// Clock tells the time to the code that decides whether something is still protected. It
// is safe for concurrent use. The zero Clock believes every instant that it is given, but
// never goes back.
type Clock struct {
	elapsed func() time.Duration // since Open, by a clock that nobody can set

	mu     sync.Mutex
	base   time.Time     // the instant at which elapsed was zero
	seen   time.Time     // the newest instant that was believed
	kept   time.Time     // the newest instant that the store has
	jumped bool          // there is a jump that is not believed yet
	ahead  time.Duration // the length of the jump
	since  time.Duration // the value of elapsed when the jump was noticed
}

// Open returns a clock that begins at now, or at the newest instant that the store has
// seen if now is before it or much later. Much later, as after a long stop, is a jump.
// elapsed returns the time since Open by a clock that nobody can set. Errors are internal:
// the record can't be read.
func Open(ctx context.Context, store kv.Store, now time.Time, elapsed func() time.Duration) (*Clock, error) {
	c := &Clock{elapsed: elapsed, base: now}
	err := store.View(ctx, func(r kv.Reader) error {
		value, err := r.Get(clockKey())
		if err != nil || value == nil {
			return err
		}
		c.kept, err = decode(value)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.seen = c.kept
	if !c.kept.IsZero() && (now.Before(c.kept) || now.Sub(c.kept) > tolerance) {
		c.base = c.kept
	}
	return c, nil
}

// Passed returns the newest instant that has certainly come, given the system's time now.
// A protection that ends at that instant or before has ended. Passed never goes back.
func (c *Clock) Passed(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.elapsed != nil {
		if sure := c.base.Add(c.elapsed()); now.Sub(sure) > tolerance {
			now = sure
		}
	}
	if now.After(c.seen) {
		c.seen = now
	}
	return c.seen
}

// Reached returns the newest instant that may have come, given the system's time now. A
// protection that begins now counts from that instant.
func (c *Clock) Reached(now time.Time) time.Time {
	if passed := c.Passed(now); passed.After(now) {
		return passed
	}
	return now
}

// Observe compares the clocks; the server calls it about once a minute. It returns by how
// much the system's clock is ahead if that is a jump that is not believed yet, and zero
// otherwise.
func (c *Clock) Observe(now time.Time) (ahead time.Duration) {
	c.Passed(now)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.elapsed == nil {
		return 0
	}
	elapsed := c.elapsed()
	ahead = now.Sub(c.base.Add(elapsed))
	switch {
	case ahead <= tolerance:
		c.jumped = false
		return 0
	case !c.jumped || (ahead-c.ahead).Abs() > maxDrift:
		c.jumped, c.ahead, c.since = true, ahead, elapsed
	case elapsed-c.since >= settleAfter:
		c.jumped, c.base = false, c.base.Add(ahead)
		return 0
	}
	return ahead
}

// Keep writes the newest instant that was believed, at most once a minute.
func (c *Clock) Keep(ctx context.Context, store kv.Store) error {
	c.mu.Lock()
	seen, due := c.seen, c.due()
	c.mu.Unlock()
	if !due {
		return nil
	}
	err := change.Background(ctx, store, "the newest instant that was seen", func(tx kv.Tx) error {
		tx.Set(clockKey(), encode(seen))
		return nil
	})
	if err == nil {
		c.mu.Lock()
		c.kept = seen
		c.mu.Unlock()
	}
	return err
}

// Note writes the newest instant with a change that depends on it, if Keep is due.
func (c *Clock) Note(tx kv.Tx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.due() {
		tx.Set(clockKey(), encode(c.seen))
	}
}

func (c *Clock) due() bool { return c.seen.Sub(c.kept) >= writeEvery }

func clockKey() []byte { return []byte("z/clock") }

// fieldInstant is the only field of the record. The number is stored.
const fieldInstant = 1

func encode(at time.Time) []byte { return record.Time(record.Start(nil), fieldInstant, at) }

func decode(value []byte) (at time.Time, err error) {
	f := record.Read(value)
	for f.Next() {
		if f.Number != fieldInstant {
			f.Unknown()
			break
		}
		at = f.Time()
	}
	if err = f.Err(); err == nil && at.IsZero() {
		err = record.ErrMalformed
	}
	if err != nil {
		err = fault.Internal(fmt.Errorf("instant: the newest instant: %w", err))
	}
	return at, err
}
