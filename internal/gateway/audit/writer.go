package audit

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/policy"
	"watertight/internal/storage/kv"
)

// Limits of one round of the writer.
const (
	movedBytes = 4 << 20
	staleCount = 10_000
)

// writer is the only goroutine that appends to the files.
type writer struct {
	log     *Log
	journal *journal
	store   kv.Store

	batch   []byte // direct events that are not yet in a file
	count   int
	spare   []byte
	scanned uint64 // durable commit at the last complete scan
	backlog bool   // the store may hold events although nothing was committed
	own     uint64 // commits that the writer itself made since the last anchor
	failing bool

	retired time.Time // when the limits were last checked
	closed  uint64    // number of the newest file at that time
	warned  time.Time

	known   mark      // what the store remembers
	knownAt time.Time // when the store was last told
}

// remembered records what the store remembers now.
func (w *writer) remembered(m mark) {
	w.known, w.knownAt = m, time.Now()
	w.log.head.Store(&Head{Frame: m.state.sequence, File: m.number, Chain: m.state.chain})
}

// run writes a frame at least once per interval, or sooner when it is woken, until the log
// is stopped. Then it writes what is left.
func (w *writer) run(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		_, more, err := w.round(ctx, false)
		w.report(err)
		if err == nil && !more {
			w.keepLimits(ctx)
		}
		if more && err == nil {
			select {
			case <-w.log.stop:
			default:
				continue
			}
		}
		wake := w.log.wake
		if err != nil {
			wake = nil // after a failure, only the timer starts the next attempt
		}
		select {
		case <-tick.C:
		case <-wake:
		case <-w.log.stop:
			return w.drain(ctx)
		}
	}
}

// keepLimits applies the limits once a minute, and after a file was closed.
func (w *writer) keepLimits(ctx context.Context) {
	now := time.Now()
	if w.journal.number == w.closed && now.Sub(w.retired) < retireInterval {
		return
	}
	w.retired, w.closed = now, w.journal.number
	if err := w.retire(ctx, now); err != nil {
		w.log.logger.Warn("audit log: its limits are not kept", "error", err)
	}
}

// report logs the first failure and the recovery, not every round.
func (w *writer) report(err error) {
	switch {
	case err != nil && !w.failing:
		w.log.logger.Error("audit writer failed; what it could not write waits", "error", err)
	case err == nil && w.failing:
		w.log.logger.Info("audit writer works again")
	}
	w.failing = err != nil
}

