// Package segment keeps many blobs of middle size in few files. A blob is an extent of a
// segment; many extents share the sync that makes them durable. Segments only grow, until
// they are full; the numbers of segments are never used again. The package must never know
// records: its caller says which extents are needed, and moves them.
package segment

import (
	"bytes"
	"container/list"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/storage/folder"
)

// Options say where segments are.
type Options struct {
	FS  folder.FS
	Dir string // must exist before the first blob is created
	// Aside is the folder for segments with extents that no record explains.
	Aside string
	Room  blob.Room
	// Number returns the number of a new segment. It must be durable, so that it is never
	// returned again, and larger than used, the largest number that exists.
	Number func(used uint32) (uint32, error)
	// Units bounds a new segment; 0 is the most there can be.
	Units uint32
}

// Engine keeps blobs in segments. It is safe for concurrent use.
type Engine struct {
	o     Options
	limit uint32 // of a new segment, in units
	syncs atomic.Uint64

	making sync.Mutex // held while a segment is made

	mu       sync.Mutex
	segments map[uint32]*segment
	current  *segment   // takes new extents; nil until one is needed
	idle     *list.List // open segments that nothing uses, the least recently used first
	reading  map[Place]reads
	freed    []extent           // whose room can be given back
	punching map[Place]struct{} // extents whose room is being given back
	solid    bool               // the file system can't give back room in the middle of files
	marks    int                // of all segments, see there
	closed   bool
}

// maxIdle bounds the files that are open although nothing uses them.
const maxIdle = 128

// segment is one file. The engine's mutex protects the fields above bits.
type segment struct {
	number  uint32
	file    folder.File // nil if it is closed
	past    folder.File // the same file, for writes past the system's cache; nil if there are none
	through bool        // the file system can't write past its cache
	refs    int         // uses of the file
	idle    *list.Element
	growing bool   // takes new extents
	limit   uint32 // the first unit that is never given
	end     uint32 // the first unit that was not given
	free    []run  // units of aborted extents
	pending int64  // units of extents whose record may be about to commit
	old     uint32 // the first unit that was not there at the start; nothing is written below it any more
	given   uint32 // the first unit that GiveBack did not look at
	punched int64  // units whose room was given back
	live    int64  // units of extents that have a record; before it is known, what was freed
	known   bool   // live is known
	moving  bool   // some of its extents may have been moved
	removed bool
	failed  bool // a sync failed
	marks   int  // bits that were set since the last sync

	bits sync.Mutex // changes of the bits of freed extents

	reserve  sync.Mutex // protects reserved
	reserved uint32     // units with room on the disk

	group   sync.Mutex // protects next
	next    *group     // commits that wait for the next sync
	syncing sync.Mutex
}

// reads are the readers of an extent.
type reads struct {
	n    int
	size int64 // the largest that one of them takes the blob for
}

// run is a number of units that can be given again.
type run struct{ at, n uint32 }

func (r run) end() uint32 { return r.at + r.n }

// Open finds the segments in a folder, which may be missing. It changes nothing.
func Open(o Options) (*Engine, error) {
	e := &Engine{o: o, limit: maxUnits, segments: map[uint32]*segment{}, idle: list.New(), reading: map[Place]reads{},
		punching: map[Place]struct{}{}}
	if o.Units != 0 {
		e.limit = min(o.Units, maxUnits)
	}
	entries, err := folder.ReadDir(o.FS, o.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, f := range entries {
		n, ok := numberOf(f.Name())
		if !ok {
			continue
		}
		s, err := e.found(n)
		if err != nil {
			return nil, err
		}
		e.segments[n] = s
		if e.current == nil || e.current.number < n {
			e.current = s
		}
	}
	return e, e.resume()
}

func (e *Engine) found(n uint32) (*segment, error) {
	info, err := e.o.FS.Stat(Path(e.o.Dir, n))
	if err != nil {
		return nil, err
	}
	end := uint32(min((info.Size()+Unit-1)/Unit, maxUnits))
	return &segment{number: n, end: end, old: end, reserved: end, limit: e.limit}, nil
}

// resume lets the newest segment take extents again, after everything that is in it.
func (e *Engine) resume() error {
	s := e.current
	if s == nil {
		return nil
	}
	e.current = nil
	if err := e.use(s); err != nil {
		return err
	}
	header := make([]byte, Unit)
	_, err := s.file.ReadAt(header, 0)
	if err == nil && s.end >= firstUnit && bytes.Equal(header, segmentHeader(s.number)) {
		s.growing, e.current = true, s
	}
	return e.release(s)
}

// Close closes the files, and gives back room that was reserved and not used.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	var errs []error
	for _, s := range e.segments {
		if s.file == nil {
			continue
		}
		if s.growing && s.pending == 0 {
			errs = append(errs, s.file.Truncate(int64(s.end)*Unit))
		}
		errs = append(errs, e.shut(s))
	}
	return errors.Join(errs...)
}

// Syncs counts the syncs of all commits.
func (e *Engine) Syncs() uint64 { return e.syncs.Load() }

