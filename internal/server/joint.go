package server

import (
	"net"
	"time"
)

// joint holds the first write of a response back, so that it leaves with the second in one
// system call: net/http writes the header and what fits beside it into 4 KiB, and then the
// rest. Only the goroutine that serves a request of HTTP/1 without TLS and without a body
// uses it: nothing else writes to the connection meanwhile.
type joint struct {
	on    bool
	held  *[maxHeld]byte // or nil
	size  int
	parts [2][]byte
	queue net.Buffers
}

// maxHeld is the size of net/http's buffer for writes, in bytes.
const maxHeld = 4 << 10

// hold makes the next write wait for the one after it, or for sendHeld.
func (g *guest) hold() { g.joint.on = true }

// sendHeld writes what hold held back.
func (g *guest) sendHeld() error {
	g.joint.on = false
	if g.joint.held == nil {
		return nil
	}
	_, err := g.join(nil)
	return err
}

// Write implements net.Conn.
func (g *guest) Write(p []byte) (int, error) {
	j := &g.joint
	if g.endless.Load() {
		g.until.Store(nil)
		g.endless.Store(false)
		if err := g.Conn.SetWriteDeadline(time.Time{}); err != nil {
			return 0, err
		}
	}
	switch {
	case j.held != nil:
		return g.join(p)
	case !j.on || len(p) > maxHeld:
		return g.Conn.Write(p)
	}
	if j.held, _ = g.door.held.Get().(*[maxHeld]byte); j.held == nil {
		j.held = new([maxHeld]byte)
	}
	j.size = copy(j.held[:], p) // net/http uses its buffer again
	return len(p), nil
}

// join writes what was held back, and p.
func (g *guest) join(p []byte) (int, error) {
	j := &g.joint
	j.parts = [2][]byte{j.held[:j.size], p}
	j.queue = j.parts[:]
	n, err := j.queue.WriteTo(g.Conn)
	g.door.held.Put(j.held)
	n -= int64(j.size)
	j.held, j.parts, j.queue = nil, [2][]byte{}, nil
	return int(max(n, 0)), err
}

// SetWriteDeadline implements net.Conn. To have none takes effect with the next write:
// net/http asks for it after each response, and guard sets one for the next.
func (g *guest) SetWriteDeadline(t time.Time) error {
	g.endless.Store(t.IsZero())
	if t.IsZero() {
		return nil
	}
	g.until.Store(&t)
	return g.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (g *guest) SetDeadline(t time.Time) error {
	g.endless.Store(false)
	g.until.Store(&t)
	return g.Conn.SetDeadline(t)
}
