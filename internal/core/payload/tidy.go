package payload

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"watertight/internal/core/change/record"
	"watertight/internal/core/payload/internal/segment"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Blobs in segments that lost their records leave room that nothing uses. The extents that
// are still needed are copied into another segment, and then the segment is removed. Records
// decide what is needed: no damage of a segment can make a needed extent look free.

// tidying is the state of the compaction of segments.
type tidying struct {
	sync.Mutex                     // one at a time
	rate       int64               // bytes that are copied in a second
	surveyed   bool                // the room that is not used is known
	total      int                 // blobs in segments at the last survey
	skip       map[uint32]struct{} // segments that could not be compacted

	moved, movedBytes, removed atomic.Uint64
}

// Tidied counts what Tidy did.
type Tidied struct {
	Moved    int   // blobs that were copied into another segment
	Bytes    int64 // their bytes
	Removed  int   // segments that were removed
	SetAside int   // segments that were set aside, because no record explains some extents
	PutBack  int   // segments that were set aside, and are needed
	Kept     int   // blobs in segments set aside that are too many to remove without the operator's decision
}

// Segments is the room that segments take, and what was done about it since the start.
type Segments struct {
	Segments       int
	Bytes          int64 // of all segments
	Dead           int64 // of these, the bytes that no record needs, as far as that is known
	Moved          uint64
	MovedBytes     uint64
	Removed, Syncs uint64
}

// Segments returns the room that segments take.
func (s *Store) Segments() (n Segments) {
	if s.segments == nil {
		return n
	}
	u := s.segments.Usage()
	n = Segments{Segments: u.Segments, Bytes: u.Bytes, Dead: max(0, u.Bytes-u.Live-u.Unknown-u.Punched)}
	n.Moved, n.MovedBytes = s.tidying.moved.Load(), s.tidying.movedBytes.Load()
	n.Removed, n.Syncs = s.tidying.removed.Load(), s.segments.Syncs()
	return n
}

// tidyRate is the rate of a server.
const tidyRate = 32 << 20

// Tidy gives back the room of blobs that were removed from segments. It may run beside
// traffic. It copies at a limited rate, and nothing while a backup runs. An error of one
// segment does not keep it from the others.
func (s *Store) Tidy(ctx context.Context, now time.Time) (Tidied, error) {
	return s.tidy(ctx, now, nil)
}

func (s *Store) tidy(ctx context.Context, now time.Time, p *prover) (t Tidied, err error) {
	if s.segments == nil {
		return t, nil
	}
	s.tidying.Lock()
	defer s.tidying.Unlock()
	if !s.tidying.surveyed {
		if err := s.survey(ctx); err != nil {
			return t, err
		}
		s.tidying.surveyed, s.tidying.skip = true, map[uint32]struct{}{}
	}
	errs := []error{s.segments.SyncMarks(), s.sweepAside(ctx, now, &t), s.giveBackLeft(ctx)}
	errs = append(errs, s.segments.Punch(s.freed()))
	if !s.isHeld() { // while a backup runs, no room is given back, so much looks dead
		s.segments.LeaveDead()
	}
	for _, n := range s.segments.Worst() {
		if _, ok := s.tidying.skip[n]; ok {
			continue
		}
		if s.isHeld() || ctx.Err() != nil {
			break
		}
		if err := s.compact(ctx, n, now, p, &t); err != nil && ctx.Err() == nil {
			if isFull(err) && !errors.Is(err, kv.ErrUnknown) { // what it moved may be needed here
				err = errors.Join(err, s.giveBack(ctx, n))
			} else {
				s.tidying.skip[n] = struct{}{}
			}
			errs = append(errs, err)
		}
	}
	return t, errors.Join(append(errs, ctx.Err())...)
}

// isFull reports whether there was not enough room on the disk.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || fault.Is(err, fault.InsufficientStorage)
}

// giveBackLeft gives back what earlier runs left in the segment that takes extents: room of blobs that were removed
// shortly before a crash, and room that was reserved.
func (s *Store) giveBackLeft(ctx context.Context) error {
	number, ok := s.segments.LeftDead()
	if !ok {
		return nil
	}
	return s.giveBack(ctx, number)
}

