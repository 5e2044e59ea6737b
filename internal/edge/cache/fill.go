package cache

import (
	"context"
	"io"
	"net/http"
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

func (c *Cache) newFill(resp *http.Response, life fresh.Life) *fill {
	return &fill{
		status: resp.StatusCode, header: fresh.Storable(resp.Header), life: life, size: resp.ContentLength,
		spool: newSpool(c.max),
	}
}

// far reports whether a range of a large object begins where the fill isn't yet.
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

// run reads the body to its end. It returns nil if it broke off or is too large.
func (f *fill) run(body io.ReadCloser) (*entry, *hot) {
	defer body.Close()
	if f.spool.take(body, f.size) != nil || f.spool.lost() {
		return nil, nil
	}
	e := &entry{life: f.life, status: f.status, size: f.spool.size}
	return e, &hot{of: e, header: f.header, chunks: f.spool.chunks, size: f.spool.size}
}

// ageAt returns a response's age (RFC 9111, section 4.2.3).
func ageAt(l *fresh.Life, now time.Time) time.Duration { return l.Age + max(now.Sub(l.Received), 0) }

// store adds an entry to the index, unless an invalidation came since it was asked for.
func (c *Cache) store(f *flight, e *entry, h *hot) {
	e.key, e.site, e.seq = f.key, f.site, f.seq
	e.memory = h
	e.cost = h.bytes()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.purges.current(f.site, f.path, f.seq) || e.cost > c.max+entryCost {
		return
	}
	if old := c.index.entries[e.key]; old != nil && old.seq > e.seq {
		return // it was asked for after an invalidation, this one before
	}
	for _, gone := range c.index.put(e) {
		c.discard(gone)
	}
}

// renewed returns an entry with the same body and another life.
func (e *entry) renewed(life fresh.Life, seq uint64) *entry {
	return &entry{key: e.key, site: e.site, seq: seq, life: life, status: e.status, size: e.size, cost: e.cost}
}

// renew stores an entry that was revalidated.
func (c *Cache) renew(f *flight, e *entry, h *hot) { c.store(f, e, h) }

// read returns the headers and, if it is small, the body of an entry.
func (c *Cache) read(e *entry) *hot { return e.memory }

// answer answers with a stored response, or returns nil if it can't be read.
func (c *Cache) answer(e *entry, now time.Time, result Result, head bool) *Answer {
	h := c.read(e)
	if h == nil {
		return nil
	}
	a := c.answerFrom(e, h, now, result)
	if head {
		a.Body = &reader{src: empty{}}
	}
	return a
}

func (c *Cache) answerFrom(e *entry, h *hot, now time.Time, result Result) *Answer {
	return &Answer{
		Status: e.status, Header: h.header, Size: e.size, Age: ageAt(&e.life, now), Result: result,
		Body: &reader{ctx: c.ctx, src: h, end: -1},
	}
}
