package server

import (
	"context"
	"time"

	"watertight/internal/core/instant"
)

// openClock opens the clock by which retentions end.
func (s *Server) openClock(ctx context.Context) (err error) {
	start, elapsed := s.config.Now(), s.config.Elapsed
	if elapsed == nil {
		elapsed = func() time.Duration { return s.config.Now().Sub(start) } // monotonic, unless a test sets Now
	}
	s.clock, err = instant.Open(ctx, s.store, start, elapsed)
	return err
}

// clockInterval is how often the system's clock is compared with the monotonic one.
const clockInterval = time.Minute

// keepClock compares the clocks and writes the newest instant, at the start and then every
// minute.
func (s *Server) keepClock(ctx context.Context) {
	tick := time.NewTicker(clockInterval)
	defer tick.Stop()
	for {
		if ahead := s.clock.Observe(s.config.Now()); ahead > 0 {
			s.log.Warn("the system's clock has jumped forward, or the server was stopped for long: no retention ends "+
				"by it before it has run on for an hour", "ahead", ahead.Round(time.Second))
		}
		if err := s.clock.Keep(ctx, s.store); err != nil && ctx.Err() == nil {
			s.log.Warn("writing the newest instant", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
