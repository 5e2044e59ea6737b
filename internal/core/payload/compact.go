package payload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"watertight/internal/core/change"
	"watertight/internal/core/payload/internal/segment"
	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// extent is a blob that lies in a segment and is needed.
type extent struct {
	name string
	size int64
	at   segment.Place
}

// compact moves what is needed out of a segment, and removes the segment. After a crash, it
// begins again: a blob whose record of its new place is not durable is still needed here.
// A segment that does not hold what records say is left as it is: parts of its file may be
// older, or another segment's, and the right ones may be put back.
func (s *Store) compact(ctx context.Context, number uint32, now time.Time, p *prover, t *Tidied) error {
	if err := s.segments.Verify(number); err != nil { // its extents may be another segment's
		return err
	}
	s.segments.Moving(number)
	needed, err := s.needed(ctx, number)
	if err != nil {
		return err
	}
	var live int64
	for _, x := range needed {
		live += segment.Units(x.size)
	}
	s.segments.Counted(number, live)
	if !s.segments.Worth(number) { // the survey counted too little
		return nil
	}
	if err := s.checkAll(number, needed); err != nil { // before one of them is moved
		return err
	}
	var wrong error // why an extent stays
	for len(needed) > 0 {
		n := batch(needed)
		right, why, err := s.proved(ctx, needed[:n], p)
		if err == nil {
			err = s.move(ctx, right, t)
		}
		if err != nil {
			return err
		}
		wrong = cmp.Or(wrong, why)
		needed = needed[n:]
	}
	if wrong != nil {
		return errLeft(number, wrong)
	}
	if needed, err = s.needed(ctx, number); err != nil || len(needed) > 0 {
		return errors.Join(err, errNeeded(number, len(needed)))
	}
	return s.retire(ctx, number, now, t)
}

// checkAll returns an error if an extent that is needed has not its own header.
func (s *Store) checkAll(number uint32, needed []extent) error {
	for _, x := range needed {
		if err := s.segments.Check(x.at, x.name); err != nil {
			return errLeft(number, err)
		}
	}
	return nil
}

func errLeft(number uint32, err error) error {
	return fmt.Errorf("payload: segment %d is not compacted until its file is right: %w", number, err)
}

func errNeeded(number uint32, n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("payload: %d extents of segment %d are needed after all were moved", n, number)
}

// moveBlobs and moveBytes bound what one transaction moves.
const (
	moveBlobs = 128
	moveBytes = 4 << 20
)

// batch returns how many extents to move at once.
func batch(all []extent) (n int) {
	size := int64(0)
	for n < len(all) && n < moveBlobs && (n == 0 || size+all[n].size <= moveBytes) {
		size += all[n].size
		n++
	}
	return n
}

// needed returns the extents of a segment that records name: those that were written there
// first and not moved since, and those that were moved there.
func (s *Store) needed(ctx context.Context, number uint32) (all []extent, err error) {
	add := func(r kv.Reader, name string) error {
		_, size, ok := segment.Parse(name)
		if !ok {
			return malformed()
		}
		at, err := placeOf(r, name)
		if err == nil && at.Segment == number {
			all = append(all, extent{name, size, at})
		}
		return err
	}
	prefix := segment.Prefix(number)
	err = s.names(ctx, ReferencePrefix+prefix, func(r kv.Reader, rest string, _ []byte) error {
		return add(r, prefix+rest)
	})
	if err != nil {
		return nil, err
	}
	first := segment.Place{Segment: number}.String()[:len(prefix)-1]
	err = s.names(ctx, placedPrefix+first, func(r kv.Reader, _ string, value []byte) error {
		name, err := decodeName(value)
		if err != nil {
			return err
		}
		if p, _, _ := segment.Parse(name); p.Segment == number {
			return nil // it was moved away and back: the loop above found it
		}
		if b, err := r.Get(referenceKey(name)); b == nil || err != nil {
			return err
		}
		return add(r, name)
	})
	return all, err
}

