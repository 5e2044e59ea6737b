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
// own speed. One that grows larger than may be stored becomes a window: the slowest reader
// holds back the others, until it is cut off.
type spool struct {
	limit int64 // bytes that are held before it becomes a window

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when anything changed
	chunks  [][]byte      // of ChunkSize, the last may be shorter
	dropped int           // chunks that were read by all, from the first on
	size    int64         // bytes that arrived
	err     error         // io.EOF after the last byte
	readers map[*tap]struct{}
}

// tap is one reader of a spool.
type tap struct {
	spool *spool
	off   atomic.Int64
	cut   error // guarded by spool.mu
}

const (
	window  = 16               // chunks that a window holds
	tooSlow = 10 * time.Second // how long a reader may hold back the others
)

var (
	errSlow      = errors.New("cache: viewer was too slow")
	errUnread    = errors.New("cache: nobody reads the response")
	errShortened = errors.New("cache: origin's response ended early")
	errLonger    = errors.New("cache: origin's response is longer than it said")
)

func newSpool(limit int64) *spool {
	return &spool{limit: limit, changed: make(chan struct{}), readers: map[*tap]struct{}{}}
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

// take reads a body of want bytes, or of any length if want is negative, to its end.
func (s *spool) take(body io.Reader, want int64) error {
	err := s.read(body, want)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == io.EOF && want >= 0 && s.size < want {
		err = errShortened
	}
	s.err = err
	s.change()
	if err == io.EOF {
		return nil
	}
	return err
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

// ended makes sure that a body has no more bytes than it said.
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
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.size >= s.limit && len(s.chunks)-s.dropped >= window {
		if len(s.readers) == 0 {
			return errUnread
		}
		if s.dropRead() {
			continue
		}
		if !s.waitLocked(tooSlow) {
			s.cutSlowest()
		}
	}
	s.chunks = append(s.chunks, make([]byte, 0, room))
	return nil
}

// dropRead drops the chunks that all have read.
func (s *spool) dropRead() bool {
	least := s.size
	for t := range s.readers {
		least = min(least, t.off.Load())
	}
	n := int(least / seal.ChunkSize)
	any := n > s.dropped
	for ; s.dropped < n; s.dropped++ {
		s.chunks[s.dropped] = nil
	}
	return any
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
		}
	}
	s.change()
}

func (t *tap) piece(ctx context.Context, off int64) ([]byte, error) {
	s := t.spool
	for {
		s.mu.Lock()
		changed := s.changed
		p, err := t.locked(off)
		s.mu.Unlock()
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

// locked returns bytes that are there, or nothing.
func (t *tap) locked(off int64) ([]byte, error) {
	s := t.spool
	if t.off.Swap(off)/seal.ChunkSize != off/seal.ChunkSize && s.size >= s.limit {
		s.change() // a chunk was read, for which grow may wait
	}
	n := int(off / seal.ChunkSize)
	switch {
	case t.cut != nil:
		return nil, t.cut
	case off >= s.size:
		return nil, s.err
	case n < s.dropped:
		return nil, errSlow
	}
	return s.chunks[n][off%seal.ChunkSize:], nil
}

func (t *tap) close() {
	t.spool.mu.Lock()
	defer t.spool.mu.Unlock()
	delete(t.spool.readers, t)
	t.spool.change()
}
