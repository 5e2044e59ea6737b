package server

import (
	"bytes"
	"errors"
	"net"
	"time"
)

// joint holds the first write of a response back, so that it leaves with the second in one
// system call: net/http writes the header and what fits beside it into 4 KiB, and then the
// rest. It can add lines to a header, which net/http does not have to copy and sort then. Only
// the goroutine that serves a request of HTTP/1 without TLS uses it, when the body of the request
// has ended: nothing else writes to the connection meanwhile.
type joint struct {
	on    bool
	held  *[maxHeld]byte // or nil
	size  int
	lines lines // for the next header
	at    int   // where they belong in what is held
	parts [5][]byte
	queue net.Buffers
}

// lines are lines of a header as they are sent: each ends with CRLF. They are not changed any more.
type lines struct{ shared, own []byte }

func (l lines) size() int { return len(l.shared) + len(l.own) }

// errHeader means that lines can't be added, because what net/http wrote is not the beginning of
// a response.
var errHeader = errors.New("server: a response does not begin with a status line")

// maxHeld is the size of net/http's buffer for writes, in bytes.
const maxHeld = 4 << 10

// hold makes the next write wait for the one after it, or for sendHeld.
func (g *guest) hold() { g.joint.on = true }

// sendHeld writes what hold held back.
func (g *guest) sendHeld() error {
	j := &g.joint
	j.on = false
	if j.held == nil {
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
		if err := g.Conn.SetWriteDeadline(time.Now().Add(defaultStall)); err != nil {
			return 0, err
		}
	}
	if j.held != nil {
		return g.join(p)
	}
	at := 0
	if j.lines.size() > 0 {
		if at = statusLine(p); at == 0 {
			j.lines = lines{}
			return 0, errHeader
		}
	}
	switch {
	case j.on && len(p) <= maxHeld:
		if j.held, _ = g.door.held.Get().(*[maxHeld]byte); j.held == nil {
			j.held = new([maxHeld]byte)
		}
		j.size, j.at = copy(j.held[:], p), at // net/http uses its buffer again
		return len(p), nil
	case at > 0:
		n, err := g.send(p[:at], p[at:], nil)
		return min(n, len(p)), err
	}
	return g.Conn.Write(p)
}

// statusLine returns the length of the line of the status with which a response begins, or 0.
func statusLine(p []byte) int {
	if !bytes.HasPrefix(p, []byte("HTTP/1.")) {
		return 0
	}
	return bytes.IndexByte(p, '\n') + 1
}

// join writes what was held back, and p.
func (g *guest) join(p []byte) (int, error) {
	j := &g.joint
	held := j.held
	n, err := g.send(held[:j.at], held[j.at:j.size], p)
	n -= j.size
	g.door.held.Put(held)
	j.held, j.size, j.at = nil, 0, 0
	return max(n, 0), err
}

// send writes the beginning of a response, and what follows, with the lines in between. It returns
// how many bytes were written other than the lines.
func (g *guest) send(status, rest, more []byte) (int, error) {
	j := &g.joint
	added := j.lines.size()
	j.parts = [5][]byte{status, j.lines.shared, j.lines.own, rest, more}
	j.queue = j.parts[:]
	n, err := j.queue.WriteTo(g.Conn)
	j.lines, j.parts, j.queue = lines{}, [5][]byte{}, nil
	return max(int(n)-added, 0), err
}

// SetWriteDeadline implements net.Conn. To have none takes effect with the next write:
// net/http asks for it after each response, and guard sets one for the next. A write in between has a deadline of its
// own: crypto/tls answers a client inside of a read, and would wait for a client that reads nothing for ever.
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
	return errors.Join(g.SetReadDeadline(t), g.Conn.SetWriteDeadline(t))
}
