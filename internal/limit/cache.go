package limit

import (
	"container/ring"
	"sync"
	"sync/atomic"
)

// Cache keeps values up to a total size in bytes. It evicts with the clock algorithm: an
// entry that was used since the hand last passed it gets a second chance. So a caller that
// fills the cache evicts unused entries, and never all of them. A cache is for values that
// are stored, never for values that a request brings. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	maximum int64
	size    func(K, V) int64

	mu      sync.RWMutex
	entries map[K]*ring.Ring // of *cached[K, V]
	hand    *ring.Ring       // the next entry to be checked
	bytes   int64

	hits, misses atomic.Uint64
}

// Count says how often a cache had what was asked for.
type Count struct{ Hits, Misses uint64 }

type cached[K comparable, V any] struct {
	key   K
	value V
	bytes int64
	used  atomic.Bool // since the hand last passed
}

// entryOverhead is approximately the size of an entry without its key and value.
const entryOverhead = 160

// NewCache returns a cache of at most maximum bytes. size returns the approximate size of an entry.
func NewCache[K comparable, V any](maximum int64, size func(K, V) int64) *Cache[K, V] {
	return &Cache[K, V]{maximum: maximum, size: size, entries: map[K]*ring.Ring{}}
}

// Get returns the value of a key.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	at, ok := c.entries[key]
	if !ok {
		c.misses.Add(1)
		return value, false
	}
	c.hits.Add(1)
	e := at.Value.(*cached[K, V])
	if !e.used.Load() {
		e.used.Store(true)
	}
	return e.value, true
}

// Count returns how often Get had a value, since the cache was made.
func (c *Cache[K, V]) Count() Count { return Count{c.hits.Load(), c.misses.Load()} }

// Put stores a value, and replaces the key's old one. A value that would take more
// than an eighth of the cache is not stored.
func (c *Cache[K, V]) Put(key K, value V) {
	e := &cached[K, V]{key: key, value: value, bytes: c.size(key, value) + entryOverhead}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.entries[key]; ok {
		c.drop(at)
	}
	if e.bytes > c.maximum/8 {
		return
	}
	for c.bytes+e.bytes > c.maximum {
		c.evict()
	}
	at := ring.New(1)
	at.Value = e
	if c.hand == nil {
		c.hand = at
	} else {
		c.hand.Prev().Link(at) // the hand passes here last
	}
	c.entries[key] = at
	c.bytes += e.bytes
}

// evict drops the first entry that was not used since the hand last passed it.
func (c *Cache[K, V]) evict() {
	for {
		e := c.hand.Value.(*cached[K, V])
		if !e.used.Swap(false) {
			c.drop(c.hand)
			return
		}
		c.hand = c.hand.Next()
	}
}

func (c *Cache[K, V]) drop(at *ring.Ring) {
	e := at.Value.(*cached[K, V])
	delete(c.entries, e.key)
	c.bytes -= e.bytes
	next := at.Next()
	if next == at {
		c.hand = nil
		return
	}
	at.Prev().Unlink(1)
	if c.hand == at {
		c.hand = next
	}
}

// Bytes returns the approximate size of the cache.
func (c *Cache[K, V]) Bytes() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.bytes
}

// Len returns the number of entries.
func (c *Cache[K, V]) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.entries)
}
