package server

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// reads is what a connection's reads share. net/http sets a deadline seven times for each
// request, and starts a goroutine that reads one byte ahead, to notice that the client has gone.
// Here, a deadline is set only if a read needs it, and only a handler that waits has the
// connection watched.
type reads struct {
	mu      sync.Mutex
	want    time.Time // the deadline; zero means none
	set     time.Time // the one that the connection has, which may be an older one
	waiting bool      // a read is in progress

	ahead   ahead
	body    bool     // the body of a request is read, whose reads are not told from reads ahead
	plain   bool     // a request of plain HTTP/1 is served: a deadline of zero says that its body has ended
	due     *lookout // begins when the body has ended, or net/http no longer reads ahead itself
	early   byte     // what a watch read
	has     bool     // early is the next byte
	leaving bool     // the watch is told to end
}

// ahead is what became of reading ahead since the last read of several bytes.
type ahead uint8

const (
	// aheadDue: the next read of one byte is net/http's read ahead, and gets nothing.
	aheadDue ahead = iota
	// aheadSpared: it got nothing. The next read of one byte is a real one: either a buffer has
	// room for one byte and tries again, or this is the read ahead of a pipelined request.
	aheadSpared
	// aheadReal: reads of one byte are real ones.
	aheadReal
	// aheadEnded: such a read found the end of the stream, and got nothing. The next one gets the end.
	aheadEnded
	// aheadWatched: a watch reads ahead. All other reads are net/http's read ahead.
	aheadWatched
)

// spare reports whether a read gets nothing, because net/http only reads ahead. That is correct
// for whoever reads: a read of no bytes without an error says nothing (io.Reader).
func (r *reads) spare(size int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case size != 1:
		r.ahead = aheadDue
		return false
	case r.body:
		return false
	case r.ahead == aheadDue:
		r.ahead = aheadSpared
		return true
	case r.ahead == aheadSpared:
		r.ahead = aheadReal
	}
	return r.ahead == aheadWatched
}

// ended reports whether a read that found the end of the stream gets nothing. For a pipelined request, net/http reads
// ahead itself, and would end the request: it is watched instead. A buffer with room for one byte tries again.
func (r *reads) ended(size int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if size != 1 || r.body || r.ahead != aheadReal {
		return false
	}
	r.ahead = aheadEnded
	if r.due != nil {
		r.due.begin()
	}
	return true
}

// take moves the byte that a watch read to p.
func (r *reads) take(p []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.has || len(p) == 0 {
		return false
	}
	p[0], r.has = r.early, false
	return true
}

// read reads from the connection with the deadline that was asked for last.
func (g *guest) read(p []byte) (int, error) {
	r := &g.reads
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if sooner(r.want, r.set) || passed(r.set) {
			g.applyLocked()
		}
		r.waiting = true
		r.mu.Unlock()
		n, err := g.Conn.Read(p)
		r.mu.Lock()
		r.waiting = false
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || passed(r.want) {
			return n, err
		}
		g.applyLocked() // an older deadline passed
	}
}

func (g *guest) applyLocked() {
	g.reads.set = g.reads.want
	g.Conn.SetReadDeadline(g.reads.want) // fails if the connection is closed; then reads fail, too
}

// sooner reports whether one deadline ends before another.
func sooner(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }

func passed(deadline time.Time) bool { return !deadline.IsZero() && !deadline.After(time.Now()) }

// SetReadDeadline implements net.Conn. A later deadline takes effect when the older one passes.
func (g *guest) SetReadDeadline(t time.Time) error {
	g.pause.deadline(t)
	r := &g.reads
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case t.IsZero() && r.body && r.plain:
		r.bodyEnded()
	case r.ahead == aheadEnded && !r.plain: // between two requests
		r.ahead = aheadSpared
	}
	r.want = t
	if r.waiting && sooner(t, r.set) {
		g.applyLocked()
	}
	return nil
}

// limitReads sets the deadline of reads at once, for the one in progress, too.
func (g *guest) limitReads(t time.Time) error {
	g.reads.mu.Lock()
	defer g.reads.mu.Unlock()
	g.reads.want, g.reads.set = t, t
	return g.Conn.SetReadDeadline(t)
}

