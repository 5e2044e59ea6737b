package embedded

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"watertight/internal/fault"
	"watertight/internal/storage/kv/embedded/internal/engine"
)

// Shares of the engine's backlog between which writes become slower. Below, they are not
// delayed; above, they wait, and are refused if the backlog stays. What is left up to a full
// backlog is for deletions and for transactions that run already.
const (
	memoryLow, memoryHigh = 0.625, 0.9 // one memtable is filled, one is flushed, and half of another one waits
	tablesLow, tablesHigh = 0.25, 1
)

const (
	lookInterval = 50 * time.Millisecond // between two looks at the backlog
	longestDelay = 50 * time.Millisecond // of a write just before writes wait
	// patience is how long a write waits for a backlog that is too long. It is shorter than
	// the time after which clients give up.
	patience = 2 * time.Second
	// unanswered is how long an engine may take to say what its backlog is. After that it is
	// taken for an engine that is almost behind.
	unanswered = time.Second
	behind     = 0.9
)

// errSlower asks for a pause, after which the transaction runs again.
var errSlower = errors.New("kv: slower") // never leaves the package

// pressure slows writes down before the engine makes all of them wait, deletions and the
// audit log's included.
type pressure struct {
	level            atomic.Uint64 // bits of a float64
	asked            atomic.Int64  // when the engine was asked and has not answered, in nanoseconds since 1970; or 0
	delayed, refused atomic.Uint64
}

// levelOf returns how far writes must slow down: 0 is not at all, from 1 on they wait.
func levelOf(b engine.Backlog) float64 {
	share := func(n, low, high float64) float64 { return max(0, (n-low)/(high-low)) }
	return max(share(b.Memory, memoryLow, memoryHigh), share(b.Tables, tablesLow, tablesHigh))
}

func (p *pressure) now() float64 {
	level := math.Float64frombits(p.level.Load())
	if at := p.asked.Load(); at != 0 && time.Since(time.Unix(0, at)) > unanswered {
		return max(level, behind)
	}
	return level
}

// watch looks at the backlog while there are commits, and until the backlog is gone.
func (s *store) watch() {
	defer close(s.watched)
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for seen := uint64(0); ; {
		select {
		case <-tick.C:
		case <-s.stop:
			return
		case <-s.failed:
			return
		}
		if n := s.commits.Load(); n != seen || s.pressure.level.Load() != 0 {
			seen = n
			s.measure()
		}
	}
}

func (s *store) measure() {
	p := &s.pressure
	p.asked.Store(time.Now().UnixNano())
	level := levelOf(s.engine.Backlog())
	p.asked.Store(0)
	before := math.Float64frombits(p.level.Swap(math.Float64bits(level)))
	switch {
	case level >= 1 && before < 1:
		s.log.Warn("kv: the disk is too slow for the writes; they wait, and are refused if that does not help")
	case level == 0 && before >= 1:
		s.log.Info("kv: writes are fast again")
	}
}

// pace returns errSlower for a write that must wait first. Transactions that delete
// something and write little are never refused: deletions make room, and the audit log's
// own commits free what waits for them.
func (s *store) pace(t *tx) error {
	if s.pressure.now() == 0 || t.sets == 0 {
		return nil
	}
	if t.deletes > 0 && t.sets <= smallSets {
		return errPause
	}
	return errSlower
}

// errPause asks for a pause as errSlower does, for a transaction that is never refused.
var errPause = errors.New("kv: a pause") // never leaves the package

// slow waits as long as the pressure requires. Error: SlowDown, if refusable is true.
func (s *store) slow(ctx context.Context, refusable bool) error {
	p := &s.pressure
	p.delayed.Add(1)
	level := p.now()
	if err := s.sleep(ctx, time.Duration(min(level, 1)*float64(longestDelay))); err != nil || !refusable {
		return err
	}
	for end := time.Now().Add(patience); p.now() >= 1; {
		if time.Now().After(end) {
			p.refused.Add(1)
			return fault.Of(fault.SlowDown).WithHeader("Retry-After", "1")
		}
		if err := s.sleep(ctx, lookInterval); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.failed:
		return s.failure()
	}
}
