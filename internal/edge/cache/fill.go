package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"watertight/internal/edge/cache/fresh"
)

// fill is a response that is stored while it arrives.
type fill struct {
	status int
	header http.Header
	life   fresh.Life
	size   int64 // -1: not known yet
	spool  *spool
}

func (c *Cache) newFill(resp *http.Response, life fresh.Life, joined *atomic.Int64) *fill {
	return &fill{
		status: resp.StatusCode, header: fresh.Storable(resp.Header), life: life, size: resp.ContentLength,
		spool: newSpool(c.max, c.disk, c.open, &c.buffers, joined),
	}
}

// far reports whether a range of a large object begins beyond the bytes that arrived.
func (f *fill) far(first int64) bool {
	return f.size > rangeFill && (first < 0 || first >= f.spool.length())
}

// answer answers one reader.
func (f *fill) answer(ctx context.Context, now time.Time, done func()) *Answer {
	return &Answer{
		Status: f.status, Header: f.header, Size: f.size, Result: Miss, Age: ageAt(&f.life, now),
		Body: &reader{ctx: ctx, src: f.spool.tap(), end: -1, done: done},
	}
}

// ageAt returns a response's age (RFC 9111, section 4.2.3).
func ageAt(l *fresh.Life, now time.Time) time.Duration { return l.Age + max(now.Sub(l.Received), 0) }

// fill reads the body of a flight's response to its end and stores it. Readers see the end
// only after it is stored, so that the next request finds it.
func (c *Cache) fill(f *flight, body io.ReadCloser) {
	defer body.Close()
	s := f.fill.spool
	err := s.take(body, f.fill.size)
	if err != nil || s.lost() || !c.store(f) {
		s.remove()
	}
	c.unlist(f)
	s.end(err)
}

// store stores what a flight filled, if it can.
func (c *Cache) store(f *flight) bool {
	s := f.fill.spool
	e := &entry{key: f.key, site: f.site, seq: f.seq, life: f.fill.life, status: f.fill.status, size: s.size}
	h := newHot(e, f.fill.header, s.chunks, s.size)
	if c.disk == nil {
		e.memory, e.cost, e.file = h, h.bytes(), s.name
		c.open.index(s.name)
		return c.put(f, e)
	}
	if !c.wanted(f, e) {
		return false
	}
	n, length, err := s.finish(e.record(h.header))
	if err != nil {
		if !errors.Is(err, errNoRoom) {
			c.log.Warn("a response can't be written to the cache", "error", err)
		}
		return false
	}
	e.file, e.length, e.cost = n, length, diskCost(length)
	c.open.index(n)
	if !c.put(f, e) {
		c.disk.remove(n)
		return false
	}
	if s.stored == 0 && e.size <= maxHot {
		c.hot.Put(e.key, h)
	}
	return true
}

// record is what is stored of an entry beside its body.
func (e *entry) record(header http.Header) *record {
	return &record{
		Key: e.key, Distribution: e.site.id, Seq: e.seq, Status: e.status, Size: e.size, Life: e.life, Header: header,
	}
}

// wanted reports whether an entry may be stored: no invalidation came since it was asked for,
// and nothing is stored that was asked for later.
func (c *Cache) wanted(f *flight, e *entry) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.wantedLocked(f, e)
}

func (c *Cache) wantedLocked(f *flight, e *entry) bool {
	old := c.index.entries[e.key]
	return c.purges.current(f.site, f.path, e.seq) && (old == nil || old.seq <= e.seq)
}

// put adds an entry to the index if it is wanted.
func (c *Cache) put(f *flight, e *entry) bool {
	c.mu.Lock()
	if !c.wantedLocked(f, e) || e.cost > c.index.budget/2 {
		c.mu.Unlock()
		return false
	}
	gone := c.index.put(e)
	c.mu.Unlock()
	c.discard(e, gone...)
	return true
}

// renew stores an entry that was revalidated. Its body stays where it is. An entry that would
// be stale at once is left as it was.
func (c *Cache) renew(f *flight, e *entry, h *hot) {
	if !f.shared || !c.claim(f.stale) {
		return // or somebody else renews it
	}
	if c.disk == nil {
		e.memory, e.cost = h, h.bytes()
		c.put(f, e)
		return
	}
	length, err := c.disk.rewrite(e.file, e.record(h.header))
	if err != nil {
		c.remove(f.stale)
		return
	}
	e.length, e.cost = length, diskCost(length)
	if !c.put(f, e) {
		c.remove(f.stale)
		return
	}
	if e.size <= maxHot {
		c.hot.Put(e.key, h)
	}
}

// claim reports whether the caller may write the record of an entry.
func (c *Cache) claim(e *entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index.entries[e.key] != e || e.renewal {
		return false
	}
	e.renewal = true
	return true
}

// renewed returns an entry with the same body and another life.
func (e *entry) renewed(life fresh.Life, seq uint64) *entry {
	return &entry{
		key: e.key, site: e.site, seq: seq, life: life, status: e.status, size: e.size, cost: e.cost,
		file: e.file, length: e.length,
	}
}

// read returns the headers and, if it is small, the body of an entry. What can't be read is
// removed.
func (c *Cache) read(e *entry) *hot {
	if e.memory != nil {
		return e.memory
	}
	if h, ok := c.hot.Get(e.key); ok && h.of == e {
		return h
	}
	h, err := c.disk.read(e)
	if err != nil {
		c.unreadable(e, err)
		return nil
	}
	c.hot.Put(e.key, h)
	return h
}

func (c *Cache) unreadable(e *entry, err error) {
	c.mu.RLock()
	current := c.index.entries[e.key] == e && !e.renewal
	c.mu.RUnlock()
	if current {
		c.log.Warn("a cached response can't be read", "error", err)
		c.remove(e)
	}
}

// answer answers with a stored response, or returns nil if it can't be read.
func (c *Cache) answer(e *entry, now time.Time, result Result, head bool) *Answer {
	h := c.read(e)
	if h == nil {
		return nil
	}
	if head {
		return c.answerFrom(e, h, empty{}, now, result)
	}
	src, err := c.source(e, h)
	if err != nil {
		c.unreadable(e, err)
		return nil
	}
	return c.answerFrom(e, h, src, now, result)
}

// source returns the body of an entry.
func (c *Cache) source(e *entry, h *hot) (source, error) {
	if e.memory != nil && len(h.chunks) > 1 {
		return c.held(e, h)
	}
	if h.chunks != nil || e.size == 0 {
		return h, nil
	}
	return c.disk.stream(e, &c.buffers, func(err error) { c.unreadable(e, err) })
}

func (c *Cache) answerFrom(e *entry, h *hot, src source, now time.Time, result Result) *Answer {
	return &Answer{
		Status: e.status, Header: h.header, Size: e.size, Age: ageAt(&e.life, now), Result: result,
		Body: &reader{ctx: c.ctx, src: src, end: -1}, Memo: h.memo,
	}
}
