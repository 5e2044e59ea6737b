package limit

import (
	"context"
	"time"
)

// Pace limits how fast bytes are read or copied. It is not safe for concurrent use.
type Pace struct {
	rate int64
	debt time.Duration
}

// NewPace returns a pace of so many bytes in a second. 0 means no limit.
func NewPace(rate int64) Pace { return Pace{rate: rate} }

// leastSleep is the shortest pause; shorter ones are added up until they reach it.
const leastSleep = 20 * time.Millisecond

// Wait waits as long as n bytes take. If ctx ends before that, it returns ctx's error.
func (p *Pace) Wait(ctx context.Context, n int64) error {
	if p.rate > 0 {
		p.debt += time.Duration(float64(n) / float64(p.rate) * float64(time.Second))
	}
	if p.debt < leastSleep {
		return ctx.Err()
	}
	t := time.NewTimer(p.debt)
	defer t.Stop()
	p.debt = 0
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
