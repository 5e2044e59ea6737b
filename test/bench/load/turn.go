package load

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Sample is what turns measured.
type Sample struct {
	Took []time.Duration // of each operation
	Busy time.Duration   // how long the clients ran, added up
}

// Add appends another sample.
func (s *Sample) Add(t Sample) {
	s.Took = append(s.Took, t.Took...)
	s.Busy += t.Busy
}

// Rate returns the operations a second of so many clients. It takes each client's own time: those that end first don't
// wait for the others, as they would not in a longer run.
func (s *Sample) Rate(clients int) float64 {
	if s.Busy <= 0 {
		return 0
	}
	return float64(len(s.Took)) * float64(clients) / s.Busy.Seconds()
}

// Quantile returns the duration that a fraction q of the operations did not exceed (nearest rank); 0 without
// operations.
func (s *Sample) Quantile(q float64) time.Duration {
	if len(s.Took) == 0 {
		return 0
	}
	slices.Sort(s.Took)
	return s.Took[max(int(math.Ceil(q*float64(len(s.Took))))-1, 0)]
}

// Turn runs op from all clients, each of them again as soon as the last one has ended, until the time is up or
// numbers from first to last-1 are used. It returns the number that the next turn begins with. Each client runs op at
// least once, if numbers are left.
func Turn(clients []*Client, limit time.Duration, first, last int, op func(c *Client, n int) error) (
	s Sample, next int, err error,
) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var number atomic.Int64
	var stopped atomic.Bool
	number.Store(int64(first))
	start := time.Now()
	end := start.Add(limit)
	for _, c := range clients {
		wg.Go(func() {
			mine := make([]time.Duration, 0, 1<<12)
			var failed error
			before := start
			for !stopped.Load() {
				n := int(number.Add(1)) - 1
				if n >= last {
					break
				}
				if failed = op(c, n); failed != nil {
					stopped.Store(true)
					break
				}
				now := time.Now()
				mine = append(mine, now.Sub(before))
				before = now
				if now.After(end) {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			s.Took = append(s.Took, mine...)
			s.Busy += before.Sub(start)
			if failed != nil && err == nil {
				err = failed
			}
		})
	}
	wg.Wait()
	if err == nil && len(s.Took) == 0 && first < last {
		err = fmt.Errorf("no operation ended within %v", limit)
	}
	return s, min(int(number.Load()), last), err
}