// move copies extents and writes their places.
func (s *Store) move(ctx context.Context, all []extent, t *Tidied) error {
	pace := limit.NewPace(s.tidying.rate)
	var to []*segment.Writer
	abort := func(err error) error {
		for _, w := range to {
			w.Abort()
		}
		return err
	}
	for _, x := range all {
		w, err := s.copyExtent(x)
		if err == nil {
			to = append(to, w)
			err = pace.Wait(ctx, x.size)
		}
		if err != nil {
			return abort(err)
		}
	}
	if err := segment.CommitAll(to); err != nil {
		return err
	}
	var kept []bool
	err := change.Background(ctx, s.records, "blobs are moved to another segment", func(tx kv.Tx) (err error) {
		kept, err = replace(tx, all, to)
		return err
	})
	if errors.Is(err, kv.ErrUnknown) {
		return err // the copies may be needed: their segment stays until the next start
	}
	for i, x := range all {
		if err != nil || !kept[i] {
			_ = s.segments.Drop(to[i].Place(), x.size) // without the mark, the extent counts as left by a crash
			continue
		}
		s.segments.Settle(to[i].Place(), x.size)
		_ = s.segments.Free(x.at, x.name)
		t.Moved, t.Bytes = t.Moved+1, t.Bytes+x.size
		s.tidying.moved.Add(1)
		s.tidying.movedBytes.Add(uint64(x.size))
	}
	return err
}

func (s *Store) copyExtent(x extent) (_ *segment.Writer, err error) {
	b, err := s.segments.Open(x.at, x.name, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	w, err := s.segments.Append(x.name)
	if err != nil {
		return nil, err
	}
	if err := w.Copy(b); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// replace writes where extents are now. It leaves out those that were removed, or moved by
// somebody else, in the meantime.
func replace(tx kv.Tx, all []extent, to []*segment.Writer) (kept []bool, err error) {
	kept = make([]bool, len(all))
	for i, x := range all {
		b, err := tx.Get(referenceKey(x.name))
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		at, err := placeOf(tx, x.name)
		if err != nil {
			return nil, err
		}
		if kept[i] = at == x.at; kept[i] {
			tx.Delete(placedKey(x.at))
			setPlace(tx, x.name, to[i].Place())
		}
	}
	return kept, nil
}

// explained is what records say about the extents in the file of a segment.
type explained struct {
	needed []segment.Extent // they are needed there, or there only
	stray  []segment.Extent // neither a mark nor a record explains them
}

// explain asks the records about the extents in the file of a segment. After a crash there
// may be some that nothing explains. Many of them show that the records are older than the
// segment. An extent that records name somewhere else is needed if it is not found there.
func (s *Store) explain(
	ctx context.Context, extents iter.Seq2[segment.Extent, error],
) (all explained, err error) {
	var some []segment.Extent
	look := func() error {
		return s.records.View(ctx, func(r kv.Reader) error {
			for _, x := range some {
				if err := s.judge(r, x, &all); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for x, err := range extents {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return all, err
		}
		if some = append(some, x); len(some) == surveyBatch {
			if err := look(); err != nil {
				return all, err
			}
			some = some[:0]
		}
	}
	return all, look()
}

func (s *Store) judge(r kv.Reader, x segment.Extent, all *explained) error {
	b, err := r.Get(referenceKey(x.Name))
	if err != nil {
		return err
	}
	if b == nil {
		if !x.Freed {
			all.stray = append(all.stray, x)
		}
		return nil
	}
	at, err := placeOf(r, x.Name)
	if err != nil {
		return err
	}
	if at == x.Place || s.segments.Check(at, x.Name) != nil { // whatever its mark says
		all.needed = append(all.needed, x)
	}
	return nil
}

// retire removes a segment of which nothing is needed, or sets it aside with what nothing
// explains.
func (s *Store) retire(ctx context.Context, number uint32, now time.Time, t *Tidied) error {
	all, err := s.explain(ctx, s.segments.Extents(number))
	if err != nil {
		return err
	}
	if n := len(all.needed); n > 0 {
		return errLeft(number, errNeeded(number, n))
	}
	s.mu.Lock() // so that no backup begins meanwhile
	defer s.mu.Unlock()
	switch {
	case s.held: // a backup needs it: the next call tries again
		return nil
	case len(all.stray) > 0:
		err := s.segments.SetAside(number, now, all.stray)
		if err == nil {
			t.SetAside++
		}
		return err
	}
	t.Removed++
	s.tidying.removed.Add(1)
	return s.segments.Remove(number)
}

// forgetPlaces removes the records of the places of blobs that were removed.
func (s *Store) forgetPlaces(ctx context.Context, names []string) error {
	const some = 256
	for len(names) > 0 {
		now := names[:min(some, len(names))]
		names = names[len(now):]
		err := change.Background(ctx, s.records, "places of removed blobs are forgotten", func(tx kv.Tx) error {
			for _, name := range now {
				b, err := tx.Get(referenceKey(name))
				if err != nil {
					return err
				}
				at, ok, err := movedTo(tx, name)
				if err != nil {
					return err
				}
				if b == nil && ok {
					tx.Delete(movedKey(name))
					tx.Delete(placedKey(at))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
