package payload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/core/payload/internal/disk"
	"watertight/internal/core/payload/internal/segment"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
)

// SegmentMax is the maximum size, in bytes, of an object or part that shares a file with
// others, if its size is known before it is received (docs/decisions, 0066).
const SegmentMax = 1 << 20

// segmentsFolder is below the folder of blobs.
const segmentsFolder = "segments"

func segmentsDir(dataDir string) string { return filepath.Join(Folder(dataDir), segmentsFolder) }

// openSegments opens the segments of a data directory. It refuses one whose segments are
// gone, before anything is created.
func (s *Store) openSegments(files folder.FS, o *Options) error {
	if o.Records == nil {
		return nil
	}
	s.records = o.Records
	_, err := files.Stat(segmentsDir(o.Dir))
	if errors.Is(err, fs.ErrNotExist) {
		next := uint32(0)
		err = s.records.View(context.Background(), func(r kv.Reader) (err error) {
			next, err = nextNumber(r)
			return err
		})
		if err == nil && next != 0 {
			err = fmt.Errorf("%s is missing, but there were segments with objects in it", segmentsDir(o.Dir))
		}
	}
	if err != nil {
		return err
	}
	s.segments, err = segment.Open(segment.Options{
		FS: files, Dir: segmentsDir(o.Dir), Aside: filepath.Join(Folder(o.Dir), disk.AsideFolder), Room: s.room,
		Number: s.number, Units: o.SegmentUnits,
	})
	return err
}

// create starts a blob for an object of so many plaintext bytes, or -1, whose sealed bytes
// are size, or -1.
func (s *Store) create(plain, size int64) (w blob.Writer, name string, err error) {
	if s.segments == nil || plain < 0 || plain > SegmentMax {
		name = randomName()
		s.enter(name)
		if w, err = s.engine.Create(name, size); err != nil {
			s.leave(name)
		}
		return w, name, err
	}
	x, err := s.segments.Create(size)
	if err != nil {
		return nil, "", err
	}
	return x, x.Name(), nil
}

// inSegment returns where a blob was written first. ok is false if that is no segment.
func (s *Store) inSegment(name string) (p segment.Place, size int64, ok bool) {
	if s.segments == nil {
		return p, 0, false
	}
	return segment.Parse(name)
}

// maxMoves bounds how often a blob is looked for that is moved again and again.
const maxMoves = 4

// openBlob opens a blob wherever it is: alone, where it was written first, or where it was
// moved to. The error is blob.ErrNotExist if it is nowhere, or in quarantine.
func (s *Store) openBlob(name string) (blob.Reader, error) {
	first, _, ok := s.inSegment(name)
	if !ok {
		return s.engine.Open(name)
	}
	if s.isQuarantined(name) {
		return nil, fmt.Errorf("%w: it is in quarantine", blob.ErrNotExist)
	}
	b, err := s.openFirst(first, name)
	for range maxMoves {
		if !errors.Is(err, blob.ErrNotExist) {
			return b, err
		}
		p, moved, merr := s.moved(name)
		if merr != nil {
			return nil, merr
		}
		if !moved {
			break
		}
		if b, err = s.segments.Open(p, name, false); errors.Is(err, blob.ErrNotExist) && s.putBack(p) {
			b, err = s.segments.Open(p, name, false)
		}
	}
	if errors.Is(err, blob.ErrNotExist) { // restore and recover make a file of each extent
		b, err = s.engine.Open(name)
	}
	if errors.Is(err, blob.ErrNotExist) && (s.putBack(first) || s.exists(first)) { // or the header is damaged
		b, err = s.segments.Open(first, name, false)
	}
	return b, err
}

// openFirst opens a blob where it was written first, if it was not moved. A header there does not show that it was not:
// the room behind it may have been given back before a power failure.
func (s *Store) openFirst(first segment.Place, name string) (blob.Reader, error) {
	if _, moving := s.segments.Has(first.Segment); moving {
		if _, moved, err := s.moved(name); moved || err != nil {
			return nil, errors.Join(blob.ErrNotExist, err)
		}
	}
	return s.segments.Open(first, name, true)
}

func (s *Store) exists(p segment.Place) bool {
	ok, _ := s.segments.Has(p.Segment)
	return ok
}

// putBack puts back a segment that was set aside, if it was.
func (s *Store) putBack(p segment.Place) bool {
	return !s.exists(p) && s.segments.PutBack(p.Segment) == nil
}

// moved returns where a blob was moved to.
func (s *Store) moved(name string) (p segment.Place, ok bool, err error) {
	err = s.records.View(context.Background(), func(r kv.Reader) error {
		p, ok, err = movedTo(r, name)
		return err
	})
	return p, ok, err
}

// settle notes that the record of a blob is durable.
func (s *Store) settle(name string) {
	if p, size, ok := s.inSegment(name); ok {
		s.segments.Settle(p, size)
		return
	}
	s.leave(name)
}

// drop removes a blob whose record was not committed.
func (s *Store) drop(name string) {
	if p, size, ok := s.inSegment(name); ok {
		_ = s.segments.Drop(p, size) // without the mark, the extent counts as left by a crash
		return
	}
	s.engine.Remove(name)
	s.leave(name)
}

// remove removes a blob whose record was deleted. In a segment, only a mark is written, so
// that a backup under way still finds the bytes.
func (s *Store) remove(name string) {
	p, _, ok := s.inSegment(name)
	if ok {
		exists, moving := s.segments.Has(p.Segment)
		if moving || !exists {
			if at, moved, err := s.moved(name); err == nil && moved {
				p, exists = at, s.exists(at)
			}
		}
		_ = s.segments.Free(p, name) // without the mark, the extent counts as left by a crash
		if exists {
			return
		}
	}
	if s.isHeld() {
		s.engine.Retire(name)
	} else {
		s.engine.Remove(name)
	}
}

// quarantine puts a blob into quarantine. The bytes of one in a segment are copied.
func (s *Store) quarantine(name string) error {
	if _, _, ok := s.inSegment(name); !ok {
		return s.engine.Quarantine(name)
	}
	b, err := s.openBlob(name)
	if err != nil {
		return err
	}
	d, ok := s.engine.(*disk.Engine)
	if !ok {
		return errors.Join(errors.New("payload: segments without a disk"), b.Close())
	}
	if err := errors.Join(d.QuarantineCopy(name, b), b.Close()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quarantined[name] = struct{}{}
	return nil
}

// unquarantine puts back a blob that is whole. One in a segment gets its bytes written again.
func (s *Store) unquarantine(name string) error {
	p, _, ok := s.inSegment(name)
	if !ok || !s.isQuarantined(name) {
		return s.engine.Release(name)
	}
	at, moved, err := s.moved(name)
	if err != nil {
		return err
	}
	if moved {
		p = at
	}
	if !s.exists(p) {
		err = s.engine.Release(name)
	} else if err = s.repair(p, name); err == nil {
		err = s.engine.(*disk.Engine).Unquarantine(name)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.quarantined, name)
	return nil
}

func (s *Store) repair(p segment.Place, name string) error {
	b, err := s.engine.OpenQuarantined(name)
	if err != nil {
		return err
	}
	return errors.Join(s.segments.Repair(p, name, b), b.Close())
}

func (s *Store) isQuarantined(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.quarantined[name]
	return ok
}

// knowQuarantined remembers which blobs of segments are in quarantine.
func (s *Store) knowQuarantined() error {
	for name, err := range s.engine.Quarantined() {
		if err != nil {
			return err
		}
		if _, _, ok := segment.Parse(name); ok {
			s.quarantined[name] = struct{}{}
		}
	}
	return nil
}
