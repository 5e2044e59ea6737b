package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"watertight/internal/fault"
	"watertight/internal/limit"
)

// phase is the state of a connection. Connections in lower phases are closed first; within
// a phase, the one that has been in it longest.
type phase uint8

const (
	idleStranger   phase = iota // between requests, none of which was verified
	longHeader                  // an unusually long header is being read, from any caller
	newStranger                 // a handshake or the first header is being read
	bodyStranger                // a request whose signature is not verified yet is being read
	servedStranger              // a stranger's request was allowed and is being served
	idleCaller                  // between requests, one of which was verified
	comingCaller                // another request is being read, and is not verified yet
	activeCaller                // never given up
	activeRoot                  // never given up
	phases         = iota
)

// door limits the connections of all listeners. It always accepts a new one, and closes
// another if there are too many: strangers before callers, idle connections before busy
// ones. In addition to the places that busy callers may take, some are reserved for
// connections that are not identified yet, so that strangers never displace callers and a
// root user always gets a connection.
type door struct {
	maximum, spare int

	mu    sync.Mutex
	in    [phases]row
	keys  map[string]int // number of active connections of each access key
	total int

	displaced [phases]uint64 // connections that were closed for others, by phase

	warm     row // of those that wait for a request and are not parked, see lot
	maxWarm  int
	parked   atomic.Int64  // connections that are in a lot
	parkings atomic.Uint64 // how often one was

	held sync.Pool // of *[maxHeld]byte, see joint
}

func newDoor(maximum int) *door {
	return &door{maximum: maximum, spare: max(maximum/8, 4), keys: map[string]int{}, maxWarm: maxWarm}
}

// guest is one connection.
type guest struct {
	net.Conn
	door  *door
	known bool // a request was verified
	gone  bool
	phase phase
	place place
	key   string // of an active caller

	told  func(limit.Class, string) error // identify
	until atomic.Pointer[time.Time]       // the deadline of writes, or nil
	// endless says that until, which still is in force, does not count any more.
	endless atomic.Bool
	joint   joint
	reads   reads

	secured *secured // what net/http serves instead, if it is under TLS and may be parked

	lot   *lot // where it may be parked, or nil
	pause pause
	warm  place

	header atomic.Int64 // bytes of the header that were read so far; less than 0 while a request is served
}

// maxUsualHeader is the usual maximum size of a handshake and a header, in bytes. While a
// larger one is read, it may take twenty times its size in memory; only the number of such
// connections bounds that.
const maxUsualHeader = 6 << 10

// Read implements net.Conn.
func (g *guest) Read(p []byte) (int, error) {
	if g.reads.spare(len(p)) {
		return 0, nil
	}
	n, err := 1, error(nil)
	if !g.reads.take(p) {
		if n, err = g.await(p); err == io.EOF && n == 0 && g.reads.ended(len(p)) {
			return 0, nil
		}
	}
	if before := g.header.Load(); before >= 0 && n > 0 {
		if after := before + int64(n); g.header.CompareAndSwap(before, after) && before <= maxUsualHeader &&
			after > maxUsualHeader {
			g.door.long(g)
		}
	}
	return n, err
}

// long moves a connection with an unusually long header to its phase, and closes another
// one if there are too many of them.
func (d *door) long(g *guest) {
	d.mu.Lock()
	d.move(g, longHeader)
	var out *guest
	if all := &d.in[longHeader]; all.Len() > d.spare {
		out = all.Front()
		d.displace(out)
	}
	d.mu.Unlock()
	if out != nil {
		out.Conn.Close()
	}
}

// listener passes the connections that a listener accepts through the door.
type listener struct {
	net.Listener
	door *door
	lot  *lot      // or nil: its connections are never parked
	tls  *security // or nil: they have no TLS, or it is above the listener
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g := l.door.enter(c)
	g.lot = l.lot
	if l.tls != nil {
		return l.tls.secure(g), nil
	}
	return g, nil
}

// enter accepts a connection and closes those that it displaces.
func (d *door) enter(c net.Conn) *guest {
	g := &guest{Conn: c, door: d, phase: newStranger}
	g.told = g.identify
	d.mu.Lock()
	g.place.of, g.warm.of = g, g
	d.in[g.phase].PushBack(&g.place)
	d.total++
	var out []*guest
	for v := d.victim(g); v != nil; v = d.victim(g) {
		d.displace(v)
		out = append(out, v)
	}
	d.mu.Unlock()
	for _, v := range out {
		v.Conn.Close() // its reads and writes end
	}
	return g
}

// victim returns a connection to close, other than the new one, or nil.
func (d *door) victim(beside *guest) *guest {
	if d.total <= d.maximum {
		return nil
	}
	strangers := 0
	for p := range idleCaller {
		strangers += d.in[p].Len()
	}
	for p := range activeCaller {
		if p > idleStranger && p < idleCaller && strangers <= d.spare {
			continue
		}
		if v := d.in[p].Front(); v != nil && v != beside {
			return v
		}
	}
	return nil
}

