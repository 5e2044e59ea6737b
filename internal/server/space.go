package server

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"watertight/internal/storage/kv"
)

// space watches the disk, so that writes are refused before the engine itself
// runs out of room.
type space struct {
	free    func(dir string) (int64, error)
	dir     string
	minimum int64
	now     atomic.Uint32 // a kv.Space
	left    atomic.Int64  // free bytes at the last look, less what was taken since
	stop    chan struct{}
	done    chan struct{}
}

// spaceInterval is how often the disk is asked: within it, writes at full
// speed use a fraction of the reserve.
const spaceInterval = 500 * time.Millisecond

func startSpace(c Config) *space {
	s := &space{free: c.Free, dir: c.Data, minimum: c.MinFree, stop: make(chan struct{}), done: make(chan struct{})}
	if s.free == nil {
		s.free = freeBytes
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

// measure decides from the free bytes. A disk that can't be asked is taken to
// be as it was.
func (s *space) measure() {
	free, err := s.free(s.dir)
	if err != nil {
		return
	}
	s.left.Store(free)
	state := kv.Ample
	switch {
	case free < s.minimum/4:
		state = kv.Full
	case free < s.minimum:
		state = kv.DeletesOnly
	}
	s.now.Store(uint32(state))
}

func (s *space) room() kv.Space { return kv.Space(s.now.Load()) }

// Fits implements payload.Room.
func (s *space) Fits(n int64) bool { return s.room() == kv.Ample && s.left.Load()-n >= s.minimum }

// Take implements payload.Room. What is taken counts against the minimum until
// the next look at the disk finds it gone, or given back.
func (s *space) Take(n int64) bool {
	if s.left.Add(-n) >= s.minimum {
		return true
	}
	s.left.Add(n)
	return false
}

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(min(st.Bavail*uint64(st.Bsize), math.MaxInt64)), nil
}
