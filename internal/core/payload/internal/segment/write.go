package segment

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/storage/folder"
)

// Writer writes one extent. Commit makes it durable, together with others.
type Writer struct {
	engine  *Engine
	segment *segment
	place   Place
	name    string
	size, n int64
	past    folder.File // writes past the system's cache; nil if these don't
	headed  bool        // the header is written, or the first bytes
}

// Create starts a blob of so many bytes under a new name. Until Settle or Free, its segment
// is not compacted.
func (e *Engine) Create(size int64) (*Writer, error) { return e.create("", size) }

// Append starts a copy of a blob that is in another segment, under the same name.
func (e *Engine) Append(name string) (*Writer, error) {
	_, size, ok := Parse(name)
	if !ok {
		return nil, fmt.Errorf("segment: %q is not the name of a blob in a segment", name)
	}
	return e.create(name, size)
}

func (e *Engine) create(name string, size int64) (*Writer, error) {
	if size < 0 || size > MaxSize {
		return nil, fmt.Errorf("segment: a blob of %d bytes", size)
	}
	for {
		w, err := e.take(units(size))
		if err != nil {
			return nil, err
		}
		if w == nil {
			if err := e.grow(); err != nil {
				return nil, err
			}
			continue
		}
		w.name, w.size = name, size
		if name == "" {
			w.name = makeName(w.place, size)
		}
		if err = w.begin(); err != nil {
			w.Abort()
			return nil, err
		}
		return w, nil
	}
}

// take gives units of the current segment. It returns nil if there is none, or it is full.
func (e *Engine) take(n uint32) (*Writer, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.current
	if s == nil {
		return nil, nil
	}
	at, ok := s.take(n)
	if !ok {
		e.leaveCurrent()
		return nil, nil
	}
	if err := e.use(s); err != nil {
		s.give(run{at, n})
		return nil, err
	}
	s.pending += int64(n)
	return &Writer{engine: e, segment: s, place: Place{s.number, at}, past: e.usePast(s)}, nil
}

// leaveCurrent lets the current segment take no more extents. The mutex is held.
func (e *Engine) leaveCurrent() {
	e.current.growing, e.current.free = false, nil
	e.current = nil
}

func (s *segment) take(n uint32) (at uint32, ok bool) {
	if s.failed {
		return 0, false
	}
	for i := range s.free {
		r := &s.free[i]
		if r.n < n {
			continue
		}
		at = r.at
		if r.at, r.n = r.at+n, r.n-n; r.n == 0 {
			s.free = append(s.free[:i], s.free[i+1:]...)
		}
		return at, true
	}
	if s.end+n > s.limit {
		return 0, false
	}
	s.end += n
	return s.end - n, true
}

// maxRuns bounds the aborted extents that are remembered.
const maxRuns = 256

// give takes units back that nothing names.
func (s *segment) give(r run) {
	if r.at+r.n == s.end {
		s.end = r.at
		for i := 0; i < len(s.free); i++ {
			if f := s.free[i]; f.at+f.n == s.end {
				s.end = f.at
				s.free = append(s.free[:i], s.free[i+1:]...)
				i = -1
			}
		}
		return
	}
	if s.growing && len(s.free) < maxRuns {
		s.free = append(s.free, r)
	}
}

// grow makes a new segment and lets it take extents.
func (e *Engine) grow() (err error) {
	e.making.Lock()
	defer e.making.Unlock()
	e.mu.Lock()
	used, done := uint32(0), e.current != nil
	for n := range e.segments {
		used = max(used, n)
	}
	e.mu.Unlock()
	if done {
		return nil
	}
	if err := e.prepare(); err != nil {
		return err
	}
	number, err := e.o.Number(used)
	if err != nil {
		return err
	}
	path := Path(e.o.Dir, number)
	f, err := e.o.FS.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(append(segmentHeader(number), make([]byte, Unit)...), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = folder.Sync(e.o.FS, e.o.Dir)
	}
	e.syncs.Add(2)
	if err != nil {
		return errors.Join(err, f.Close(), e.o.FS.Remove(path))
	}
	s := &segment{
		number: number, file: f, growing: true, end: firstUnit, reserved: firstUnit, known: true, limit: e.limit,
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.idle = e.idle.PushBack(s)
	e.segments[number], e.current = s, s
	return nil
}

// prepare makes the folder of segments if it is missing.
func (e *Engine) prepare() error {
	return folder.Make(e.o.FS, e.o.Dir, 0o700)
}

// begin reserves room for the extent.
func (w *Writer) begin() error {
	if err := w.engine.ensure(w.segment, w.place.Unit+units(w.size), w.size); err != nil {
		return err
	}
	return w.engine.mark(w.segment, w.place.Unit, false)
}

// head writes the extent's header, unless the first bytes are written with it.
func (w *Writer) head() error {
	if w.headed {
		return nil
	}
	w.headed, w.past = true, nil // blobs begin behind the beginning of a unit
	_, err := w.segment.file.WriteAt(extentHeader(w.name, w.size), w.place.Offset()-headerSize)
	return err
}

// reserveStep is how many units are reserved at a time.
const reserveStep = 8 << 20 / Unit

// ensure reserves room on the disk up to a unit, so that a full disk fails before the bytes
// are written. A file system that can't reserve room is not an error.
func (e *Engine) ensure(s *segment, to uint32, size int64) error {
	s.reserve.Lock()
	defer s.reserve.Unlock()
	if to <= s.reserved {
		return nil
	}
	next := min(max(to, s.reserved+reserveStep), s.limit)
	if !e.o.Room.Take(int64(next-s.reserved) * Unit) {
		if next = to; !e.o.Room.Take(int64(next-s.reserved) * Unit) {
			return unix.ENOSPC
		}
	}
	err := s.file.Allocate(int64(s.reserved)*Unit, int64(next-s.reserved)*Unit)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return err
	}
	if err := s.file.Truncate(int64(next) * Unit); err != nil { // syncs then need not write the size
		return err
	}
	s.reserved = next
	return nil
}