// remove removes a connection.
func (d *door) remove(g *guest) {
	if g.gone {
		return
	}
	g.gone = true
	d.in[g.phase].Remove(&g.place)
	d.cool(g)
	d.total--
	d.release(g)
}

// displace removes a connection that is closed for others.
func (d *door) displace(g *guest) {
	if !g.gone {
		d.displaced[g.phase]++
	}
	d.remove(g)
}

// count returns how many connections are in a phase, and how many in it were closed for others.
func (d *door) count(p phase) (now int, displaced uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.in[p].Len(), d.displaced[p]
}

// end calls the Shutdown of a server of HTTP. If ctx ends before, the sockets of all connections are closed: Shutdown
// waits for each idle one under TLS that takes no more bytes, whatever its context says.
func (d *door) end(ctx context.Context, shutdown func(context.Context) error) error {
	defer context.AfterFunc(ctx, d.closeAll)()
	return shutdown(ctx)
}

func (d *door) closeAll() {
	d.mu.Lock()
	var all []*guest
	for p := range d.in {
		for at := d.in[p].first; at != nil; at = at.behind {
			all = append(all, at.of)
		}
	}
	d.mu.Unlock()
	for _, g := range all {
		g.Conn.Close()
	}
}

func (d *door) release(g *guest) {
	if g.key != "" {
		if d.keys[g.key]--; d.keys[g.key] <= 0 {
			delete(d.keys, g.key)
		}
		g.key = ""
	}
}

// move puts a connection into another phase.
func (d *door) move(g *guest, to phase) {
	if g.gone || g.phase == to {
		return
	}
	d.in[g.phase].Remove(&g.place)
	g.phase = to
	d.in[to].PushBack(&g.place)
}

// CloseWrite closes the sending side, so that the client gets the answer before
// the connection is closed.
func (g *guest) CloseWrite() error {
	if c, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// becomeIdle records that the connection waits for a request.
func (g *guest) becomeIdle() {
	g.header.Store(0)
	g.pause.state.Store(told)
	g.change(idleStranger, idleCaller)
	g.door.shrink()
}

// shrink closes idle strangers while there are too many connections: a stranger that
// was busy when another connection came kept its place only until now.
func (d *door) shrink() {
	d.mu.Lock()
	var out []*guest
	for idle := &d.in[idleStranger]; d.total > d.maximum && idle.Len() > 0; {
		v := idle.Front()
		d.displace(v)
		out = append(out, v)
	}
	d.mu.Unlock()
	for _, v := range out {
		v.Conn.Close()
	}
}

// beginRequest records that a request is being read. Its caller is not known yet.
func (g *guest) beginRequest() {
	g.header.Store(-1)
	g.change(bodyStranger, comingCaller)
}

func (g *guest) change(stranger, caller phase) {
	g.door.mu.Lock()
	defer g.door.mu.Unlock()
	g.door.release(g)
	if g.known {
		stranger = caller
	}
	g.door.cool(g)
	if g.door.move(g, stranger); stranger == idleStranger || stranger == idleCaller {
		g.door.keepWarm(g)
	}
}

// identify records who sent the request, or that a stranger's request was allowed. If
// callers have all places, or one key has most of them, the request is refused: SlowDown.
func (g *guest) identify(c limit.Class, key string) error {
	d := g.door
	d.mu.Lock()
	defer d.mu.Unlock()
	switch c {
	case limit.Stranger:
		if g.phase == bodyStranger {
			d.move(g, servedStranger)
		}
		return nil
	case limit.Root:
		g.known = true
		d.move(g, activeRoot)
		return nil
	}
	active := d.in[activeCaller].Len()
	if active >= d.maximum || active >= d.maximum-d.maximum/4 && d.keys[key] >= d.maximum/2 {
		return fault.Of(fault.SlowDown)
	}
	g.known = true
	d.move(g, activeCaller)
	if !g.gone {
		g.key = key
		d.keys[key]++
	}
	return nil
}

// isCaller reports whether a verified request is being served.
func (g *guest) isCaller() bool {
	g.door.mu.Lock()
	defer g.door.mu.Unlock()
	return !g.gone && (g.phase == activeCaller || g.phase == activeRoot)
}

type guestKey struct{}

// withGuest adds the connection to the context of its requests.
func withGuest(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, guestKey{}, guestOf(c))
}

// guestOf returns the guest of a connection, which may be under TLS.
func guestOf(c net.Conn) *guest {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	g, _ := c.(*guest)
	return g
}

// follow tracks what net/http does with a connection.
func follow(c net.Conn, state http.ConnState) {
	if g := guestOf(c); g != nil && state == http.StateIdle {
		g.becomeIdle()
	}
}
