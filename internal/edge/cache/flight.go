package cache

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"watertight/internal/edge/cache/fresh"
)

// flight is one request to the origin and everybody who waits for its answer. Before it is
// ready, only its own goroutine touches its outcome. Afterwards, the outcome doesn't change.
type flight struct {
	key    Key
	site   *site
	path   string
	seq    uint64
	rules  *Rules
	stale  *entry // what the answer replaces or revalidates, or nil
	cancel context.CancelFunc
	ready  chan struct{}

	readers atomic.Int64 // those who wait for it or read its body; changed under Cache.mu
	landed  bool         // whether it ended; guarded by Cache.mu

	// The outcome: exactly one of them.
	err   error
	entry *entry // answers from memory or disk, with kept and result
	kept  *hot
	fill  *fill     // the answer is read while it arrives
	own   *ownReply // not to be stored: it is only for the one who asked

	result Result
	shared bool // whether entry or fill also answer those who only waited
}

// ownReply is a response that is not stored.
type ownReply struct {
	resp  *http.Response
	reply *Answer // or an answer that was made of it
}

const (
	// background is what a fill that nobody reads any more may still fetch, in bytes, and
	// patience for how long.
	background = 16 << 20
	patience   = 30 * time.Second
	// maxDetached is how many fills without readers may go on.
	maxDetached = 64
)

// join returns the flight that a request waits for, and whether the request started it. No
// request joins a flight that asked the origin before an invalidation of its path.
func (c *Cache) join(r *Request, e *entry, fetch Fetch, share bool) (f *flight, leader bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[r.Key]; share && f != nil && c.purges.current(f.site, r.Path, f.seq) && !f.full() {
		f.readers.Add(1)
		c.collapsed.Add(1)
		return f, false
	}
	if e != nil && !c.purges.current(e.site, r.Path, e.seq) {
		e = nil // it was purged after it was looked up: the new flight's answer must be newer
	}
	// The flight may outlive its request, but not the cache.
	ctx, cancel := context.WithCancel(c.ctx)
	f = &flight{
		key: r.Key, site: c.purges.site(r.Distribution), path: r.Path, seq: c.purges.seen, rules: r.Rules, stale: e,
		cancel: cancel, ready: make(chan struct{}),
	}
	f.readers.Store(1)
	if share {
		c.flights[r.Key] = f
	}
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		c.fly(ctx, f, fetch)
	}()
	return f, true
}

// full reports whether a fill dropped bytes that one who joins now would need.
func (f *flight) full() bool {
	select {
	case <-f.ready:
		return f.fill != nil && f.fill.spool.lost()
	default:
		return false
	}
}

// leave ends a reader's part in a flight. A flight that nobody waits for is cancelled, unless
// it is almost complete.
func (c *Cache) leave(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.readers.Add(-1) > 0 {
		return
	}
	if f.landed {
		f.close()
		return
	}
	if c.detached < maxDetached && f.nearlyDone() {
		c.detached++
		time.AfterFunc(patience, func() { c.endDetached(f) })
		return
	}
	c.ground(f)
}

func (f *flight) nearlyDone() bool {
	select {
	case <-f.ready:
		return f.fill != nil && f.fill.size >= 0 && f.fill.size-f.fill.spool.length() <= background
	default:
		return false
	}
}

func (c *Cache) endDetached(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detached--
	if f.readers.Load() == 0 && !f.landed {
		c.ground(f)
	}
}

// ground cancels a flight. Nobody can join it any more.
func (c *Cache) ground(f *flight) {
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
	f.cancel()
}

// unlist keeps others from joining a flight.
func (c *Cache) unlist(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
}

// land ends a flight.
func (c *Cache) land(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.landed {
		return
	}
	f.landed = true
	c.ground(f)
	if f.readers.Load() == 0 {
		f.close()
	}
}

// close frees what readers of the flight need. The flight has landed and has no readers.
func (f *flight) close() {
	if f.fill != nil {
		f.fill.spool.close()
	}
}

// await waits for a flight's answer. again says that the answer is only for the request that
// started the flight, so that this one has to ask itself.
func (c *Cache) await(
	ctx context.Context, f *flight, leader bool, rng *Range, fetch Fetch,
) (a *Answer, again bool, err error) {
	select {
	case <-f.ready:
	case <-ctx.Done():
		c.abandon(f, leader)
		return nil, false, ctx.Err()
	}
	if f.err != nil {
		c.leave(f)
		return nil, false, f.err
	}
	if !leader && !f.shared {
		c.leave(f)
		return nil, true, nil
	}
	switch {
	case f.own != nil:
		return c.own(ctx, f, rng, fetch)
	case f.entry != nil:
		defer c.leave(f)
		src, err := c.source(f.entry, f.kept)
		if err != nil {
			return nil, true, nil // it was evicted meanwhile
		}
		return c.answerFrom(f.entry, f.kept, src, c.now(), f.result), false, nil
	}
	if rng != nil && f.fill.far(rng.First) {
		c.leave(f)
		a, err = c.pass(ctx, rng, fetch)
		return a, false, err
	}
	return f.fill.answer(ctx, c.now(), func() { c.leave(f) }), false, nil
}

// abandon is leave for one who did not get the answer.
func (c *Cache) abandon(f *flight, leader bool) {
	c.leave(f)
	if !leader {
		return
	}
	c.work.Add(1)
	go func() { // nobody else takes what was only for the leader
		defer c.work.Done()
		if <-f.ready; f.own != nil {
			f.own.close()
			c.land(f)
		}
	}()
}

