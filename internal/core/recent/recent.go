// Package recent keeps last uses that are not written yet: of access keys, users,
// roles and customers' keys. It exists so that a request that uses something does not
// write. It must never know what is used.
package recent

import (
	"sync"
	"time"
)

// How last uses are kept: they are of interest to people, so a minute's
// inaccuracy costs nothing, and a write for each request would.
const (
	interval = time.Minute
	maxUses  = 65536 // uses that wait or are remembered
)

// Uses holds last uses by what was used. It is safe for concurrent use.
type Uses[K comparable, V any] struct {
	mu      sync.Mutex
	waiting map[K]V
	flushed map[K]V // is being written, or was
	written map[K]time.Time
}

// New returns none.
func New[K comparable, V any]() *Uses[K, V] {
	return &Uses[K, V]{waiting: map[K]V{}, written: map[K]time.Time{}}
}

// Note remembers a use of k at an instant, unless one of the last minute was written.
func (l *Uses[K, V]) Note(k K, v V, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.Sub(l.written[k]) < interval {
		return
	}
	if _, known := l.waiting[k]; known || len(l.waiting) < maxUses {
		l.waiting[k] = v
	}
}

// Known is a use that may not be written yet.
func (l *Uses[K, V]) Known(k K) (v V, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v, ok = l.waiting[k]; !ok {
		v, ok = l.flushed[k]
	}
	return v, ok
}

// Take returns what waits, which is to be written now; at is when a use was.
func (l *Uses[K, V]) Take(at func(V) time.Time) map[K]V {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := l.waiting
	l.flushed = batch
	l.waiting = make(map[K]V, len(batch))
	if len(l.written) >= maxUses {
		clear(l.written)
	}
	for k, v := range batch {
		l.written[k] = at(v)
	}
	return batch
}
