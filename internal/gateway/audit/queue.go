package audit

import (
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// Bounds of what waits in memory for the writer.
const (
	wakeBytes  = 1 << 20 // from here the writer does not wait for its second
	queueBytes = 8 << 20
	patience   = 100 * time.Millisecond // that a request waits for room
)

// queue holds the events that changed nothing until the writer takes them.
type queue struct {
	mu     sync.Mutex
	buf    []byte // as appendEvent writes them
	count  int
	lost   span
	room   chan struct{} // closed when the writer takes the events
	sick   bool          // the writer's last write failed: do not wait for it
	closed bool
}

// span counts things between two instants.
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

// push appends an event and reports whether the writer should be woken. Where
// there is no room it waits a moment for a healthy writer, then counts the
// event as lost: a full disk must not stop reads.
func (q *queue) push(json []byte) (wake bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.buf)+eventHeader+len(json) > queueBytes {
		q.wait(len(json))
	}
	if q.closed || len(q.buf)+eventHeader+len(json) > queueBytes {
		q.lost.add(time.Now())
		return false
	}
	q.buf = appendEvent(q.buf, 0, json)
	q.count++
	return len(q.buf) >= wakeBytes
}

// wait lets go of the lock until there is room for n bytes, the writer fails
// or patience ends.
func (q *queue) wait(n int) {
	t := time.NewTimer(patience)
	defer t.Stop()
	for len(q.buf)+eventHeader+n > queueBytes && !q.sick && !q.closed {
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
			q.mu.Lock()
		case <-t.C:
			q.mu.Lock()
			return
		}
	}
}

// take gives all events and the count of lost ones, and uses spare as the next
// buffer.
func (q *queue) take(spare []byte) (buf []byte, count int, lost span) {
	q.mu.Lock()
	defer q.mu.Unlock()
	buf, count, lost = q.buf, q.count, q.lost
	q.buf, q.count, q.lost = spare[:0], 0, span{}
	q.signal()
	return buf, count, lost
}

func (q *queue) signal() {
	close(q.room)
	q.room = make(chan struct{})
}

// health tells requests whether waiting for the writer is worth it.
func (q *queue) health(sick bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sick = sick
	if sick {
		q.signal()
	}
}

// close counts everything that still comes as lost.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// strangersRate is how many failed requests of strangers a second are written
// one by one.
const strangersRate = 50

// strangers counts failed requests that nobody answers for, so that they
// cannot fill the disk.
type strangers struct {
	mu      sync.Mutex
	second  int64
	written int
	refused span
	codes   tally
	sources tally
}

// admit reports whether an event of this instant is written on its own;
// otherwise it has been counted.
func (s *strangers) admit(now time.Time, code string, source netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if second := now.Unix(); second != s.second {
		s.second, s.written = second, 0
	}
	if s.written < strangersRate {
		s.written++
		return true
	}
	s.refused.add(now)
	s.codes.add(code)
	s.sources.add(source.WithZone("").String())
	return false
}

// take returns the details of a StrangersRefused event, or nil: there is one a
// second at most, and one at the end.
func (s *strangers) take(now time.Time, end bool) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused.count == 0 || !end && now.Sub(s.refused.first) < time.Second {
		return nil
	}
	w := s.refused.details()
	s.codes.write(w, "errorCodes")
	s.sources.write(w, "sourceIPAddresses")
	s.refused, s.codes, s.sources = span{}, nil, nil
	return append(w.b, '}')
}

// details begins the serviceEventDetails of a count.
func (s *span) details() *object {
	w := &object{b: []byte{'{'}, text: strangerText}
	w.number("count", int64(s.count))
	w.instant("first", s.first)
	w.instant("last", s.last)
	return w
}

// tally counts by name; the names past a bound are counted as "other".
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
