package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxWarm is how many connections that wait for a request keep what net/http needs to read one at once:
// a goroutine whose stack the last request has grown to up to 32 KiB, and 8 KiB of buffers.
const maxWarm = 512

// lot keeps connections between requests without a server of HTTP: about 4 KiB each. When there are too
// many idle connections, the door parks those that are idle longest. To net/http a parked connection has
// timed out and is closed, and when its next request comes, Accept returns it like a new one. A connection under
// TLS keeps its keys and buffers. Those of HTTP/2 are not parked. A lot is the second listener of its server.
type lot struct {
	door  *door
	ready chan *guest   // a request has come
	done  chan struct{} // closed when the lot is

	mu     sync.Mutex
	parked map[*guest]struct{}
	closed bool
	all    sync.WaitGroup // of the goroutines that wait
}

func newLot(d *door) *lot {
	return &lot{door: d, ready: make(chan *guest), done: make(chan struct{}), parked: map[*guest]struct{}{}}
}

// Addr implements net.Listener.
func (l *lot) Addr() net.Addr { return &net.TCPAddr{} }

// Accept returns a parked connection whose next request has come.
func (l *lot) Accept() (net.Conn, error) {
	select {
	case g := <-l.ready:
		return g.face(), nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close closes all parked connections, and from now on those that would be parked.
func (l *lot) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return net.ErrClosed
	}
	l.closed = true
	close(l.done)
	for g := range l.parked {
		g.limitReads(time.Unix(1, 0)) // its wait ends
	}
	l.mu.Unlock()
	l.all.Wait()
	return nil
}

// park keeps a connection until it is readable, its client closes it, or it was idle for too long.
func (l *lot) park(g *guest) error {
	if l.add(g) {
		return nil
	}
	return g.end()
}

// add adds a connection, unless the lot is closed.
func (l *lot) add(g *guest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.parked[g] = struct{}{}
	l.door.parked.Add(1)
	l.door.parkings.Add(1)
	l.all.Go(func() { l.wait(g) })
	return true
}

func (l *lot) wait(g *guest) {
	err := g.limitReads(g.pause.until)
	select {
	case <-l.done: // that limit may be later than the one that Close has set
		err = net.ErrClosed
	default:
	}
	if err == nil {
		err = readable(g.Conn)
	}
	l.mu.Lock()
	delete(l.parked, g)
	l.door.parked.Add(-1)
	l.mu.Unlock()
	if err != nil {
		g.end()
		return
	}
	g.header.Store(0)
	g.pause.room = 0 // net/http gets a new buffer for what it takes for a new connection
	select {
	case l.ready <- g:
	case <-l.done:
		g.end()
	}
}

// readable waits until bytes can be read, and reads none. At the end of the stream it returns an error.
func readable(c net.Conn) error {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for {
			var one [1]byte
			n, _, failed = unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if failed != unix.EINTR {
				return failed != unix.EAGAIN
			}
		}
	})
	if err == nil {
		err = failed
	}
	if err == nil && n == 0 {
		err = net.ErrClosed
	}
	return err
}

// pause is how far a connection is between two requests. net/http tells that one is over (follow), sets a
// read deadline, and waits for the first bytes of the next request; then it sets another deadline. Only in
// between, and only if none of the next request's bytes are in its buffer, the connection may be parked.
type pause struct {
	state atomic.Int32
	until time.Time // how long the connection may be idle
	room  int       // net/http's whole buffer: the size of the connection's first read
	whole bool      // under TLS: net/http's read, of which this read is a part, is as large
}

const (
	serving  = iota // a request is served, or its header is read
	told            // net/http says that the connection is idle
	idling          // it has set the deadline
	resting         // a read waits for the next request; the door may end it
	rousing         // the door ends that read
	departed        // that read has ended: net/http is about to close the connection
)

// deadline is told of net/http's read deadlines.
func (p *pause) deadline(t time.Time) {
	switch p.state.Load() {
	case serving:
	case told:
		p.until = t
		p.state.Store(idling)
	default:
		p.state.Store(serving)
	}
}

// isWhole reports whether a read is as large as net/http's whole buffer. The first one is.
func (p *pause) isWhole(size int) bool {
	if p.room == 0 {
		p.room = size
	}
	return size == p.room
}

// await reads from the connection. While it waits for the next request, the door may end it with rouse.
func (g *guest) await(p []byte) (int, error) {
	whole := g.pause.whole
	if g.secured == nil {
		whole = g.pause.isWhole(len(p))
	}
	if g.lot == nil || !whole || !g.pause.state.CompareAndSwap(idling, resting) {
		return g.read(p)
	}
	n, err := g.read(p)
	if g.pause.state.CompareAndSwap(resting, idling) {
		return n, err
	}
	g.door.mu.Lock() // the deadline is set
	defer g.door.mu.Unlock()
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		g.pause.state.Store(departed)
		return 0, err
	}
	g.pause.state.Store(idling)
	if late := g.limitReads(g.pause.until); err == nil {
		err = late
	}
	return n, err
}

// rouse ends the read in which a connection waits for its next request, so that it is parked, and reports
// whether there is such a read. The door's lock is held.
func (g *guest) rouse() bool {
	if !g.pause.state.CompareAndSwap(resting, rousing) {
		return false
	}
	g.limitReads(time.Unix(1, 0)) // an error means that it is closed
	return true
}

// Close implements net.Conn. net/http closes a connection that the door has roused, too: that one is parked.
func (g *guest) Close() error {
	if g.secured == nil && g.depart() {
		return g.lot.park(g)
	}
	return g.leave()
}

// depart reports whether the connection that is being closed is one to park.
func (g *guest) depart() bool { return g.pause.state.CompareAndSwap(departed, serving) }

// end closes a connection that net/http does not know, under TLS with a goodbye.
func (g *guest) end() error {
	if g.secured != nil {
		return g.secured.Conn.Close()
	}
	return g.leave()
}

// leave closes the connection.
func (g *guest) leave() error {
	g.door.mu.Lock()
	g.door.remove(g)
	g.door.mu.Unlock()
	return g.Conn.Close()
}

// keepWarm adds a connection that has become idle, and parks those that are idle longest while there are too
// many. One that can't be parked yet, or of whose next request a part has come, gets behind the others.
// The lock is held.
func (d *door) keepWarm(g *guest) {
	if g.lot == nil || g.gone {
		return
	}
	d.warm.PushBack(&g.warm)
	for tries := 4; d.warm.Len() > d.maxWarm && tries > 0; tries-- {
		oldest := d.warm.Front()
		rests := oldest.rouse()
		d.cool(oldest)
		if !rests {
			d.warm.PushBack(&oldest.warm)
		}
	}
}

// cool removes a connection from those that are warm. The lock is held.
func (d *door) cool(g *guest) {
	if g.warm.taken {
		d.warm.Remove(&g.warm)
	}
}
