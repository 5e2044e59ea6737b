package cache

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"watertight/internal/storage/seal"
)

// spool holds a body while it arrives, so that any number of readers read it, each at its
// own speed. Large ones go to the disk, sealed. One that grows larger than may be stored, or for which
// the disk or the memory has no room, becomes a window: the slowest reader holds back the others,
// until it is cut off.
type spool struct {
	disk    *disk // nil: all is held in memory
	open    *openFiles
	name    name // by which what is held in memory is counted, if disk is nil
	buffers *buffers
	joined  *atomic.Int64 // those who read it or are about to

	mu      sync.Mutex
	limit   int64         // bytes that are stored; beyond them it is a window
	changed chan struct{} // closed and replaced when anything changed
	chunks  [][]byte      // of ChunkSize, the last may be shorter
	sink    *sink         // where the first chunks lie, or nil
	window  int           // chunks that a window holds
	counted bool          // it is counted in open, where disk is nil
	stored  int           // chunks that lie in the sink and are no longer in memory
	dropped int           // chunks that were read by all, from the first on
	size    int64         // bytes that arrived
	err     error         // io.EOF after the last byte
	readers map[*tap]struct{}
	left    int  // readers that were cut off and did not close yet
	hurried bool // it doesn't wait any more for those who are about to read
}

// tap is one reader of a spool.
type tap struct {
	spool  *spool
	off    atomic.Int64
	cut    error  // guarded by spool.mu
	sealed chunks // reads the sink
}

const (
	window  = 16               // chunks that a window holds
	narrow  = 4                // the same where there is no room
	tooSlow = 10 * time.Second // how long a reader may hold back the others
)

var (
	errSlow      = errors.New("cache: viewer was too slow")
	errUnread    = errors.New("cache: nobody reads the response")
	errShortened = errors.New("cache: origin's response ended early")

	errLonger = errors.New("cache: origin's response is longer than it said")
)

func newSpool(limit int64, d *disk, open *openFiles, b *buffers, joined *atomic.Int64) *spool {
	s := &spool{
		limit: limit, disk: d, open: open, buffers: b, joined: joined, changed: make(chan struct{}),
		readers: map[*tap]struct{}{}, window: window,
	}
	if d == nil {
		s.name = newName()
	}
	return s
}

func (s *spool) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *spool) length() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// lost reports whether the first bytes are gone.
func (s *spool) lost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped > 0 || s.size > s.limit
}