// serves records whether a request with a body is being served, and whether over plain HTTP/1.
func (r *reads) serves(body, plain bool) {
	r.mu.Lock()
	r.body, r.plain, r.due = body, plain, nil
	r.mu.Unlock()
}

// bodyEnded makes the request one without a body. While net/http reads a body over plain HTTP/1, it sets no deadline,
// and patientBody sets none of zero; at the end of the body, net/http sets one of zero before it reads ahead.
func (r *reads) bodyEnded() {
	r.body, r.ahead = false, aheadDue
	if r.due != nil && !r.has {
		r.due.begin()
	}
}

// lookout reads ahead, and calls gone if the client has closed the connection.
type lookout struct {
	guest   *guest
	gone    func()
	stopped chan struct{}
	ended   chan struct{} // nil before it begins
}

// watch starts a watch, at the end of the body if there is one. If net/http reads ahead itself, the watch begins when
// that finds the end of the stream. The caller calls stop, which waits for the end of the watch; nil if there is none.
func (g *guest) watch(gone func()) (stop func()) {
	r := &g.reads
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &lookout{guest: g, gone: gone, stopped: make(chan struct{})}
	switch {
	case r.plain && (r.body || r.ahead == aheadReal):
		r.due = w
	case r.ahead == aheadReal || r.body || r.has:
		return nil
	default:
		w.begin()
	}
	return w.stop
}

// begin starts to read. The mutex of the reads is held.
func (w *lookout) begin() {
	w.guest.reads.ahead = aheadWatched
	w.ended = make(chan struct{})
	go w.run()
}

func (w *lookout) run() {
	defer close(w.ended)
	r := &w.guest.reads
	var b [1]byte
	n, err := w.guest.read(b[:])
	r.mu.Lock()
	r.early, r.has = b[0], n == 1
	left := err != nil && !r.leaving
	r.mu.Unlock()
	if left && errors.Is(err, io.EOF) && w.guest.isCaller() {
		left = w.waits()
	}
	if left {
		w.gone()
	}
}

// halfClosed is how long a caller's request goes on after the client has closed its sending side. It may have gone, or
// wait for the answer: the two look the same until something is written. A stranger's request ends at once.
const halfClosed = 10 * time.Second

// waits waits, and reports whether the request is still being served then.
func (w *lookout) waits() bool {
	t := time.NewTimer(halfClosed)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.stopped:
		return false
	}
}

func (w *lookout) stop() {
	r := &w.guest.reads
	close(w.stopped)
	r.mu.Lock()
	if w.ended == nil {
		r.due = nil
		r.mu.Unlock()
		return
	}
	r.leaving = true
	want := r.want
	r.want = time.Unix(1, 0)
	if r.waiting {
		w.guest.applyLocked()
	}
	r.mu.Unlock()
	<-w.ended
	r.mu.Lock()
	r.leaving, r.want, r.ahead = false, want, aheadSpared
	r.mu.Unlock()
}

// watched is the context of a request of HTTP/1 without TLS. Its connection is watched from the
// moment at which somebody wants to know when it is done, but not before the end of the body.
type watched struct {
	context.Context // net/http's
	guest           *guest
	began           time.Time

	mu    sync.Mutex
	own   context.Context // set by Done
	leave context.CancelFunc
	stop  func() // of the watch, or nil
	ended bool
}

// Done implements context.Context.
func (w *watched) Done() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.own == nil {
		w.own, w.leave = context.WithCancel(w.Context)
		if !w.ended {
			w.stop = w.guest.watch(w.leave)
		}
	}
	return w.own.Done()
}

func (w *watched) inner() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.own != nil {
		return w.own
	}
	return w.Context
}

// soon is how long a request may take whose handler asks again and again whether it is done,
// before its connection is watched.
const soon = 100 * time.Millisecond

// Err implements context.Context.
func (w *watched) Err() error {
	if time.Since(w.began) > soon {
		w.Done()
	}
	return w.inner().Err()
}

// Value implements context.Context. A context that is made from this one finds the one to follow
// by it.
func (w *watched) Value(key any) any { return w.inner().Value(key) }

// end ends the watch. It is called once the handler has returned.
func (w *watched) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.stop != nil {
		w.stop()
	}
	if w.leave != nil {
		w.leave()
	}
}
