package segment

import (
	"cmp"
	"errors"
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

// punchOthers gives back the room of everything in a segment but some extents, and those that are being read.
func (e *Engine) punchOthers(s *segment, keep []Extent) error {
	for p := range e.reading {
		if p.Segment == s.number {
			keep = append(keep, Extent{Place: p, Size: e.reading[p].size})
		}
	}
	slices.SortFunc(keep, func(a, b Extent) int { return cmp.Compare(a.Unit, b.Unit) })
	from := uint32(firstUnit)
	for _, x := range append(keep, Extent{Place: Place{s.number, max(s.end, s.reserved)}}) {
		if from < x.Unit {
			if err := punch(s.file, from, x.Unit-from); err != nil {
				return err
			}
		}
		from = max(from, x.Unit+units(x.Size))
	}
	return nil
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
