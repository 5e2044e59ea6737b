package segment

import (
	"errors"

	"watertight/internal/core/payload/internal/blob"
)

// Marks of freed extents are hints, so nobody waits until they are durable. But an extent whose
// mark was lost in a power failure looks as if its record were missing, and many of those are not
// removed without an operator. So only a few marks are not synced at any time.
const fewMarks = 32

// manyMarks reports whether the marks should be synced now.
func (e *Engine) manyMarks() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.marks > fewMarks
}

// unsyncedMarks returns how many marks of a segment are not durable.
func (e *Engine) unsyncedMarks(s *segment) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.marks
}

// noteMark counts a mark that was written.
func (e *Engine) noteMark(s *segment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !s.removed {
		s.marks++
		e.marks++
	}
}

// unmark notes that marks of a segment are durable, or gone with it, or that nothing can make them
// durable. The mutex is held.
func (e *Engine) unmark(s *segment, marks int) {
	s.marks -= marks
	e.marks -= marks
}

// SyncMarks makes the marks of freed extents durable.
func (e *Engine) SyncMarks() error {
	var numbers []uint32
	e.mu.Lock()
	for n, s := range e.segments {
		if s.marks > 0 {
			numbers = append(numbers, n)
		}
	}
	e.mu.Unlock()
	var errs []error
	for _, n := range numbers {
		s, err := e.acquire(n)
		if err == nil {
			err = errors.Join(e.sync(s), e.release(s))
		}
		if !errors.Is(err, blob.ErrNotExist) { // it was removed meanwhile
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
