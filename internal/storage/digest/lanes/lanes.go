// Package lanes computes the MD5 of several streams at once. A step of MD5 waits for the one
// before it, so a core is idle most of the time with one stream, and hashes eight of them in
// the lanes of its vectors for little more. The package must never know what a stream is.
//
// MD5 is an ETag here, and protects nothing.
package lanes

import (
	"crypto/md5"
	"hash"
	"runtime"
	"sync"
)

const (
	// most is the number of lanes of a vector, and least how many of them must be used to be
	// faster than crypto/md5.
	most  = 8
	least = 3

	// enough is how many pieces of a stream wait before somebody hashes the first one, if there
	// are other streams: they may have pieces to hash with it by then.
	enough = 2
)

// Group is a number of streams that are hashed together, by the goroutines that add pieces.
// It is safe for concurrent use.
type Group struct {
	width int

	mu      sync.Mutex
	hashed  *sync.Cond // a turn ended
	open    int        // streams that did not end
	waiting []*Stream  // have pieces that nobody hashes, in the order of their first pieces
}

// NewGroup returns a group without streams.
func NewGroup() *Group { return newGroup(width()) }

func newGroup(width int) *Group {
	g := &Group{width: width}
	g.hashed = sync.NewCond(&g.mu)
	return g
}

// Stream is the MD5 of one stream. One goroutine at a time may use it.
type Stream struct {
	group *Group
	free  chan<- struct{}
	state hash.Hash // of crypto/md5
	queue [][]byte
	busy  bool   // somebody hashes its first piece
	piece []byte // that piece
	ended bool
}

// NewStream begins a stream. Sum or Drop must end it. For each piece that was hashed,
// something is sent to free, which must have room for it.
func (g *Group) NewStream(free chan<- struct{}) *Stream {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open++
	return &Stream{group: g, free: free, state: md5.New(), queue: make([][]byte, 0, enough+1)}
}

// Add appends a piece, which must not change until it is hashed. A caller must be able to add
// a third piece before the first one is hashed. Add may hash pieces of any streams before it returns.
func (s *Stream) Add(piece []byte) {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	s.queue = append(s.queue, piece)
	if s.busy {
		return
	}
	if len(s.queue) == 1 {
		g.waiting = append(g.waiting, s)
	}
	if g.open == 1 {
		g.turn(s)
	} else if len(s.queue) >= enough {
		if g.gather(); !s.busy && len(s.queue) >= enough {
			g.turn(s)
		}
	}
}

// Sum hashes what is left and ends the stream.
func (s *Stream) Sum() (sum [md5.Size]byte) {
	s.end(true)
	s.state.Sum(sum[:0])
	return sum
}

// Drop ends a stream whose sum is not needed. Nobody reads its pieces after that. After Sum it
// does nothing.
func (s *Stream) Drop() { s.end(false) }

func (s *Stream) end(hash bool) {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	for s.busy || hash && len(s.queue) > 0 {
		if s.busy {
			g.hashed.Wait()
		} else if g.gather(); !s.busy && len(s.queue) > 0 {
			g.turn(s)
		}
	}
	if len(s.queue) > 0 {
		g.forget(s)
	}
	g.open--
}

// forget removes a stream from those that wait. The group is locked.
func (g *Group) forget(s *Stream) {
	for i, w := range g.waiting {
		if w == s {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return
		}
	}
}

// gather lets goroutines that can run add pieces, if lanes would be empty. Otherwise one stream
// would be hashed by itself as long as its goroutines run. The group is locked, but not meanwhile.
func (g *Group) gather() {
	if len(g.waiting) < min(g.width, g.open) {
		g.mu.Unlock()
		runtime.Gosched()
		g.mu.Lock()
	}
}

// turn hashes the first piece of a stream that waits, together with the first ones of the
// streams that wait for longest. The group is locked, but not while it hashes.
func (g *Group) turn(s *Stream) {
	var room [most]*Stream
	g.forget(s)
	n := min(g.width-1, len(g.waiting))
	if n+1 < least {
		n = 0
	}
	all := append(append(room[:0], s), g.waiting[:n]...)
	g.waiting = append(g.waiting[:0], g.waiting[n:]...)
	for _, s := range all {
		s.busy, s.piece = true, s.queue[0]
	}
	g.mu.Unlock()
	write(all)
	g.mu.Lock()
	for _, s := range all {
		s.busy, s.piece = false, nil
		s.queue = append(s.queue[:0], s.queue[1:]...)
		if len(s.queue) > 0 {
			g.waiting = append(g.waiting, s)
		}
		s.free <- struct{}{}
	}
	g.hashed.Broadcast()
}
