package audit

import "time"

// Stats says how far the writer is behind.
type Stats struct {
	Waiting  int           // events that the writer has not taken yet
	Bytes    int           // of them and of those that are being written, as they wait
	Capacity int           // bytes that may wait
	Writing  time.Duration // how long the current write takes; 0 if there is none
	Lost     uint64        // events that there was no room for, since the last count was written
	Failing  bool          // the last write failed
}

// Stats returns how far the writer is behind.
func (l *Log) Stats() Stats {
	q := &l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	s := Stats{
		Waiting: q.count, Bytes: len(q.buf) + q.writing, Capacity: q.capacity, Lost: q.lost.count, Failing: q.sick,
	}
	if q.writing > 0 {
		s.Writing = time.Since(q.began)
	}
	return s
}