// Has reports whether a segment exists, and whether some of its extents may have been moved: before the first survey,
// that is not known.
func (e *Engine) Has(number uint32) (exists, moving bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.segments[number]
	return s != nil, s != nil && (s.moving || !s.known)
}

// Numbers returns the numbers of all segments in ascending order.
func (e *Engine) Numbers() []uint32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]uint32, 0, len(e.segments))
	for n := range e.segments {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// acquire opens the file of a segment, until release. The error is blob.ErrNotExist if
// there is no such segment.
func (e *Engine) acquire(number uint32) (*segment, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.segments[number]
	if s == nil {
		return nil, fmt.Errorf("%w: segment %d", blob.ErrNotExist, number)
	}
	return s, e.use(s)
}

// use is acquire under the mutex.
func (e *Engine) use(s *segment) error {
	if e.closed {
		return fs.ErrClosed
	}
	if s.file == nil {
		f, err := e.o.FS.OpenFile(Path(e.o.Dir, s.number), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		s.file = f
	}
	if s.idle != nil {
		e.idle.Remove(s.idle)
		s.idle = nil
	}
	s.refs++
	return nil
}

// release ends a use.
func (e *Engine) release(s *segment) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.refs--; s.refs > 0 || s.file == nil {
		return nil
	}
	if s.removed {
		return e.shut(s)
	}
	s.idle = e.idle.PushBack(s)
	var err error
	if !s.growing {
		err = s.shutPast()
	}
	for e.idle.Len() > maxIdle {
		old := e.idle.Remove(e.idle.Front()).(*segment)
		old.idle = nil
		if old.growing { // it stays open: it may have unsynced bytes
			old.idle = e.idle.PushBack(old)
			break
		}
		err = errors.Join(err, e.shut(old))
	}
	return err
}

func (e *Engine) shut(s *segment) error {
	f := s.file
	s.file = nil
	return errors.Join(s.shutPast(), f.Close())
}

// Open opens the blob at a place. The error is blob.ErrNotExist if it is not there. If
// certain is false, the header may be damaged, unless the extent is marked as free.
func (e *Engine) Open(p Place, name string, certain bool) (blob.Reader, error) {
	_, size, ok := Parse(name)
	if !ok {
		return nil, blob.ErrNotExist
	}
	s, err := e.read(p, size)
	if err != nil {
		return nil, err
	}
	r := &reader{engine: e, segment: s, place: p, size: size}
	var header [headerSize]byte
	_, err = s.file.ReadAt(header[:], p.Offset()-headerSize)
	if err == nil || err == io.EOF {
		err = nil
		found, _, ok := parseExtent(header[:])
		if (certain || ok) && found != name || !ok && e.isFreed(s, p.Unit) {
			err = errHeader
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", blob.ErrNotExist, errors.Join(err, r.Close()))
	}
	return r, nil
}

// read is acquire for a reader of the extent at a place.
func (e *Engine) read(p Place, size int64) (*segment, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.segments[p.Segment]
	_, punching := e.punching[p]
	if s == nil || punching {
		return nil, fmt.Errorf("%w: segment %d", blob.ErrNotExist, p.Segment)
	}
	err := e.use(s)
	if err == nil {
		r := e.reading[p]
		e.reading[p] = reads{r.n + 1, max(r.size, size)}
	}
	return s, err
}

// Check returns an error if the extent at a place does not have the header of a blob.
func (e *Engine) Check(p Place, name string) error {
	s, err := e.acquire(p.Segment)
	if err != nil {
		return err
	}
	if !s.holds(p, name) {
		err = fmt.Errorf("%w: unit %d of segment %d is not of %s", errHeader, p.Unit, p.Segment, name)
	}
	return errors.Join(err, e.release(s))
}

// holds reports whether the extent at a place has the header of a blob.
func (s *segment) holds(p Place, name string) bool {
	var header [headerSize]byte
	_, err := s.file.ReadAt(header[:], p.Offset()-headerSize)
	found, _, ok := parseExtent(header[:])
	return ok && found == name && (err == nil || err == io.EOF)
}

// isFreed reports whether the extent that begins at a unit is marked as free.
func (e *Engine) isFreed(s *segment, unit uint32) bool {
	var b [1]byte
	_, err := s.file.ReadAt(b[:], int64(Unit+unit/8))
	return err == nil && b[0]&(1<<(unit%8)) != 0
}

// Repair writes the bytes of a blob at its place again.
func (e *Engine) Repair(p Place, name string, from blob.Reader) error {
	_, size, ok := Parse(name)
	if !ok || from.Size() != size {
		return fmt.Errorf("segment: %q has %d bytes, not %d", name, from.Size(), size)
	}
	s, err := e.acquire(p.Segment)
	if err != nil {
		return err
	}
	_, err = s.file.WriteAt(extentHeader(name, size), p.Offset()-headerSize)
	if err == nil {
		err = copyAt(s.file, p.Offset(), from)
	}
	if err == nil {
		err = e.sync(s) // not its own: if it fails, what writers wrote into the segment may be lost, too
	}
	return errors.Join(err, e.release(s))
}