func (o *ownReply) close() {
	if o.resp != nil {
		o.resp.Body.Close()
	}
	if o.reply != nil {
		o.reply.Body.Close()
	}
}

// own gives the leader a response that is not stored. A range of an object that is too large
// to be stored is requested separately.
func (c *Cache) own(ctx context.Context, f *flight, rng *Range, fetch Fetch) (*Answer, bool, error) {
	done := func() { c.leave(f); c.land(f) }
	if f.own.reply != nil {
		a := *f.own.reply
		done()
		return &a, false, nil
	}
	if rng != nil && f.own.resp.StatusCode == http.StatusOK && f.own.resp.ContentLength > c.max {
		f.own.close()
		done()
		a, err := c.pass(ctx, rng, fetch)
		return a, false, err
	}
	a := passed(f.own.resp, done)
	stop := context.AfterFunc(ctx, f.cancel)
	a.Body.(*through).stop = stop
	return a, false, nil
}

// refresh asks the origin for a newer response in the background, unless a flight already does.
func (c *Cache) refresh(ctx context.Context, r *Request, e *entry, fetch Fetch) {
	c.mu.RLock()
	busy := c.flights[r.Key] != nil
	c.mu.RUnlock()
	if busy {
		return
	}
	f, leader := c.join(r, e, fetch, true)
	if !leader {
		c.leave(f)
		return
	}
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		t := time.AfterFunc(patience, f.cancel)
		defer t.Stop()
		<-f.ready
		switch {
		case f.own != nil:
			f.own.close()
			c.leave(f)
			c.land(f)
		case f.fill != nil:
			f.fill.spool.wait(c.ctx)
			c.leave(f)
		default:
			c.leave(f)
		}
	}()
}

// fly asks the origin and handles its answer.
func (c *Cache) fly(ctx context.Context, f *flight, fetch Fetch) {
	header := http.Header{}
	var stored *hot
	if f.stale != nil {
		if stored = c.read(f.stale); stored != nil {
			fresh.Condition(header, stored.header)
		}
	}
	asked := c.now()
	resp, err := ask(ctx, fetch, header)
	if err == nil && resp.StatusCode == http.StatusNotModified && len(header) > 0 {
		resp.Body.Close()
		if fresh.Selects(resp.Header, stored.header) {
			c.revalidated(f, stored, resp.Header, asked)
			return
		}
		asked = c.now()
		resp, err = ask(ctx, fetch, http.Header{})
	}
	received := c.now()
	if (err != nil || failed(resp.StatusCode)) && stored != nil && received.Before(f.stale.life.Error) &&
		c.stands(f.stale, f.path) {
		status := http.StatusGatewayTimeout
		if err == nil {
			status = resp.StatusCode
			resp.Body.Close()
		}
		f.stale.backOff.Store(received.Add(f.rules.BackOff(status)).UnixNano())
		f.entry, f.kept, f.result, f.shared = f.stale, stored, Stale, true
		c.finish(f)
		return
	}
	if err != nil {
		f.err = err
		c.finish(f)
		return
	}
	c.replied(f, resp, asked, received)
}

// stands reports whether an entry that was looked up was not purged since.
func (c *Cache) stands(e *entry, path string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.purges.current(e.site, path, e.seq)
}

// finish lands a flight whose answer needs no fill, and wakes those who wait for it.
func (c *Cache) finish(f *flight) {
	c.land(f)
	close(f.ready)
}

// replied handles a whole response.
func (c *Cache) replied(f *flight, resp *http.Response, asked, received time.Time) {
	life, ok := fresh.Of(resp.StatusCode, resp.Header, &f.rules.Rules, asked, received)
	now := received.Before(life.Fresh)
	if ok && !now {
		// It is worth storing if the origin can be asked whether it is current.
		ok = fresh.Condition(http.Header{}, resp.Header)
	}
	if f.stale != nil && !ok && !failed(resp.StatusCode) {
		c.remove(f.stale) // the origin has something else now
	}
	if !ok || resp.ContentLength > c.max {
		f.own = &ownReply{resp: resp}
		c.unlist(f)
		close(f.ready)
		return
	}
	f.fill = c.newFill(resp, life, &f.readers)
	f.result, f.shared = Miss, now
	close(f.ready)
	c.fill(f, resp.Body)
	c.land(f)
}

// revalidated handles a 304.
func (c *Cache) revalidated(f *flight, stored *hot, answer http.Header, asked time.Time) {
	received := c.now()
	header := fresh.Refresh(stored.header, answer)
	judged := header.Clone()
	judged["Age"] = answer["Age"]
	life, ok := fresh.Of(f.stale.status, judged, &f.rules.Rules, asked, received)
	e := f.stale.renewed(life, f.seq)
	h := newHot(e, header, stored.chunks, stored.size)
	f.result = RefreshHit
	if !ok {
		e.life = fresh.Life{Received: received, Age: fresh.Age(answer)}
		src, err := c.source(f.stale, h)
		c.remove(f.stale)
		if err != nil {
			f.err = err
			c.finish(f)
			return
		}
		f.own = &ownReply{reply: c.answerFrom(e, h, src, received, RefreshHit)}
		c.finish(f)
		return
	}
	f.shared = received.Before(life.Fresh)
	f.entry, f.kept = e, h
	c.renew(f, e, h)
	c.finish(f)
}
