package server

import (
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"watertight/internal/storage/kv"
)

// space watches the disk, so that writes are refused before the engine itself
// runs out of room, in bytes or in files.
type space struct {
	look    func() (room, error)
	minimum int64
	log     *slog.Logger
	now     atomic.Uint32 // a kv.Space
	left    atomic.Int64  // free bytes at the last look, less what was taken since
	mu      sync.Mutex    // over looks
	reserve *reserve      // nil where none is held
	armed   atomic.Bool   // the data directory is known to be the store's: the reserve may change
	stop    chan struct{}
	done    chan struct{}
}

// room is what a file system has.
type room struct {
	bytes, files       int64 // free
	allBytes, allFiles int64 // allFiles is 0 where they are not counted
}

const (
	// spaceInterval is how often the disk is asked; what is written in between
	// is counted.
	spaceInterval = 500 * time.Millisecond
	// lastBytes are left free even by deletions.
	lastBytes = 2 << 20
	// fewFiles is below which writes are refused, of a large file system;
	// lastFiles is below which the reserve is given up.
	fewFiles  = 1024
	lastFiles = 16
	// firstBytes and firstFiles are what a first start needs beside --min-free.
	firstBytes = 16 << 20
	firstFiles = 330
)

func startSpace(c Config) *space {
	s := &space{minimum: c.MinFree, log: c.Logger, stop: make(chan struct{}), done: make(chan struct{})}
	s.look = func() (room, error) { return freeRoom(c.Data) }
	if c.Free != nil {
		s.look = func() (room, error) {
			free, err := c.Free(c.Data)
			return room{bytes: free, files: math.MaxInt64, allBytes: math.MaxInt64}, err
		}
	} else if r, err := s.look(); err == nil && c.MinFree > 0 {
		s.reserve = newReserve(c.Data, c.MinFree, r.allBytes)
	}
	s.measure()
	go s.run()
	return s
}

func (s *space) run() {
	defer close(s.done)
	tick := time.NewTicker(spaceInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.measure()
		}
	}
}

func (s *space) close() {
	close(s.stop)
	<-s.done
}

// measure decides from what is free. A disk that can't be asked is taken to be
// as it was.
func (s *space) measure() {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.look()
	if err != nil {
		return
	}
	s.hold(&r)
	s.left.Store(r.bytes)
	state := kv.Ample
	switch {
	case r.bytes < min(s.minimum/4, lastBytes):
		state = kv.Full
	case r.bytes < s.minimum || r.few():
		state = kv.DeletesOnly
	}
	if old := kv.Space(s.now.Swap(uint32(state))); s.log != nil && (old == kv.Ample) != (state == kv.Ample) {
		if state == kv.Ample {
			s.log.Info("the disk has room again; writes are taken")
		} else {
			s.log.Warn("the disk is nearly full; writes are refused, reads and deletions go on", "freeBytes", r.bytes, "freeFiles", r.files)
		}
	}
}

// few tells that files are running out.
func (r room) few() bool { return r.allFiles > 0 && r.files < min(fewFiles, r.allFiles/16) }

// hold takes the reserve while there is plenty, and gives a half of it up when
// the disk is nearly full.
func (s *space) hold(r *room) {
	if s.reserve == nil || !s.armed.Load() {
		return
	}
	var err error
	switch {
	case r.bytes < s.minimum/4, r.allFiles > 0 && r.files < lastFiles:
		if s.reserve.held < 2 {
			return
		}
		if err = s.reserve.lend(); err == nil {
			*r, err = s.look()
		}
	case r.bytes >= s.minimum+2*s.reserve.size && (r.allFiles == 0 || r.files >= 2*min(fewFiles, r.allFiles/16)+reserveNames):
		err = s.reserve.take()
	}
	if err != nil && s.log != nil {
		s.log.Warn("the reserve of the disk", "err", err)
	}
}

// enough tells whether the engine may write so many bytes, and the files it
// needs, for being opened or for a deletion. The reserve is there for that.
func (s *space) enough(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 2 {
		r, err := s.look()
		if err != nil || r.bytes >= n && (r.allFiles == 0 || r.files >= lastFiles/2) {
			return true
		}
		if s.reserve == nil || s.reserve.held == 0 || s.reserve.release() != nil {
			return false
		}
	}
	return false
}

// first refuses a first start on a disk that is too small for one.
func (s *space) first(dir string) error {
	r, err := s.look()
	if err != nil {
		return fmt.Errorf("the disk of %s: %w", dir, err)
	}
	if need := s.minimum + firstBytes; r.bytes < need {
		return fmt.Errorf("the disk of %s has %d bytes free; a first start needs %d, of which %d are what --min-free leaves free", dir, r.bytes, need, s.minimum)
	}
	if r.allFiles > 0 && r.files < firstFiles {
		return fmt.Errorf("the file system of %s has room for %d more files (inodes); a first start needs %d", dir, r.files, firstFiles)
	}
	return nil
}

// room counts n bytes that a commit writes, and tells what is left.
func (s *space) room(n int64) kv.Space {
	state := kv.Space(s.now.Load())
	if s.left.Add(-n) < s.minimum && state == kv.Ample {
		return kv.DeletesOnly
	}
	return state
}

// Fits implements payload.Room.
func (s *space) Fits(n int64) bool {
	return kv.Space(s.now.Load()) == kv.Ample && s.left.Load()-n >= s.minimum
}

// Take implements payload.Room. What is taken counts against the minimum until
// the next look at the disk finds it gone, or given back.
func (s *space) Take(n int64) bool {
	if s.left.Add(-n) >= s.minimum {
		return true
	}
	s.left.Add(n)
	return false
}

func freeRoom(dir string) (room, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return room{}, err
	}
	bytes := func(blocks uint64) int64 { return int64(min(blocks*uint64(st.Bsize), math.MaxInt64)) }
	return room{
		bytes: bytes(st.Bavail), allBytes: bytes(st.Blocks),
		files: int64(min(st.Ffree, math.MaxInt64)), allFiles: int64(min(st.Files, math.MaxInt64)),
	}, nil
}
