package embedded

import (
	"bytes"
	"context"
	"iter"
	"sync/atomic"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/engine"
)

// reader reads one state, pinned at the first read. It is for one goroutine.
type reader struct {
	s       *store
	ctx     context.Context
	source  *atomic.Pointer[state]
	at      *state
	idle    []*cursor
	scratch []byte // of a store of an older format
	ended   bool
	witness *kv.Witness // records what is read; nil in a transaction
	changes bool        // it is a transaction's, which often reads what does not exist
}

// cursor is an iterator that counts its steps.
type cursor struct {
	it    engine.Iterator
	steps uint
}

func (r *reader) pin() (*state, error) {
	if r.ended {
		return nil, misuse(errEnded)
	}
	if r.at == nil {
		r.at = acquire(r.source)
		if r.witness != nil {
			r.witness.Begin(r.s, r.at.commit)
		}
	}
	return r.at, nil
}

func (r *reader) end() {
	r.ended = true
	r.closeIdle()
	if r.at != nil {
		if err := r.at.release(); err != nil {
			r.s.log.Warn("kv: closing a snapshot", "err", err)
		}
	}
}

func (r *reader) closeIdle() {
	for _, c := range r.idle {
		if err := c.it.Close(); err != nil {
			r.s.log.Warn("kv: closing an iterator", "err", err)
		}
	}
	r.idle = nil
}

func (r *reader) Get(key []byte) ([]byte, error) {
	v, hash, known, err := r.look(key)
	if err != nil {
		return nil, err
	}
	if known {
		return bytes.Clone(v), nil // nil stays nil, and an empty value stays empty
	}
	return r.search(key, hash)
}

// Same is kv.Same.
func (r *reader) Same(key, value []byte) (bool, error) {
	v, hash, known, err := r.look(key)
	if err == nil && !known {
		v, err = r.search(key, hash)
	}
	return err == nil && v != nil && bytes.Equal(v, value), err
}

// look records that key is read, and returns the value if it is cached. The value is shared.
func (r *reader) look(key []byte) (value []byte, hash uint64, known bool, err error) {
	if err := checkKey(key); err != nil {
		return nil, 0, false, err
	}
	st, err := r.pin()
	if err != nil {
		return nil, 0, false, err
	}
	if r.witness != nil {
		r.witness.Point(key)
	}
	hash = r.s.opened.hash(key)
	value, known = r.s.opened.find(hash, key, st.commit)
	return value, hash, known, nil
}

// search reads key in the engine.
func (r *reader) search(key []byte, hash uint64) ([]byte, error) {
	if r.changes {
		return r.find(key, hash)
	}
	stored, done, err := r.at.snap.Get(key)
	if err != nil {
		return nil, broken(key, err)
	}
	if done != nil {
		defer done.Close()
	}
	return r.found(key, hash, stored)
}

// find reads key with an iterator, which is used for the next key again.
func (r *reader) find(key []byte, hash uint64) ([]byte, error) {
	c, err := r.cursor(nil)
	if err != nil {
		return nil, err
	}
	defer r.put(c)
	var stored []byte
	if c.it.Find(key) {
		stored, err = c.it.Value()
	} else {
		err = c.it.Err()
	}
	if err != nil {
		return nil, broken(key, err)
	}
	return r.found(key, hash, stored)
}

// found returns a copy of the value in what is stored, which is nil for no record.
func (r *reader) found(key []byte, hash uint64, stored []byte) ([]byte, error) {
	st := r.at
	if stored == nil {
		r.s.opened.keep(hash, key, nil, st.commit)
		return nil, nil
	}
	v, _, err := r.s.value(key, stored, st.commit, &r.scratch)
	if err != nil {
		return nil, broken(key, err)
	}
	v = bytes.Clone(v) // an empty value is not nil
	r.s.opened.keep(hash, key, v, st.commit)
	return v, nil
}

func (r *reader) Scan(from, to []byte) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		from, none, err := scanFrom(from, to)
		if none {
			return
		}
		c, err := r.cursor(err)
		if err != nil {
			yield(kv.Pair{}, err)
			return
		}
		defer r.put(c)
		if r.witness != nil {
			r.witness.Span(from, to)
		}
		for ok := c.it.Seek(from, to); ok; ok = c.it.Next() {
			p, err := r.pair(c)
			if !yield(p, err) || err != nil {
				return
			}
		}
		if err := c.it.Err(); err != nil {
			yield(kv.Pair{}, broken(from, err))
		}
	}
}

// scanFrom returns where a scan starts, after the reserved keys, and whether it is
// empty.
func scanFrom(from, to []byte) (start []byte, none bool, err error) {
	switch {
	case len(from) == 0:
		from = []byte{reserved + 1}
	case from[0] == reserved:
		return nil, false, misuse(errReserved)
	}
	return from, to != nil && bytes.Compare(from, to) >= 0, nil
}

// cursor returns an iterator that no other scan is using.
func (r *reader) cursor(err error) (*cursor, error) {
	if err != nil {
		return nil, err
	}
	st, err := r.pin()
	if err != nil {
		return nil, err
	}
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	if n := len(r.idle); n > 0 {
		c := r.idle[n-1]
		r.idle = r.idle[:n-1]
		return c, nil
	}
	it, err := st.snap.Iterator()
	if err != nil {
		return nil, broken(nil, err)
	}
	return &cursor{it: it}, nil
}

func (r *reader) put(c *cursor) {
	r.idle = append(r.idle, c)
	if r.ended { // the scan goes on after its transaction ended
		r.closeIdle()
	}
}

// pair returns the record at c. It is valid until c moves.
func (r *reader) pair(c *cursor) (kv.Pair, error) {
	const askEvery = 256
	if c.steps++; c.steps%askEvery == 0 {
		if err := r.ctx.Err(); err != nil {
			return kv.Pair{}, err
		}
	}
	key := c.it.Key()
	stored, err := c.it.Value()
	if err != nil {
		return kv.Pair{Key: key}, broken(key, err)
	}
	v, commit, err := r.s.value(key, stored, r.at.commit, &r.scratch)
	if err != nil {
		return kv.Pair{Key: key}, broken(key, err)
	}
	return kv.Pair{Key: key, Value: v, Commit: commit}, nil
}