// giveBack gives back the room of what nothing needs in a segment, and leaves the rest where it is: a copy would need
// room of its own. What no record explains stays, as when a segment is set aside, and so does a whole segment that does
// not hold what records say.
func (s *Store) giveBack(ctx context.Context, number uint32) error {
	end := s.segments.ToGive(number)
	if end == 0 {
		return nil
	}
	if err := s.segments.Verify(number); err != nil {
		return err
	}
	needed, err := s.needed(ctx, number)
	if err != nil {
		return err
	}
	if err := s.checkAll(number, needed); err != nil {
		return err
	}
	all, err := s.explain(ctx, s.segments.Extents(number))
	if err != nil {
		return err
	}
	keep := append(all.needed, all.stray...)
	for _, x := range needed {
		keep = append(keep, segment.Extent{Place: x.at, Name: x.name, Size: x.size})
	}
	s.mu.Lock() // so that no backup begins meanwhile
	defer s.mu.Unlock()
	if s.held { // the next call tries again
		return nil
	}
	return s.segments.GiveBack(number, end, keep)
}

// freed returns the extents whose room can be given back: none while a backup may need them.
func (s *Store) freed() segment.Freed {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		return segment.Freed{}
	}
	return s.segments.Freed()
}

// surveyBatch is how many records are read in one view.
const surveyBatch = 1024

// names calls fn for the records whose keys begin with prefix, in views of bounded size.
func (s *Store) names(ctx context.Context, prefix string, fn func(r kv.Reader, rest string, value []byte) error) error {
	from, end := []byte(prefix), record.After([]byte(prefix))
	for from != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := from
		from = nil
		err := s.records.View(ctx, func(r kv.Reader) error {
			n := 0
			for p, err := range r.Scan(start, end) {
				if err != nil {
					return err
				}
				if n++; n > surveyBatch {
					from = bytes.Clone(p.Key)
					return nil
				}
				if err := fn(r, strings.Clone(string(p.Key[len(prefix):])), p.Value); err != nil {
					return err
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

// survey counts what is needed of each segment, and removes records of places whose blobs
// were removed.
func (s *Store) survey(ctx context.Context) error {
	live, total := map[uint32]int64{}, 0
	err := s.names(ctx, ReferencePrefix+"s", func(_ kv.Reader, rest string, _ []byte) error {
		if p, size, ok := segment.Parse("s" + rest); ok {
			live[p.Segment] += segment.Units(size)
			total++
		}
		return nil
	})
	if err != nil {
		return err
	}
	var stale []string
	err = s.names(ctx, movedPrefix, func(r kv.Reader, name string, value []byte) error {
		first, size, ok := segment.Parse(name)
		if !ok {
			return malformed()
		}
		s.segments.Moving(first.Segment)
		at, err := decodePlace(value)
		if err != nil {
			return err
		}
		needed, err := r.Get(referenceKey(name))
		if err != nil {
			return err
		}
		if needed == nil {
			if len(stale) < maxStale {
				stale = append(stale, name)
			}
			return nil
		}
		live[first.Segment] -= segment.Units(size)
		live[at.Segment] += segment.Units(size)
		return nil
	})
	if err != nil {
		return err
	}
	s.segments.Surveyed(live)
	s.tidying.total = total
	return s.forgetPlaces(ctx, stale)
}

// maxStale bounds the records of places that one survey removes.
const maxStale = 100_000

// Sweeping segments that were set aside follows the rules of Sweep.

// sweepAside puts back segments that are needed, and removes old ones that no record needs,
// unless they hold too many blobs.
func (s *Store) sweepAside(ctx context.Context, now time.Time, t *Tidied) error {
	aside, err := s.segments.Aside()
	if err != nil {
		return err
	}
	var old []uint32
	strays := 0
	for _, a := range aside {
		found, err := s.explain(ctx, s.segments.AsideExtents(a.Number))
		switch {
		case err != nil:
			return err
		case len(found.needed) > 0:
			if err := s.segments.PutBack(a.Number); err != nil {
				return err
			}
			t.PutBack++
		case now.Sub(a.Since) >= Grace:
			old, strays = append(old, a.Number), strays+len(found.stray)
		}
	}
	if strays > max(fewOrphans, s.tidying.total/orphanShare) {
		t.Kept = strays
		return nil
	}
	for _, n := range old {
		if s.isHeld() {
			return nil
		}
		if err := s.segments.Forget(n); err != nil {
			return err
		}
		t.Removed++
	}
	return nil
}