// wait waits for the end.
func (s *spool) wait(ctx context.Context) {
	for {
		s.mu.Lock()
		changed, err := s.changed, s.err
		s.mu.Unlock()
		if err != nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (s *spool) tap() *tap {
	t := &tap{spool: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers[t] = struct{}{}
	return t
}

// take reads a body of want bytes, or of any length if want is negative, to its end. Readers
// learn of the end by end.
func (s *spool) take(body io.Reader, want int64) error {
	err := s.read(body, want)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.chunks); n > s.stored && len(s.chunks[n-1]) == 0 {
		s.chunks = s.chunks[:n-1]
	}
	switch {
	case err != io.EOF:
		return err
	case want >= 0 && s.size < want:
		return errShortened
	}
	return nil
}

// end tells readers that the body has ended, with err or because everything arrived.
func (s *spool) end(err error) {
	if err == nil {
		err = io.EOF
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.change()
}

func (s *spool) read(body io.Reader, want int64) error {
	for {
		room := int64(seal.ChunkSize)
		if want >= 0 {
			room = min(room, want-s.size)
		}
		if room == 0 {
			return ended(body)
		}
		if err := s.grow(int(room)); err != nil {
			return err
		}
		if err := s.chunk(body, int(room)); err != nil {
			return err
		}
	}
}

// ended checks that a body has no more bytes than its length said.
func ended(body io.Reader) error {
	var more [1]byte
	for {
		switch n, err := body.Read(more[:]); {
		case n > 0:
			return errLonger
		case err != nil:
			return err
		}
	}
}

// chunk fills the last chunk, and shows readers each piece when it arrives.
func (s *spool) chunk(body io.Reader, room int) error {
	s.mu.Lock()
	b := s.chunks[len(s.chunks)-1]
	s.mu.Unlock()
	for len(b) < room {
		n, err := body.Read(b[len(b):room])
		if n > 0 {
			b = b[:len(b)+n]
			s.mu.Lock()
			s.chunks[len(s.chunks)-1] = b
			s.size += int64(n)
			s.change()
			s.mu.Unlock()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// grow makes room for one chunk.
func (s *spool) grow(room int) error {
	s.spill()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(int64(room))
	for s.size >= s.limit && len(s.chunks)-max(s.dropped, s.stored) >= s.window {
		if s.dropRead() || s.waitLocked(tooSlow) {
			continue
		}
		if s.hurried = true; len(s.readers) == 0 {
			return errUnread
		}
		s.cutSlowest()
	}
	s.chunks = append(s.chunks, make([]byte, 0, room))
	return nil
}

// count takes memory for so many bytes more, where nothing goes to the disk. What is small is not
// counted.
func (s *spool) count(room int64) {
	if s.disk != nil || s.size < maxHot || s.window == narrow {
		return
	}
	if !s.counted {
		s.counted = true
		s.open.write(s.name, s)
		room += s.size
	}
	if !s.open.grow(s.name, room) {
		s.limit, s.window = 0, narrow
	}
}

// Close cuts off all readers, and drops what is held in memory. It is for openFiles, after the end.
func (s *spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.readers {
		t.cut = errSlow
		delete(s.readers, t)
		s.left++
	}
	s.chunks = nil
	s.change()
	return nil
}

// spill takes what arrived to the disk, once it is more than what is held in memory. The last
// chunk stays: it may be the last of all.
func (s *spool) spill() {
	s.mu.Lock()
	sink, from, to := s.sink, s.stored, len(s.chunks)-1
	skip := s.disk == nil || s.size < maxHot || s.size >= s.limit || from >= to
	if skip {
		s.mu.Unlock()
		return
	}
	chunks := s.chunks[from:to]
	s.mu.Unlock()
	var err error
	if sink == nil {
		sink, err = s.disk.sink()
	}
	if err == nil {
		err = sink.write(chunks, false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink = sink
	if err != nil {
		s.limit, s.window = 0, narrow // it is a window from now on
		return
	}
	s.stored = to
	clear(s.chunks[from:to])
}

// finish writes the rest to the disk. It returns the file's name and length.
func (s *spool) finish(r *record) (n name, length int64, err error) {
	if s.sink == nil {
		n = newName()
		length, err = s.disk.write(n, s.chunks, r)
		return n, length, err
	}
	if err = s.sink.write(s.chunks[s.stored:], true); err == nil {
		length, err = s.sink.finish(r)
	}
	return s.sink.name, length, err
}

// remove removes the file. Those who read it go on.
func (s *spool) remove() {
	if s.sink != nil {
		s.disk.remove(s.sink.name)
	} else if s.disk == nil {
		s.open.removed(s.name)
	}
}

// close closes the file when it has no writer and no readers.
func (s *spool) close() {
	if s.sink != nil {
		s.open.close(s.sink.name, s.sink.file)
	} else if s.counted {
		s.open.close(s.name, s)
	}
}

// dropRead drops the chunks that all have read.
func (s *spool) dropRead() bool {
	if len(s.readers) == 0 || !s.hurried && s.joined.Load() > int64(len(s.readers)+s.left) {
		return false
	}
	least := s.size
	for t := range s.readers {
		least = min(least, t.off.Load())
	}
	n := int(least / seal.ChunkSize)
	if n <= s.dropped {
		return false
	}
	if s.counted {
		s.open.shrink(s.name, int64(n-s.dropped)*seal.ChunkSize)
	}
	clear(s.chunks[s.dropped:n])
	s.dropped = n
	return true
}

// waitLocked waits for a change, and returns false if there was none in time.
func (s *spool) waitLocked(d time.Duration) bool {
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-changed:
		return true
	case <-t.C:
		return false
	}
}

// cutSlowest ends the readers that hold back the others.
func (s *spool) cutSlowest() {
	for t := range s.readers {
		if int(t.off.Load()/seal.ChunkSize) <= s.dropped {
			t.cut = errSlow
			delete(s.readers, t)
			s.left++
		}
	}
	s.change()
}

func (t *tap) piece(ctx context.Context, off int64) ([]byte, error) {
	s := t.spool
	for {
		s.mu.Lock()
		changed := s.changed
		p, stored, err := t.locked(off)
		s.mu.Unlock()
		if stored {
			return t.sealed.at(off)
		}
		if p != nil || err != nil {
			return p, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// locked returns bytes that are there, or nothing. stored says that they lie on the disk.
func (t *tap) locked(off int64) (p []byte, stored bool, err error) {
	s := t.spool
	if t.off.Swap(off)/seal.ChunkSize != off/seal.ChunkSize && s.size >= s.limit {
		s.change() // a chunk was read, for which grow may wait
	}
	n := int(off / seal.ChunkSize)
	switch {
	case t.cut != nil:
		return nil, false, t.cut
	case off >= s.size:
		return nil, false, s.err
	case n < s.dropped:
		return nil, false, errSlow
	case n < s.stored:
		if t.sealed.from == nil {
			t.sealed = chunks{from: s.sink.opener, buffers: s.buffers}
		}
		return nil, true, nil
	}
	return s.chunks[n][off%seal.ChunkSize:], false, nil
}

func (t *tap) close() {
	t.spool.mu.Lock()
	defer t.spool.mu.Unlock()
	t.sealed.close()
	if t.cut != nil {
		t.spool.left--
	}
	delete(t.spool.readers, t)
	t.spool.change()
}
