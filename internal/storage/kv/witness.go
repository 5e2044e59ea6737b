package kv

import (
	"bytes"
	"context"
	"slices"
	"sort"
	"sync"
)

// Span is the keys with From <= key < To; if To is nil, up to the end.
type Span struct{ From, To []byte }

// Reads is what was read of one state: the keys of records, whether or not they
// exist, and ranges.
type Reads struct {
	Points [][]byte
	Spans  []Span
}

// Settle sorts the spans and joins those that touch.
func (r *Reads) Settle() {
	if len(r.Spans) < 2 {
		return
	}
	slices.SortFunc(r.Spans, func(a, b Span) int { return bytes.Compare(a.From, b.From) })
	out := r.Spans[:1]
	for _, s := range r.Spans[1:] {
		last := &out[len(out)-1]
		switch {
		case last.To == nil:
		case bytes.Compare(s.From, last.To) > 0:
			out = append(out, s)
		case s.To == nil || bytes.Compare(s.To, last.To) > 0:
			last.To = s.To
		}
	}
	r.Spans = out
}

// Covers reports whether a span contains key. Settle must have been called before.
func (r *Reads) Covers(key []byte) bool {
	n := sort.Search(len(r.Spans), func(i int) bool { return bytes.Compare(r.Spans[i].From, key) > 0 })
	return n > 0 && (r.Spans[n-1].To == nil || bytes.Compare(key, r.Spans[n-1].To) < 0)
}

// Witness is a context that records what Views under it read, and in which state, so that a
// later transaction can depend on it without reading it again (see Tx.Rely). Requests are
// authorized under a Witness: what the decision read must be unchanged when the request's
// change commits. Begin, Point, Copies, Span and Close are for implementations of Store.
type Witness struct {
	context.Context

	mu     sync.Mutex
	store  any
	at     uint64 // the oldest state that was read
	closed bool   // a transaction relies on the witness
	reads  Reads
	buf    []byte
	first  [9][]byte // memory for the usual number of points and their keys
	room   [256]byte
}

type witnessKey struct{}

// Witnessed returns ctx with a witness.
func Witnessed(ctx context.Context) *Witness {
	w := &Witness{Context: ctx}
	w.reads.Points, w.buf = w.first[:0], w.room[:0]
	return w
}

// WitnessOf returns the witness of a context, or nil if it has none.
func WitnessOf(ctx context.Context) *Witness {
	w, _ := ctx.Value(witnessKey{}).(*Witness)
	return w
}

// Value implements context.Context.
func (w *Witness) Value(key any) any {
	if key == (witnessKey{}) {
		return w
	}
	return w.Context.Value(key)
}

// Begin records the state that a store reads from now on, by a number that grows
// from state to state. Stores are compared with ==.
func (w *Witness) Begin(store any, at uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if w.store == nil || at < w.at {
		w.at = at
	}
	w.store = store
}

// Recording reports whether what is read under the witness is still recorded.
func (w *Witness) Recording() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.closed
}

// Point adds a record that is read. The key is copied.
func (w *Witness) Point(key []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.reads.Points = append(w.reads.Points, w.keep(key))
	}
}

// Copies adds records that are compared. Their keys are not copied.
func (w *Witness) Copies(records []*Copy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	for _, c := range records {
		w.reads.Points = append(w.reads.Points, c.Key)
	}
}

// Span adds a range that is read. The keys are copied.
func (w *Witness) Span(from, to []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	s := Span{From: w.keep(from)}
	if to != nil {
		s.To = w.keep(to)
	}
	w.reads.Spans = append(w.reads.Spans, s)
}

func (w *Witness) keep(b []byte) []byte {
	if len(b) > cap(w.buf)-len(w.buf) {
		w.buf = make([]byte, 0, max(len(b), 512))
	}
	n := len(w.buf)
	w.buf = append(w.buf, b...)
	return w.buf[n:len(w.buf):len(w.buf)]
}

// Close ends the recording. It returns the store, nil if nothing was read, the
// oldest of the states, and what was read, settled. Nothing changes from then on,
// so the store may use the result while other goroutines hold the context.
func (w *Witness) Close() (store any, at uint64, reads *Reads) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed = true
		w.reads.Settle()
	}
	return w.store, w.at, &w.reads
}

type readerKey struct{}

// Through returns a context whose Views read with r, so that a transaction depends
// on what they read. It is valid for as long as r is.
func Through(ctx context.Context, r Reader) context.Context {
	return context.WithValue(ctx, readerKey{}, r)
}

// ReaderOf returns the reader of Through, or nil.
func ReaderOf(ctx context.Context) Reader {
	r, _ := ctx.Value(readerKey{}).(Reader)
	return r
}
