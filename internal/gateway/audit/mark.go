package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// ErrLost is wrapped by every error for a log that is not the one that the store remembers,
// or not all of it.
var ErrLost = errors.New("audit log is not the one the store remembers")

// mark is what the store remembers of the log: its first frame, and its newest durable one.
type mark struct {
	first  uint64 // number of the oldest file
	from   uint64 // sequence of the oldest frame
	number uint64 // of the newest file
	state  state
}

const (
	markFormat = 1
	markSize   = 1 + 3*8 + 8 + sha256.Size + 8 + 8 + 16
)

// markKey returns the key of the mark in the store.
func markKey() []byte { return []byte("al") }

func (j *journal) mark() mark { return mark{j.first, j.from, j.number, j.state} }

func (m *mark) encode() []byte {
	b := append(make([]byte, 0, markSize), markFormat)
	for _, n := range [...]uint64{m.first, m.from, m.number, m.state.sequence} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, m.state.chain[:]...)
	b = binary.BigEndian.AppendUint64(b, m.state.anchor)
	b = binary.BigEndian.AppendUint64(b, m.state.moved.commit)
	return append(b, m.state.moved.id[:]...)
}

func decodeMark(b []byte) (mark, error) {
	if len(b) != markSize || b[0] != markFormat {
		return mark{}, errors.New("audit: what the store remembers of the log is of no format this program knows")
	}
	n := func(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	return mark{first: n(1), from: n(9), number: n(17), state: state{
		sequence: n(25), chain: [sha256.Size]byte(b[33:65]), anchor: n(65), moved: position{n(73), [16]byte(b[81:97])},
	}}, nil
}

// recall reads the mark; found is false if the store has none.
func recall(ctx context.Context, store kv.Store) (m mark, found bool, err error) {
	err = store.View(ctx, func(r kv.Reader) error {
		v, err := r.Get(markKey())
		if err != nil || v == nil {
			return err
		}
		found = true
		m, err = decodeMark(v)
		return err
	})
	return m, found, err
}

// agree compares the log with what the store remembers. An error that wraps ErrLost or
// ErrDamaged says what is missing.
func (j *journal) agree(m mark, found bool, durable uint64) error {
	if j.broken != nil {
		return j.broken
	}
	if !found {
		return j.unremembered(durable)
	}
	switch {
	case m.number == 0: // remembered before its first frame
		return nil
	case j.number == 0:
		return j.lost("there is no log in %s; the store remembers its frame %d in %s", j.dir, m.state.sequence,
			fileName(m.number))
	case j.first > m.number:
		return j.lost("the log in %s begins with %s; the store remembers %s as the newest", j.dir, fileName(j.first),
			fileName(m.number))
	case j.state.sequence < m.state.sequence && j.damage != nil:
		return j.damage
	case j.state.sequence < m.state.sequence:
		return j.lost("the log in %s ends with frame %d in %s; the store remembers frame %d in %s: its end was cut "+
			"off, or an older log was put back",
			j.dir, j.state.sequence, fileName(j.number), m.state.sequence, fileName(m.number))
	}
	chain, err := j.chainAt(m.state.sequence, m.number)
	if err != nil {
		return err
	}
	if chain != m.state.chain {
		return j.lost(
			"frame %d of the log in %s is not the one that the store remembers: another log was put in its place",
			m.state.sequence, j.dir,
		)
	}
	return nil
}

// unremembered checks a log of which the store remembers nothing: either both are new, or
// the log is older than this mechanism.
func (j *journal) unremembered(durable uint64) error {
	switch {
	case j.number == 0 && durable == 0:
		return nil
	case j.number == 0:
		return j.lost("there is no log in %s, and the store has %d commits", j.dir, durable)
	case j.format >= markedFormat && j.state.sequence > 0:
		return j.lost("the store remembers nothing of the log in %s", j.dir)
	}
	return nil
}

func (j *journal) lost(format string, args ...any) error {
	return fmt.Errorf("audit: %w: %s", ErrLost, fmt.Sprintf(format, args...))
}

// chainAt returns the hash of a frame in the log. number is the file in which it was the
// newest frame.
func (j *journal) chainAt(sequence, number uint64) (chain [sha256.Size]byte, err error) {
	if before := j.state.sequence + 1 - uint64(len(j.chains)); sequence >= before {
		return j.chains[sequence-before], nil
	}
	w := walker{fsys: j.fsys, wrap: j.wrap, whole: true, opening: true}
	for n := max(number, j.first); n < j.number; n++ {
		if err := w.file(j.dir, n, false); err != nil {
			return chain, err
		}
	}
	if sequence >= w.from && sequence-w.from < uint64(len(w.chains)) {
		chain = w.chains[sequence-w.from]
	}
	return chain, nil
}

// remember writes the mark. If the store has no space or is behind, the old mark stays: it
// is then out of date, but still true.
func (w *writer) remember(ctx context.Context) error {
	m := w.journal.mark()
	err := w.store.Update(ctx, func(tx kv.Tx) error {
		tx.Set(markKey(), m.encode())
		return nil
	})
	if full(err) || slow(err) {
		return nil
	}
	if err == nil {
		w.own++
		w.remembered(m)
	}
	return err
}

// slow reports whether the store is behind with its writes.
func slow(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && f.Code == fault.SlowDown
}

func full(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && f.Kind == fault.KindFull
}

// Head is the newest frame of a log that its store remembers.
type Head struct {
	Frame uint64            // its sequence number; 0 is none
	File  uint64            // number of the file that contains it
	Chain [sha256.Size]byte // its hash
}

// Head returns the newest frame that the store remembers, once the log is attached.
func (l *Log) Head() Head {
	if h := l.head.Load(); h != nil {
		return *h
	}
	return Head{}
}

// Has refuses a log that does not contain the frame h, as far as its files are still there.
// The log must not be attached yet.
func (l *Log) Has(h Head) error { return l.journal.has(h) }

// Recall returns a function that answers as Has does now, for later. The log must not be
// attached yet.
func (l *Log) Recall() func(Head) error {
	j := l.journal
	return (&journal{
		fsys: j.fsys, dir: j.dir, wrap: j.wrap, state: j.state, first: j.first, number: j.number,
		chains: slices.Clone(j.chains),
	}).has
}

func (j *journal) has(h Head) error {
	switch {
	case h.Frame == 0 || j.first > h.File:
		return nil
	case j.state.sequence < h.Frame:
		return j.lost("the log in %s ends with frame %d, not %d", j.dir, j.state.sequence, h.Frame)
	}
	chain, err := j.chainAt(h.Frame, h.File)
	if err == nil && chain != h.Chain {
		err = j.lost("frame %d of the log in %s is another one", h.Frame, j.dir)
	}
	return err
}
