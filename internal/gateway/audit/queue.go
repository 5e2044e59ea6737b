package audit

import (
	"context"
	"strconv"
	"sync"
	"time"

	"watertight/internal/fault"
)

// Limits of what waits in memory for the writer.
const (
	wakeBytes    = 1 << 20 // more than this wakes the writer before the interval ends
	queueBytes   = 8 << 20
	refusedShare = 4                      // share of the queue for the events of refused requests: one part in four
	patience     = 100 * time.Millisecond // how long a request that is answered anyway waits for space
	admitTime    = 5 * time.Second        // how long a read waits before it is answered
	stuckTime    = 5 * time.Second        // a write that takes longer counts as failed
)

// queue holds the events of requests that changed nothing until the writer has written
// them. A read is admitted before it is answered, and space for its event is promised: in
// memory, and in what the log has reserved on the disk.
type queue struct {
	mu       sync.Mutex
	buf      []byte // encoded by appendEvent
	count    int
	refused  int       // bytes of buf that belong to refused requests
	promised int       // bytes promised to reads that were admitted and are not finished
	writing  int       // bytes that the writer has taken and not written yet
	began    time.Time // when it took them
	capacity int       // bytes that the log has space for
	lost     span
	room     chan struct{} // closed when there may be space
	low      bool          // the space that is left is only for reads
	sick     bool          // the writer's last write failed, so waiting is useless
	closed   bool
}

// span counts events between two times.
type span struct {
	count       uint64
	first, last time.Time
}

func (s *span) add(now time.Time) {
	if s.count == 0 {
		s.first = now
	}
	s.count++
	s.last = now
}

// used returns the bytes that are used or promised.
func (q *queue) used() int { return len(q.buf) + q.promised + q.writing }

// stuck reports whether the writer makes no progress.
func (q *queue) stuck() bool {
	return q.sick || q.writing > 0 && time.Since(q.began) >= stuckTime
}

// admit promises space for the event of a read. If there is none, or the writer makes no
// progress, it waits, and then refuses: a read that cannot be recorded is not answered.
func (q *queue) admit(ctx context.Context, n int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	free := func() bool { return q.used()+n <= q.capacity && !q.stuck() }
	if !free() && !q.wait(ctx.Done(), admitTime, free) {
		return fault.New(fault.ServiceUnavailable,
			"The audit log has no room for what you ask for. Please try again later.")
	}
	q.promised += n
	return nil
}

// push appends an event and reports whether the writer should be woken. An admitted read
// has space for its event. If there is no space for another event, push waits a moment if
// the writer makes progress, and then counts the event as lost.
func (q *queue) push(json []byte, promised int) (wake bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := eventHeader + len(json)
	free := func() bool { return q.used()+n <= q.capacity }
	if q.closed ||
		promised == 0 && !free() && (q.sick || !q.wait(nil, patience, func() bool {
			return free() ||
				q.sick
		}) || !free()) {
		q.lost.add(time.Now())
		return false
	}
	q.promised -= promised
	return q.append(json)
}

// pushRefused appends the event of a refused request if their share of the queue has space.
func (q *queue) pushRefused(json []byte) (ok, wake bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := eventHeader + len(json)
	if q.closed || q.low || q.refused+n > q.capacity/refusedShare || q.used()+n > q.capacity {
		return false, false
	}
	q.refused += n
	return true, q.append(json)
}

func (q *queue) append(json []byte) (wake bool) {
	q.buf = appendEvent(q.buf, 0, json)
	q.count++
	return len(q.buf) >= wakeBytes
}

// release returns promised space.
func (q *queue) release(promised int) {
	if promised == 0 {
		return
	}
	q.mu.Lock()
	q.promised -= promised
	if q.used()+promised > q.capacity {
		q.signal()
	}
	q.mu.Unlock()
}

// wait releases the lock until done returns true. It returns false if that took too long.
func (q *queue) wait(end <-chan struct{}, longest time.Duration, done func() bool) bool {
	t := time.NewTimer(longest)
	defer t.Stop()
	for !done() {
		if q.closed {
			return false
		}
		room := q.room
		q.mu.Unlock()
		timely := true
		select {
		case <-room:
		case <-t.C:
			timely = false
		case <-end:
			timely = false
		}
		q.mu.Lock()
		if !timely {
			return false
		}
	}
	return true
}

// take returns all events and the count of lost ones, and uses spare as the next buffer.
// The events take space until written is called.
func (q *queue) take(spare []byte) (buf []byte, count int, lost span) {
	q.mu.Lock()
	defer q.mu.Unlock()
	buf, count, lost = q.buf, q.count, q.lost
	q.buf, q.count, q.lost, q.refused = spare[:0], 0, span{}, 0
	q.writing, q.began = len(buf), time.Now()
	return buf, count, lost
}

// written reports that what was taken is in the file, and how many bytes the log still has
// space for.
func (q *queue) written(room int64, low bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing, q.sick, q.low = 0, false, low
	q.capacity = int(min(room, queueBytes))
	q.signal()
}

// owed returns how many bytes may be needed for events other than those that are being written.
func (q *queue) owed() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int64(q.used() - q.writing)
}

func (q *queue) signal() {
	close(q.room)
	q.room = make(chan struct{})
}

// health tells requests whether waiting for the writer is useful.
func (q *queue) health(sick bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sick = sick
	q.signal()
}

// close makes the queue count all further events as lost.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// details begins the serviceEventDetails of a count.
func (s *span) details() *object {
	w := &object{b: []byte{'{'}, text: detailText, value: detailText, members: membersLimit}
	w.number("count", int64(s.count))
	w.instant("first", s.first)
	w.instant("last", s.last)
	return w
}

// tally counts by name. Above a limit of names, it counts further ones as "other".
type tally map[string]uint64

const tallyNames = 16

func (t *tally) add(name string) {
	if *t == nil {
		*t = tally{}
	}
	if _, ok := (*t)[name]; !ok && len(*t) >= tallyNames {
		name = "other"
	}
	(*t)[name]++
}

func (t tally) write(w *object, member string) {
	w.begin(member)
	for name, n := range t {
		w.param(Param{Name: name, Value: strconv.FormatUint(n, 10)}, nil)
	}
	w.end()
}
