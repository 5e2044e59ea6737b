package server

import (
	"bytes"
	"errors"
	"net"
	"time"
)

// joint holds the first write of a response back, so that it leaves with the second in one
// system call: net/http writes the header and what fits beside it into 4 KiB, and then the
// rest. It can add lines to a header, which net/http does not have to sort and copy then. Only
// the goroutine that serves a request of HTTP/1 without TLS and without a body uses it: nothing
// else writes to the connection meanwhile.
type joint struct {
	on    bool
	held  *[maxHeld]byte // or nil
	size  int
	lines lines
	parts [5][]byte
	queue net.Buffers
}

// lines are lines of a header as they are sent: each ends with CRLF. Those in shared are also
// of other responses, and are not changed.
type lines struct{ shared, own []byte }

// errHeader means that lines can't be added, because what net/http wrote is not a header alone.
var errHeader = errors.New("server: the header of a response is not written alone")

// maxHeld is the size of net/http's buffer for writes, in bytes.
const maxHeld = 4 << 10

// hold makes the next write wait for the one after it, or for sendHeld. If there are lines, that
// write must be a header alone, to which they are added.
func (g *guest) hold(l lines) { g.joint.on, g.joint.lines = true, l }

// sendHeld writes what hold held back.
func (g *guest) sendHeld() error {
	j := &g.joint
	j.on = false
	if j.held == nil {
		j.lines = lines{}
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
	case j.on && j.lines.shared != nil && (len(p) > maxHeld || !isHeader(p)):
		return 0, errHeader
	case !j.on || len(p) > maxHeld:
		return g.Conn.Write(p)
	}
	if j.held, _ = g.door.held.Get().(*[maxHeld]byte); j.held == nil {
		j.held = new([maxHeld]byte)
	}
	j.size = copy(j.held[:], p) // net/http uses its buffer again
	return len(p), nil
}

// isHeader reports whether a write ends with the first empty line in it.
func isHeader(p []byte) bool {
	const end = "\r\n\r\n"
	return len(p) >= len(end) && bytes.Index(p, []byte(end)) == len(p)-len(end)
}

// join writes what was held back, and p.
func (g *guest) join(p []byte) (int, error) {
	j := &g.joint
	end := j.held[j.size:j.size]
	if j.lines.shared != nil {
		j.size -= 2
		end = j.held[j.size : j.size+2]
	}
	j.parts = [5][]byte{j.held[:j.size], j.lines.shared, j.lines.own, end, p}
	before := int64(j.size + len(j.lines.shared) + len(j.lines.own) + len(end))
	j.queue = j.parts[:]
	n, err := j.queue.WriteTo(g.Conn)
	g.door.held.Put(j.held)
	j.held, j.lines, j.parts, j.queue = nil, lines{}, [5][]byte{}, nil
	return int(max(n-before, 0)), err
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
	return errors.Join(g.SetReadDeadline(t), g.Conn.SetWriteDeadline(t))
}
