package embedded

import (
	"bytes"
	"iter"
	"slices"

	"watertight/internal/storage/kv"
)

// maxTx bounds the keys and values of one transaction, in bytes.
const maxTx = 64 << 20

// tx records what it reads and writes; nothing is locked while it runs. The
// committer accepts it only if nothing that it read was written in the meantime.
type tx struct {
	reader
	kv.Reads
	relied  relied   // what it depends on besides its own reads
	ops     []*op    // ascending
	guards  [][]byte // the guards that are held Exclusive
	sets    int      // total bytes of the sets
	deletes int
	size    int
	err     error // of a Set or Delete
	buf     []byte
	memory  *txMemory // nil after it was given back
	made    int       // ops of it that are used
	more    []op      // for further ones
	hashes  hashes
	handed  bool // to the committer
	commit  commit
}

// relied is what a witness saw.
type relied struct {
	witness *kv.Witness
	at      uint64
	reads   *kv.Reads
}

// op is a write; value nil is a deletion.
type op struct{ key, value []byte }

func (o *op) compare(key []byte) int { return bytes.Compare(o.key, key) }

// keep copies b, followed by more, into the transaction's memory.
func (t *tx) keep(b []byte, more ...byte) []byte {
	size := len(b) + len(more)
	if size > cap(t.buf)-len(t.buf) {
		t.buf = make([]byte, 0, max(size, min(2*cap(t.buf), keptBuffer), leastBuffer))
	}
	n := len(t.buf)
	t.buf = append(append(t.buf, b...), more...)
	return t.buf[n:len(t.buf):len(t.buf)]
}

func (t *tx) Set(key, value []byte) { t.write(key, value, false) }

func (t *tx) Delete(key []byte) { t.write(key, nil, true) }

func (t *tx) write(key, value []byte, deletion bool) {
	err := checkKey(key)
	if t.ended {
		err = misuse(errEnded)
	}
	t.size += len(key) + len(value)
	if t.size > maxTx {
		err = misuse(errTooLarge)
	}
	if err != nil {
		if t.err == nil {
			t.err = err
		}
		return
	}
	if !deletion {
		if value = t.keep(value); value == nil {
			value = []byte{} // nil is a deletion
		}
	}
	n, found := t.find(key)
	if !found {
		t.ops = slices.Insert(t.ops, n, t.newOp(t.keep(key)))
	} else {
		t.count(t.ops[n], -1)
	}
	t.ops[n].value = value
	t.count(t.ops[n], 1)
}

func (t *tx) count(o *op, sign int) {
	if o.value == nil {
		t.deletes += sign
	} else {
		t.sets += sign * (len(o.key) + len(o.value))
	}
}

func (t *tx) find(key []byte) (int, bool) {
	if n := len(t.ops); n == 0 || t.ops[n-1].compare(key) < 0 {
		return n, false
	}
	return slices.BinarySearchFunc(t.ops, key, (*op).compare)
}

// Lock reads the guard's name, and for Exclusive writes it: two holders of
// which one is Exclusive conflict like any read and write. If a Shared holder
// commits first, an Exclusive one goes on if it read nothing that the other wrote,
// because then it simply comes second.
func (t *tx) Lock(guard []byte, mode kv.Mode) error {
	if _, err := t.pin(); err != nil {
		return err
	}
	name := t.keep([]byte{reserved, 'g'}, guard...)
	t.Points = append(t.Points, name)
	if mode == kv.Exclusive {
		t.guards = append(t.guards, name)
	}
	return nil
}

// Rely implements Tx. The committer compares it with the window of the newest
// commits, whose floor counts as a change.
func (t *tx) Rely(w *kv.Witness) error {
	if _, err := t.pin(); err != nil {
		return err
	}
	of, at, reads := w.Close()
	if of == nil {
		return nil
	}
	if s, ok := of.(*store); s != t.s {
		if ok && t.s.same(s) {
			return unavailable(errReplaced)
		}
		return misuse(errWitness)
	}
	if t.relied.witness != nil && t.relied.witness != w {
		return misuse(errWitnesses)
	}
	t.relied = relied{w, at, reads}
	return nil
}

func (t *tx) Get(key []byte) ([]byte, error) {
	if n, own := t.find(key); own && !t.ended {
		if t.ops[n].value == nil {
			return nil, nil
		}
		return append([]byte{}, t.ops[n].value...), nil
	}
	v, err := t.reader.Get(key)
	if err == nil {
		t.Points = append(t.Points, t.keep(key))
	}
	return v, err
}

// Same is kv.Same.
func (t *tx) Same(key, value []byte) (bool, error) {
	v, err := t.Get(key)
	return err == nil && v != nil && bytes.Equal(v, value), err
}

// Scan merges the state with the transaction's own writes, whose Commit is 0.
func (t *tx) Scan(from, to []byte) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		from, none, err := scanFrom(from, to)
		if none {
			return
		}
		c, err := t.cursor(err)
		if err != nil {
			yield(kv.Pair{}, err)
			return
		}
		defer t.put(c)
		m := merge{t: t, c: c, to: to, own: slices.Clone(from), seen: kv.Span{From: t.keep(from)}}
		if to != nil {
			m.seen.To = t.keep(to)
		}
		defer func() { t.Spans = append(t.Spans, m.seen) }()
		m.run(yield)
	}
}

// merge is a scan over a state and a transaction's own writes, which may change during the scan.
type merge struct {
	t    *tx
	c    *cursor
	to   []byte
	own  []byte // where the next own write may be
	seen kv.Span
}

func (m *merge) run(yield func(kv.Pair, error) bool) {
	ok := m.c.it.Seek(m.own, m.to)
	for {
		own := m.nextOwn()
		var p kv.Pair
		var err error
		stored := false
		switch {
		case !ok && own == nil:
			if err := m.c.it.Err(); err != nil {
				yield(kv.Pair{}, broken(m.own, err))
			}
			return
		case own != nil && (!ok || own.compare(m.c.it.Key()) <= 0):
			if ok && own.compare(m.c.it.Key()) == 0 {
				ok = m.c.it.Next()
			}
			m.pass(own.key)
			if own.value == nil {
				continue
			}
			p = kv.Pair{Key: own.key, Value: own.value}
		default:
			p, err = m.t.pair(m.c)
			stored = true
		}
		if !yield(p, err) || err != nil {
			m.stop(p.Key, err)
			return
		}
		if stored {
			if len(m.t.ops) > 0 {
				m.pass(p.Key)
			}
			ok = m.c.it.Next()
		}
	}
}

// nextOwn returns the first own write that the scan has not passed.
func (m *merge) nextOwn() *op {
	if len(m.t.ops) == 0 {
		return nil
	}
	n, _ := m.t.find(m.own)
	if n == len(m.t.ops) || m.to != nil && m.t.ops[n].compare(m.to) >= 0 {
		return nil
	}
	return m.t.ops[n]
}

func (m *merge) pass(key []byte) { m.own = append(append(m.own[:0], key...), 0) }

// stop reduces the range that counts as read to what was visited.
func (m *merge) stop(key []byte, err error) {
	if err == nil {
		m.seen.To = m.t.keep(append(slices.Clone(key), 0))
	}
}
