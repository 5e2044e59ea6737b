package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"time"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/storage/folder"
)

// Usage is the room that segments take, in bytes.
type Usage struct {
	Segments int
	Bytes    int64 // of all segments
	Live     int64 // of extents that records name, as far as that is known
	Unknown  int64 // of segments that were not surveyed yet
	Punched  int64 // of freed extents whose room was given back since the start
}

// Usage returns the room that segments take.
func (e *Engine) Usage() (u Usage) {
	e.mu.Lock()
	defer e.mu.Unlock()
	u.Segments = len(e.segments)
	for _, s := range e.segments {
		u.Bytes += int64(s.end) * Unit
		u.Punched += s.punched * Unit
		if s.known {
			u.Live += max(s.live, 0) * Unit
		} else {
			u.Unknown += int64(s.end) * Unit
		}
	}
	return u
}

// Units returns how many units a blob with a name takes in a segment.
func Units(size int64) int64 { return int64(units(size)) }

// Surveyed takes how many units of each segment have a record. Segments that are not in the
// map have none.
func (e *Engine) Surveyed(live map[uint32]int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for n, s := range e.segments {
		if !s.known {
			s.live, s.known = live[n]+s.live, true
		}
	}
}

// Counted corrects how many units of a segment have a record.
func (e *Engine) Counted(number uint32, live int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.segments[number]; s != nil {
		s.live, s.known = live, true
	}
}

// Moving notes that extents of a segment may have been moved.
func (e *Engine) Moving(number uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.segments[number]; s != nil {
		s.moving = true
	}
}

// A segment is worth compacting if half of it is dead, or three quarters where the room of
// freed extents was given back already, or if it is one of many that are nearly empty.
const (
	fewUnits  = maxUnits / 8
	manySmall = 8
)

// Worst returns the segments that are worth compacting, the emptiest first. Nothing is
// written into them, and no record that names one of their extents is about to commit.
func (e *Engine) Worst() []uint32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	var half, small []*segment
	for _, s := range e.segments {
		switch {
		case !s.quiet() || !s.known:
		case e.mostlyDead(s):
			half = append(half, s)
		case s.live < fewUnits:
			small = append(small, s)
		}
	}
	if len(small) >= manySmall {
		half = append(half, small...)
	}
	slices.SortFunc(half, func(a, b *segment) int { return int(a.live - b.live) })
	all := make([]uint32, len(half))
	for i, s := range half {
		all[i] = s.number
	}
	return all
}

func (e *Engine) mostlyDead(s *segment) bool {
	used := int64(s.end) - firstUnit
	return s.live*4 <= used || s.live*2 <= used-s.punched
}

// someUnits is how much of the segment that takes extents must be dead before something is done about it.
func (e *Engine) someUnits() int64 { return int64(e.limit) / 8 }

// LeaveDead lets the segment that takes extents take no more if three quarters of it are dead, and
// their room was not given back. It is compacted then; otherwise it would stay until it is full,
// which a full disk never makes it.
func (e *Engine) LeaveDead() {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.current
	if s == nil || !s.known {
		return
	}
	used := int64(s.end) - firstUnit
	if used >= e.someUnits() && (used-s.live-s.punched-s.pending)*4 >= used*3 {
		e.leaveCurrent()
	}
}

// Worth reports whether a segment may still be worth compacting.
func (e *Engine) Worth(number uint32) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.segments[number]
	return s != nil && s.quiet() && (e.mostlyDead(s) || s.live < fewUnits)
}

func (s *segment) quiet() bool { return !s.growing && s.pending == 0 && !s.removed }

// Extents yields the extents of a segment whose headers can be read.
func (e *Engine) Extents(number uint32) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		s, err := e.acquire(number)
		if err != nil {
			yield(Extent{}, err)
			return
		}
		for x, err := range walk(s.file, number) {
			if !yield(x, err) {
				break
			}
		}
		_ = e.release(s) // an error of closing a file that was read
	}
}

// Verify returns an error if a segment's file does not begin with the segment's own header,
// such as when files were exchanged.
func (e *Engine) Verify(number uint32) error {
	s, err := e.acquire(number)
	if err != nil {
		return err
	}
	header := make([]byte, Unit)
	_, err = s.file.ReadAt(header, 0)
	if err == nil && !bytes.Equal(header, segmentHeader(number)) {
		err = fmt.Errorf("segment: the file of segment %d is damaged, or another segment's", number)
	}
	return errors.Join(err, e.release(s))
}

// errBusy is the error for a segment that takes extents.
var errBusy = errors.New("segment: it is in use")

// Remove removes a segment of which no extent is needed. Readers read on.
func (e *Engine) Remove(number uint32) error {
	return e.leave(number, func(path string) error { return e.o.FS.Remove(path) })
}

