package kv

import (
	"context"
	"sync"
)

// Witness is a context that remembers what Views under it read, and of which
// state, so that a later transaction can stand on it without reading it again
// (see Tx.Rely).
type Witness struct {
	context.Context

	mu     sync.Mutex
	s      *store
	at     uint64 // the oldest state that was read
	closed bool   // a transaction relies on it
	reads
	buf   []byte
	first [6][]byte // room for the usual number of points and their keys
	room  [256]byte
}

type witnessKey struct{}

// Witnessed returns ctx with a witness.
func Witnessed(ctx context.Context) *Witness {
	w := &Witness{Context: ctx}
	w.points, w.buf = w.first[:0], w.room[:0]
	return w
}

// Value implements context.Context.
func (w *Witness) Value(key any) any {
	if key == (witnessKey{}) {
		return w
	}
	return w.Context.Value(key)
}

type readerKey struct{}

// Through returns a context whose Views read what r reads: what a transaction
// must depend on is read through it. It is for as long as r is.
func Through(ctx context.Context, r Reader) context.Context {
	return context.WithValue(ctx, readerKey{}, r)
}

// begin names the state that is read from now on.
func (w *Witness) begin(s *store, at uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if w.s == nil || at < w.at {
		w.at = at
	}
	w.s = s
}

func (w *Witness) point(key []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.points = append(w.points, w.keep(key))
	}
}

func (w *Witness) span(from, to []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	s := span{from: w.keep(from)}
	if to != nil {
		s.to = w.keep(to)
	}
	w.spans = append(w.spans, s)
}

func (w *Witness) keep(b []byte) []byte {
	if len(b) > cap(w.buf)-len(w.buf) {
		w.buf = make([]byte, 0, max(len(b), 512))
	}
	n := len(w.buf)
	w.buf = append(w.buf, b...)
	return w.buf[n:len(w.buf):len(w.buf)]
}

// close ends the remembering: from now on the committer may look at it. It
// returns whose state was read; nil where nothing was.
func (w *Witness) close() *store {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed = true
		w.settle()
	}
	return w.s
}
