package segment

import (
	"errors"

	"watertight/internal/storage/folder"
)

// extent is a number of units that begin at a place.
type extent struct {
	Place
	n uint32
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
// again the next time. It does nothing if the file system can't.
func (e *Engine) Punch(all Freed) error {
	var errs []error
	for i, x := range all.extents {
		s := e.beginPunch(x)
		if s == nil {
			continue
		}
		err := errors.ErrUnsupported
		if f, ok := s.file.(folder.Puncher); ok {
			err = f.Punch(int64(x.Unit)*Unit, int64(x.n)*Unit)
		}
		e.mu.Lock()
		delete(e.punching, x.Place)
		if err == nil {
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

// beginPunch opens the segment of an extent that nobody reads, and keeps readers out.
func (e *Engine) beginPunch(x extent) *segment {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.segments[x.Segment]
	if s == nil || e.use(s) != nil {
		return nil
	}
	if e.reading[x.Place] > 0 {
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