// Name returns the blob's name.
func (w *Writer) Name() string { return w.name }

// Place returns where the blob is written.
func (w *Writer) Place() Place { return w.place }

var errLength = errors.New("segment: a blob of another length than announced")

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > w.size-w.n {
		return 0, errLength
	}
	if err := w.head(); err != nil {
		return 0, err
	}
	if err := w.put(p); err != nil {
		return 0, err
	}
	w.n += int64(len(p))
	return len(p), nil
}

// Commit makes the blob durable. After an error, its extent is free again.
func (w *Writer) Commit() error {
	err := errLength
	if w.n == w.size {
		if err = w.head(); err == nil {
			err = w.engine.durable(w.segment)
		}
	}
	if err != nil {
		w.Abort()
		return err
	}
	return w.engine.release(w.segment)
}

// Abort gives the extent back.
func (w *Writer) Abort() {
	// Without the mark, the extent counts as left by a crash.
	_ = w.engine.mark(w.segment, w.place.Unit, true)
	err := w.unhead()
	e := w.engine
	e.mu.Lock()
	w.segment.pending -= int64(units(w.size))
	if err == nil {
		w.segment.give(run{w.place.Unit, units(w.size)})
	}
	e.mu.Unlock()
	_ = e.release(w.segment) // an error of closing a file that is not needed
}

// group is a number of commits that share a sync.
type group struct {
	size int // commits
	done chan struct{}
	err  error
}

var errSyncFailed = errors.New("segment: an earlier sync failed")

// durable makes what a writer wrote durable. A sync that fails may lose what others have written, and the system says
// so only once: a later one succeeds without those bytes. So once a sync failed, no extent of the segment is certain.
func (e *Engine) durable(s *segment) error {
	if err := e.sync(s); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.failed {
		return fmt.Errorf("%w: segment %d", errSyncFailed, s.number)
	}
	return nil
}

// sync makes everything durable that was written into a segment before. Calls share syncs:
// those that come while one runs wait for the next one, which one of them makes.
func (e *Engine) sync(s *segment) error {
	s.group.Lock()
	g, leads := s.next, s.next == nil
	if leads {
		g = &group{done: make(chan struct{})}
		s.next = g
	}
	g.size++
	s.group.Unlock()
	if !leads {
		<-g.done
		return g.err
	}
	s.syncing.Lock()
	s.group.Lock()
	s.next = nil // later commits may have written after this sync began
	s.group.Unlock()
	e.syncs.Add(1)
	marks := e.unsyncedMarks(s)
	g.err = s.file.SyncData()
	e.mu.Lock()
	e.unmark(s, min(marks, s.marks)) // there are none if it was removed meanwhile
	if g.err != nil {                // it is not known what a failed sync wrote, so nothing more is written here
		s.failed = true
	}
	e.mu.Unlock()
	s.syncing.Unlock()
	close(g.done)
	return g.err
}

// mark sets or clears the bit that says that an extent is free.
func (e *Engine) mark(s *segment, unit uint32, freed bool) error {
	s.bits.Lock()
	defer s.bits.Unlock()
	var b [1]byte
	at := int64(Unit + unit/8)
	if _, err := s.file.ReadAt(b[:], at); err != nil {
		return err
	}
	was, bit := b[0], byte(1)<<(unit%8)
	if b[0] &^= bit; freed {
		b[0] |= bit
	}
	if b[0] == was {
		return nil
	}
	_, err := s.file.WriteAt(b[:], at)
	if err == nil && freed {
		e.noteMark(s)
	}
	return err
}

// Settle must be called after the record that names the blob is durable.
func (e *Engine) Settle(p Place, size int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.segments[p.Segment]; s != nil {
		s.pending -= int64(units(size))
		if s.known {
			s.live += int64(units(size))
		}
	}
}

// Drop frees an extent that was committed and that no record will name.
func (e *Engine) Drop(p Place, size int64) error {
	err := e.free(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.segments[p.Segment]; s != nil {
		s.pending -= int64(units(size))
	}
	return err
}

// Free frees an extent whose record was deleted. Its bytes stay until Punch gives back the
// room, or until the segment is compacted, so readers read on.
func (e *Engine) Free(p Place, name string) error {
	_, size, ok := Parse(name)
	if !ok {
		return fmt.Errorf("segment: %q is not the name of a blob in a segment", name)
	}
	err := e.free(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.segments[p.Segment]; s != nil {
		s.live -= int64(units(size))
		if len(e.freed) < maxFreed && !e.solid {
			e.freed = append(e.freed, extent{p, name, units(size)})
		}
	}
	return err
}

func (e *Engine) free(p Place) error {
	s, err := e.acquire(p.Segment)
	if errors.Is(err, blob.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = errors.Join(e.mark(s, p.Unit, true), e.release(s))
	if e.manyMarks() {
		err = errors.Join(err, e.SyncMarks())
	}
	return err
}

// CommitAll is Commit for many writers, with one sync for each segment. After an error, the
// extents of all are free again.
func CommitAll(all []*Writer) error {
	var synced []*segment
	for _, w := range all {
		err := errLength
		if w.n == w.size {
			err = nil
			if !slices.Contains(synced, w.segment) {
				err = w.engine.durable(w.segment)
				synced = append(synced, w.segment)
			}
		}
		if err != nil {
			for _, w := range all {
				w.Abort()
			}
			return err
		}
	}
	var errs []error
	for _, w := range all {
		errs = append(errs, w.engine.release(w.segment))
	}
	return errors.Join(errs...)
}
