package cache

import (
	"net/http"
	"sync/atomic"
	"time"

	"watertight/internal/edge/cache/fresh"
)

// entry is one stored response. Only its place in the queues, its uses and its back-off
// change.
type entry struct {
	key    Key
	site   *site
	seq    uint64 // the newest invalidation that was known when it was asked for
	life   fresh.Life
	status int
	size   int64 // of the body
	cost   int64 // bytes that count against the budget
	memory *hot  // nil if it lies on the disk

	file    name // on the disk
	length  int64
	renewal bool // its record is being written; guarded by Cache.mu

	backOff atomic.Int64 // Unix nanoseconds: the origin failed, and is not asked before
	uses    atomic.Int32

	queue      *queue
	prev, next *entry
}

// hot is a response in memory.
type hot struct {
	of     *entry
	header http.Header
	chunks [][]byte
	size   int64
	memo   *atomic.Pointer[Memo] // of its own, so that who has it does not keep the body
}

func newHot(of *entry, header http.Header, chunks [][]byte, size int64) *hot {
	return &hot{of: of, header: header, chunks: chunks, size: size, memo: new(atomic.Pointer[Memo])}
}

// maxEntries is how many entries the index holds, whatever their size.
const maxEntries = 500_000

// entryCost is about what an entry takes in memory without its headers and body, in bytes, and
// memoCost what a memo takes in addition to another copy of the headers.
const entryCost, memoCost = 512, 512

func (h *hot) bytes() int64 {
	n := h.size + entryCost + memoCost
	for name, lines := range h.header {
		n += 2*int64(len(name)) + 64
		for _, line := range lines {
			n += 2*int64(len(line)) + 16
		}
	}
	return n
}

func (e *entry) backsOff(now time.Time) bool { return now.UnixNano() < e.backOff.Load() }

func (e *entry) use() {
	if n := e.uses.Load(); n < 3 {
		e.uses.CompareAndSwap(n, n+1)
	}
}

// index finds entries and decides which of them stay, with S3-FIFO (Yang et al., "FIFO
// queues are all you need for cache eviction", SOSP 2023): new entries go through a small
// queue of a tenth of the budget, from which only those that were used again reach the main
// queue. The main queue gives what was used another round. A ghost queue remembers the keys
// that the small queue dropped; one that comes back goes to the main queue at once.
type index struct {
	budget, bytes int64
	entries       map[Key]*entry
	small, main   queue
	ghosts        map[uint64]uint64 // hash of a key → when it was dropped
	order         []uint64          // the ghosts, oldest first
	drops         uint64
}

// queue is a list of entries, newest first.
type queue struct {
	first, last *entry
	bytes       int64
}

func newIndex(budget int64) index {
	return index{budget: budget, entries: map[Key]*entry{}, ghosts: map[uint64]uint64{}}
}

func (q *queue) push(e *entry) {
	e.queue, e.prev, e.next = q, nil, q.first
	if q.first != nil {
		q.first.prev = e
	} else {
		q.last = e
	}
	q.first = e
	q.bytes += e.cost
}

func (q *queue) remove(e *entry) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.last = e.prev
	}
	e.queue, e.prev, e.next = nil, nil, nil
	q.bytes -= e.cost
}

// put stores an entry and returns the entries that it removed: the key's old one, and those
// that no longer fit.
func (x *index) put(e *entry) (gone []*entry) {
	old := x.entries[e.key]
	to := &x.small
	if old != nil {
		to = old.queue
		e.uses.Store(old.uses.Load())
		x.remove(old)
		gone = append(gone, old)
	} else if x.haunted(e.key) {
		to = &x.main
	}
	for (x.bytes+e.cost > x.budget || len(x.entries) >= maxEntries) && len(x.entries) > 0 {
		gone = append(gone, x.evict())
	}
	to.push(e)
	x.entries[e.key] = e
	x.bytes += e.cost
	return gone
}

func (x *index) remove(e *entry) {
	e.queue.remove(e)
	delete(x.entries, e.key)
	x.bytes -= e.cost
}

// evict removes one entry.
func (x *index) evict() *entry {
	for {
		if e := x.small.last; e != nil && (x.small.bytes > x.budget/10 || x.main.last == nil) {
			if e.uses.Swap(0) > 0 {
				x.small.remove(e)
				x.main.push(e)
				continue
			}
			x.haunt(e.key)
			x.remove(e)
			return e
		}
		e := x.main.last
		if n := e.uses.Load(); n > 0 {
			e.uses.Store(n - 1)
			x.main.remove(e)
			x.main.push(e)
			continue
		}
		x.remove(e)
		return e
	}
}

func ghost(k Key) uint64 {
	var n uint64
	for _, b := range k[:8] {
		n = n<<8 | uint64(b)
	}
	return n
}

// haunt remembers the key of an entry that was dropped. It keeps as many keys as the index has
// entries.
func (x *index) haunt(k Key) {
	x.drops++
	x.ghosts[ghost(k)] = x.drops
	x.order = append(x.order, ghost(k))
	for len(x.ghosts) > max(len(x.entries), 64) || len(x.order) > 4*max(len(x.entries), 64) {
		oldest := x.order[0]
		x.order = x.order[1:]
		delete(x.ghosts, oldest)
	}
}

func (x *index) haunted(k Key) bool {
	_, ok := x.ghosts[ghost(k)]
	delete(x.ghosts, ghost(k))
	return ok
}