// drain writes what is left and closes the files.
func (w *writer) drain(ctx context.Context) error {
	var err error
	for idle := 0; err == nil && idle < 2; idle++ {
		var did bool
		if did, _, err = w.round(ctx, true); did {
			idle = -1
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	w.log.discard(w.count)
	return errors.Join(err, w.journal.close())
}

// round moves waiting events into one frame, and deletes from the store the events that are
// in the files. It reports whether it did anything, and whether it should be called again
// immediately.
func (w *writer) round(ctx context.Context, end bool) (did, more bool, err error) {
	w.refill(end)
	w.log.changes.Store(0)
	// D is read before the scan, so that the scan sees every commit up to D.
	durable := w.store.Durable()
	var found harvest
	var failed error
	limit := w.movable()
	if limit > 0 && (w.backlog || durable != w.scanned) {
		found, failed = w.scan(ctx, durable, limit)
	}
	found.later = found.later || limit == 0
	if len(found.moved) > 0 || w.count > 0 || durable > w.journal.state.anchor+w.own && !w.journal.low() {
		err := w.journal.append(frame{
			written: time.Now(), anchor: durable, moved: found.moved, direct: w.batch, count: w.count,
		})
		if err != nil {
			w.log.queue.health(true)
			return false, false, errors.Join(err, failed)
		}
		w.own, w.count = 0, 0
		w.spare, w.batch = w.batch[:0], nil
		did = true
	}
	w.journal.hold()
	w.log.queue.written(w.journal.room()/2, w.journal.low())
	if failed != nil {
		return did, false, failed
	}
	if len(found.moved)+len(found.stale) > 0 {
		if err := w.forget(ctx, found); err != nil {
			w.backlog = true
			return did, false, err
		}
		did = true
	}
	w.scanned, w.backlog = durable, found.more || found.later
	// For frames without events of changes, the store is told only from time to time.
	if w.journal.mark() != w.known && (end || time.Since(w.knownAt) >= interval) {
		w.knownAt = time.Now()
		if err := w.remember(ctx); err != nil {
			return did, false, err
		}
	}
	return did, found.more, nil
}

// movable returns how many bytes of events may be moved out of the store. Events are safe
// in the store; on a full disk, the space is needed for events that are nowhere else.
func (w *writer) movable() int {
	if w.journal.file == nil {
		return movedBytes
	}
	spare := w.journal.room() - int64(len(w.batch)) - w.log.queue.owed()
	if spare < 64<<10 || w.journal.low() {
		return 0
	}
	return int(min(spare/2, movedBytes))
}

// refill takes the events that wait in memory, and the counts of those that could not wait.
// After a failure, the last batch is tried again first.
func (w *writer) refill(end bool) {
	if w.count > 0 {
		return
	}
	var lost span
	w.batch, w.count, lost = w.log.queue.take(w.spare)
	w.spare = nil
	if lost.count > 0 {
		w.log.logger.Error("audit events lost", "count", lost.count)
		w.service("EventsLost", append(lost.details().b, '}'))
	}
	if w.journal.low() {
		return // they continue to be counted
	}
	strangers, keys := w.log.refusals.take(time.Now(), end)
	if strangers != nil {
		w.service("StrangersRefused", strangers)
	}
	if keys != nil {
		w.service("KeysRefused", keys)
	}
}

// service adds an event of the log itself.
func (w *writer) service(name string, details []byte) {
	const source = "audit.watertight"
	e := Event{
		Identity:  Identity{Principal: &policy.Principal{Kind: policy.Service, Name: source}},
		Operation: action.OperationOf(source, name), Time: time.Now(), details: details,
	}
	w.batch = appendEvent(w.batch, 0, e.appendJSON(nil, randomID(), w.log.region))
	w.count++
}

// forget deletes events that are in the files, and makes the store remember the newest
// frame. If the store has no space for that, forget still deletes.
func (w *writer) forget(ctx context.Context, found harvest) error {
	m := w.journal.mark()
	err := w.store.Update(ctx, func(tx kv.Tx) error {
		found.delete(tx)
		tx.Set(markKey(), m.encode())
		return nil
	})
	if err == nil {
		w.remembered(m)
	}
	if full(err) {
		err = w.store.Update(ctx, func(tx kv.Tx) error {
			found.delete(tx)
			return nil
		})
	}
	if err == nil {
		w.own++
	}
	return err
}

func (h *harvest) delete(tx kv.Tx) {
	keys := make([]byte, 0, keySize*(len(h.stale)+len(h.moved)))
	one := func(id [16]byte) {
		start := len(keys)
		keys = append(append(keys, prefix...), id[:]...)
		tx.Delete(keys[start:len(keys):len(keys)])
	}
	for _, id := range h.stale {
		one(id)
	}
	for _, e := range h.moved {
		one(e.at.id)
	}
}

// harvest is the result of one scan of the store.
type harvest struct {
	moved []entry    // the first events, in order
	stale [][16]byte // events that are in the files already
	more  bool       // there are more events than one round takes
	later bool       // there are commits that were not known to be durable
}

// scan collects the first durable events, in the order of commits, and those that earlier
// rounds moved but could not delete.
func (w *writer) scan(ctx context.Context, durable uint64, limit int) (harvest, error) {
	var found harvest
	var first earliest
	err := w.store.View(ctx, func(r kv.Reader) error {
		found, first = harvest{}, earliest{limit: limit}
		for p, err := range r.Scan([]byte(prefix), []byte(after)) {
			if err != nil {
				return err
			}
			if len(p.Key) != keySize {
				return errors.New("audit: the store holds a foreign key among the events")
			}
			at := position{p.Commit, [16]byte(p.Key[len(prefix):])}
			switch {
			case at.compare(w.journal.state.moved) <= 0:
				if len(found.stale) == staleCount {
					found.more = true
					continue
				}
				found.stale = append(found.stale, at.id)
			case p.Commit > durable:
				found.later = true
			default:
				first.offer(at, p.Value)
			}
		}
		return nil
	})
	if err != nil {
		return harvest{}, err
	}
	slices.SortFunc(first.heap, func(a, b entry) int { return a.at.compare(b.at) })
	found.moved = first.heap
	found.more = found.more || first.full
	return found, nil
}

// earliest keeps the first of many events, whatever order they come in, within a limit of
// bytes. No event is missing between those that it keeps.
type earliest struct {
	heap  latestFirst // a heap from the moment on at which the limit is reached
	room  []byte      // for copies of values, until then
	bytes int
	limit int
	full  bool
	end   position // if full, nothing from this position on is kept
}

// roomSize is how many bytes of values have one piece of memory.
const roomSize = 256 << 10

// offer copies the value if it keeps it.
func (f *earliest) offer(at position, value []byte) {
	if f.full && at.compare(f.end) >= 0 {
		return
	}
	f.bytes += len(value) + eventHeader
	switch {
	case f.full:
		heap.Push(&f.heap, entry{at, slices.Clone(value)})
	case f.bytes <= f.limit:
		f.heap = append(f.heap, entry{at, f.copy(value)})
		return
	default:
		f.heap = append(f.heap, entry{at, slices.Clone(value)})
		heap.Init(&f.heap)
	}
	for f.bytes > f.limit && len(f.heap) > 1 {
		last := heap.Pop(&f.heap).(entry)
		f.bytes -= len(last.json) + eventHeader
		f.full, f.end = true, last.at
	}
}

func (f *earliest) copy(value []byte) []byte {
	if len(value) > cap(f.room)-len(f.room) {
		f.room = make([]byte, 0, max(len(value), roomSize))
	}
	start := len(f.room)
	f.room = append(f.room, value...)
	return f.room[start:len(f.room):len(f.room)]
}

// latestFirst is a heap with the latest event on top.
type latestFirst []entry

func (h latestFirst) Len() int           { return len(h) }
func (h latestFirst) Less(i, j int) bool { return h[i].at.compare(h[j].at) > 0 }
func (h latestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *latestFirst) Push(x any)        { *h = append(*h, x.(entry)) }
func (h *latestFirst) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	*h = (*h)[:last]
	return e
}
