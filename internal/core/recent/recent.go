// Package recent keeps the last uses of access keys, users, roles and customers' keys in
// memory until they are written. It exists so that a request that uses something does not
// have to write. It must never know what is used.
package recent

import (
	"sync"
	"time"
)

// Last uses are information for people, so an inaccuracy of a minute is acceptable; a write
// for each request would be too expensive.
const (
	interval = time.Minute
	maxUses  = 65536 // uses in waiting, and in written
)

// Uses holds the last use of each key. It is safe for concurrent use.
type Uses[K comparable, V any] struct {
	mu      sync.Mutex
	waiting map[K]V
	flushed map[K]V // the last batch: being written, or written
	written map[K]time.Time
}

// New returns an empty Uses.
func New[K comparable, V any]() *Uses[K, V] {
	return &Uses[K, V]{waiting: map[K]V{}, written: map[K]time.Time{}}
}

// Note records a use of k at a time, unless a use of the last minute was written.
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

// Known returns the last use of k if it may not be written yet.
func (l *Uses[K, V]) Known(k K) (v V, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v, ok = l.waiting[k]; !ok {
		v, ok = l.flushed[k]
	}
	return v, ok
}

// Take returns the uses that are not written yet; the caller writes them. at returns the
// time of a use.
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
