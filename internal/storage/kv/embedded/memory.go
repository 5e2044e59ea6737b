package embedded

import (
	"context"
	"sync"
)

// txMemory is memory that transactions use one after the other. A transaction gives it back
// only when no other goroutine can use it any more.
type txMemory struct {
	points, guards [][]byte
	ops            []*op
	made           [16]op // the usual number
	hashes         []uint64
	buf            []byte
	done           chan error
}

// What is kept between transactions, so that a large one does not hold its memory.
const (
	leastBuffer = 1 << 10
	keptBuffer  = 64 << 10 // bytes
	keptSlices  = 1 << 10  // elements
	moreOps     = 64       // that are made at once when the usual number is used up
)

// memories keeps txMemory.
type memories struct{ sync.Pool }

func (m *memories) get() *txMemory {
	if t, ok := m.Get().(*txMemory); ok {
		return t
	}
	return &txMemory{done: make(chan error, 1)}
}

// newTx returns a transaction on the newest applied state.
func (s *store) newTx(ctx context.Context) *tx {
	m := s.memories.get()
	t := &tx{reader: reader{s: s, ctx: ctx, source: &s.applied, changes: true}, memory: m}
	t.Points, t.guards, t.ops, t.buf = m.points, m.guards, m.ops, m.buf
	t.commit.tx, t.commit.done = t, m.done
	return t
}

// end ends the transaction, whose memory stays with the committer if it may still know it.
func (t *tx) end() {
	t.reader.end()
	if t.memory != nil && !t.handed {
		t.free()
	}
}

// free gives the memory back. The committer must not know the transaction any more.
func (t *tx) free() {
	m := t.memory
	m.points, m.guards, m.ops = emptied(t.Points), emptied(t.guards), emptied(t.ops)
	clear(m.made[:t.made])
	m.hashes = emptied(t.hashes.all)
	if m.buf = t.buf[:0]; cap(m.buf) > keptBuffer {
		m.buf = nil
	}
	t.Points, t.guards, t.ops, t.buf, t.hashes, t.memory = nil, nil, nil, nil, hashes{}, nil
	t.s.memories.Put(m)
}

// emptied returns s without elements, or nil if it is too large to be kept.
func emptied[T any](s []T) []T {
	clear(s)
	if cap(s) > keptSlices {
		return nil
	}
	return s[:0]
}

// newOp returns a write in the transaction's memory.
func (t *tx) newOp(key []byte) *op {
	if t.memory == nil {
		return &op{key: key}
	}
	if t.made < len(t.memory.made) {
		o := &t.memory.made[t.made]
		t.made++
		o.key = key
		return o
	}
	if len(t.more) == 0 {
		t.more = make([]op, moreOps)
	}
	o := &t.more[0]
	t.more = t.more[1:]
	o.key = key
	return o
}

// hashes are those of what a transaction wrote and read.
type hashes struct {
	all                    []uint64
	writes, points, relied []uint64 // parts of all
}

// hash computes the hashes before the committer needs them: it is alone, transactions are not.
func (t *tx) hash() {
	h := &t.hashes
	h.all = t.memory.hashes
	for _, o := range t.ops {
		h.all = append(h.all, t.s.opened.hash(o.key))
	}
	for _, g := range t.guards {
		h.all = append(h.all, t.s.opened.hash(g))
	}
	writes := len(h.all)
	for _, p := range t.Points {
		h.all = append(h.all, t.s.opened.hash(p))
	}
	points := len(h.all)
	if t.relied.reads != nil {
		for _, p := range t.relied.reads.Points {
			h.all = append(h.all, t.s.opened.hash(p))
		}
	}
	h.writes, h.points, h.relied = h.all[:writes], h.all[writes:points], h.all[points:]
}
