package segment

import (
	"cmp"
	"errors"
	"iter"
	"slices"

	"watertight/internal/storage/folder"
)

// extent is a blob's extent that was freed.
type extent struct {
	Place
	name string
	n    uint32
}

// maxFreed bounds the freed extents that are remembered. The room of others comes back when
// their segment is compacted.
const maxFreed = 1 << 16

// Freed returns the extents that were freed, for Punch, and forgets them.
func (e *Engine) Freed() (all Freed) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all.extents, e.freed = e.freed, nil
	return all
}

// Freed are extents that were freed.
type Freed struct{ extents []extent }

// Punch gives back the room of freed extents, unless they are being read: those are tried
// again the next time. It does nothing if the file system can't, and leaves an extent alone
// whose header is not its blob's: the file may be another segment's.
func (e *Engine) Punch(all Freed) error {
	var errs []error
	for i, x := range all.extents {
		s := e.beginPunch(x)
		if s == nil {
			continue
		}
		own := s.holds(x.Place, x.name)
		var err error
		if own {
			err = punch(s.file, x.Unit, x.n)
		}
		e.mu.Lock()
		delete(e.punching, x.Place)
		if own && err == nil {
			s.punched += int64(x.n)
		}
		e.solid = errors.Is(err, errors.ErrUnsupported)
		e.mu.Unlock()
		errs = append(errs, e.release(s))
		if err != nil {
			if !errors.Is(err, errors.ErrUnsupported) {
				errs = append(errs, err)
			}
			e.later(all.extents[i:]...)
			break
		}
	}
	return errors.Join(errs...)
}

// punch gives back the room of n units. The error is errors.ErrUnsupported if the file system
// can't.
func punch(f folder.File, unit, n uint32) error {
	p, ok := f.(folder.Puncher)
	if !ok {
		return errors.ErrUnsupported
	}
	return p.Punch(int64(unit)*Unit, int64(n)*Unit)
}

// punchOthers gives back the room of everything in a range of units but some extents, and those that are being read. It
// returns of how many units. The mutex is held.
func (e *Engine) punchOthers(s *segment, in run, keep []Extent) (n int64, err error) {
	for p := range e.reading {
		if p.Segment == s.number {
			keep = append(keep, Extent{Place: p, Size: e.reading[p].size})
		}
	}
	for r := range between(in, keep) {
		if err := punch(s.file, r.at, r.n); err != nil {
			return n, err
		}
		n += int64(r.n)
	}
	return n, nil
}

// between yields what is left of a range of units without some extents. It sorts them.
func between(in run, extents []Extent) iter.Seq[run] {
	return func(yield func(run) bool) {
		slices.SortFunc(extents, func(a, b Extent) int { return cmp.Compare(a.Unit, b.Unit) })
		from, end := in.at, in.end()
		for _, x := range extents {
			if to := min(x.Unit, end); from < to && !yield(run{from, to - from}) {
				return
			}
			from = max(from, x.Unit+units(x.Size))
		}
		if from < end {
			yield(run{from, end - from})
		}
	}
}

// settled returns the units of a segment in which nothing is written any more, such as what a crash left. The mutex is
// held.
func (s *segment) settled() run {
	end := max(s.old, firstUnit)
	if s.quiet() {
		end = max(s.end, s.reserved, firstUnit)
	}
	return run{firstUnit, end - firstUnit}
}

// LeftDead returns the segment that takes extents if it was found at the start with much room that nothing needs, and
// GiveBack did not look at it. A full segment of this kind is compacted.
func (e *Engine) LeftDead() (number uint32, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.current
	if s == nil || !s.known || !e.canGive(s) || int64(s.old)-firstUnit-s.live < e.someUnits() {
		return 0, false
	}
	return s.number, true
}

// ToGive returns the first unit of a segment that may still be written, or 0 if GiveBack looked at everything below it.
// What is to be kept must be asked after ToGive: a segment may be left meanwhile, with extents that nobody asked about.
func (e *Engine) ToGive(number uint32) uint32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.segments[number]
	if s == nil || !e.canGive(s) {
		return 0
	}
	return s.settled().end()
}

func (e *Engine) canGive(s *segment) bool { return !e.solid && s.given < s.settled().end() }

// GiveBack gives back the room of everything in a segment below a unit that ToGive returned, but the extents to
// keep. It leaves those alone that are being read, and looks at each place once.
func (e *Engine) GiveBack(number, end uint32, keep []Extent) error {
	s, err := e.acquire(number)
	if err != nil {
		return err
	}
	e.mu.Lock()
	done := e.solid || s.given >= end
	s.given = max(s.given, end)
	e.mu.Unlock()
	if done {
		return e.release(s)
	}
	total := int64(0)
	for r := range between(run{firstUnit, end - firstUnit}, keep) { // others may write in the meantime
		e.mu.Lock()
		n, perr := e.punchOthers(s, r, nil)
		e.mu.Unlock()
		if total += n; perr != nil {
			err = perr
			break
		}
	}
	e.mu.Lock()
	s.punched = max(s.punched, total)
	e.solid = e.solid || errors.Is(err, errors.ErrUnsupported)
	e.mu.Unlock()
	if errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, e.release(s))
}

// beginPunch opens the segment of an extent that nobody reads, and keeps readers out.
func (e *Engine) beginPunch(x extent) *segment {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.segments[x.Segment]
	if s == nil || e.use(s) != nil {
		return nil
	}
	if e.reading[x.Place].n > 0 {
		s.refs-- // the reader has a use of its own
		if len(e.freed) < maxFreed {
			e.freed = append(e.freed, x)
		}
		return nil
	}
	e.punching[x.Place] = struct{}{}
	return s
}

func (e *Engine) later(all ...extent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.solid {
		e.freed = append(e.freed, all[:min(len(all), maxFreed-len(e.freed))]...)
	}
}