// SetAside moves a segment to where Open doesn't find it, and records the time. It gives back
// the room of everything but the extents to keep, and those that are being read, if the file
// system can.
func (e *Engine) SetAside(number uint32, now time.Time, keep []Extent) error {
	return e.leave(number, func(path string) error {
		if err := e.empty(e.segments[number], keep); err != nil {
			return err
		}
		if err := e.o.FS.Mkdir(e.o.Aside, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := e.o.FS.Chtimes(path, now, now); err != nil {
			return err
		}
		if err := e.o.FS.Rename(path, e.asidePath(number)); err != nil {
			return err
		}
		return errors.Join(folder.Sync(e.o.FS, e.o.Dir), folder.Sync(e.o.FS, e.o.Aside))
	})
}

// empty gives back the room of all extents but some. The engine's mutex is held, so that no
// reader begins meanwhile.
func (e *Engine) empty(s *segment, keep []Extent) error {
	if err := e.use(s); err != nil {
		return err
	}
	_, err := e.punchOthers(s, s.settled(), keep)
	if s.refs--; s.refs == 0 {
		s.idle = e.idle.PushBack(s)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

func (e *Engine) leave(number uint32, how func(path string) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.segments[number]
	if s == nil {
		return fmt.Errorf("%w: segment %d", blob.ErrNotExist, number)
	}
	if !s.quiet() {
		return errBusy
	}
	if err := how(Path(e.o.Dir, number)); err != nil {
		return err
	}
	delete(e.segments, number)
	s.removed = true
	e.unmark(s, s.marks)
	if s.idle != nil {
		e.idle.Remove(s.idle)
		s.idle = nil
	}
	if s.refs == 0 && s.file != nil {
		return e.shut(s)
	}
	return nil
}

func (e *Engine) asidePath(number uint32) string { return filepath.Join(e.o.Aside, fileName(number)) }

// PutBack undoes SetAside. The error is blob.ErrNotExist if the segment is not aside.
func (e *Engine) PutBack(number uint32) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.segments[number] != nil {
		return nil
	}
	err := e.o.FS.Rename(e.asidePath(number), Path(e.o.Dir, number))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", blob.ErrNotExist, err)
	}
	if err == nil {
		err = errors.Join(folder.Sync(e.o.FS, e.o.Dir), folder.Sync(e.o.FS, e.o.Aside))
	}
	if err != nil {
		return err
	}
	s, err := e.found(number)
	if err == nil {
		s.moving = true
		e.segments[number] = s
	}
	return err
}

// Aside is a segment that was set aside, with the time.
type Aside struct {
	Number uint32
	Since  time.Time
}

// Aside returns the segments that were set aside.
func (e *Engine) Aside() (all []Aside, err error) {
	entries, err := folder.ReadDir(e.o.FS, e.o.Aside)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, f := range entries {
		n, ok := numberOf(f.Name())
		if !ok {
			continue
		}
		info, err := f.Info()
		if err != nil {
			return nil, err
		}
		all = append(all, Aside{n, info.ModTime()})
	}
	return all, nil
}

// AsideExtents is Extents of a segment that was set aside.
func (e *Engine) AsideExtents(number uint32) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) { walkFile(e.o.FS, e.asidePath(number), number, yield) }
}

// Forget removes a segment that was set aside.
func (e *Engine) Forget(number uint32) error { return e.o.FS.Remove(e.asidePath(number)) }

// All yields the extents in all segments of a folder. It skips what can't be read.
func All(files folder.FS, dir string) iter.Seq[Extent] {
	return func(yield func(Extent) bool) {
		entries, _ := folder.ReadDir(files, dir)
		more := true
		for _, f := range entries {
			if n, ok := numberOf(f.Name()); ok && more {
				walkFile(files, Path(dir, n), n, func(x Extent, err error) bool {
					more = err != nil || yield(x)
					return more && err == nil
				})
			}
		}
	}
}

// NameAt returns the name of the blob whose extent begins at a place, or nothing if its
// header can't be read. The error is fs.ErrNotExist if there is no such segment.
func NameAt(files folder.FS, dir string, p Place) (string, error) {
	f, err := folder.Open(files, Path(dir, p.Segment))
	if err != nil {
		return "", err
	}
	var header [headerSize]byte
	_, err = f.ReadAt(header[:], p.Offset()-headerSize)
	name, _, _ := parseExtent(header[:])
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return name, errors.Join(err, f.Close())
}

func walkFile(files folder.FS, path string, number uint32, yield func(Extent, error) bool) {
	f, err := folder.Open(files, path)
	if err != nil {
		yield(Extent{}, err)
		return
	}
	defer f.Close()
	for x, err := range walk(f, number) {
		if !yield(x, err) {
			return
		}
	}
}
