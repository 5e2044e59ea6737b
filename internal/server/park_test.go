package server

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/limit"
)

// parkingServer serves a handler behind a door that keeps so many idle connections warm.
type parkingServer struct {
	*httptest.Server
	door *door
	lot  *lot
	held atomic.Int64 // connections that net/http knows
	tls  *tls.Config  // of clients, or nil
}

// transports are those over which connections are parked.
func transports() map[string]func(testing.TB, *parkingServer) {
	return map[string]func(testing.TB, *parkingServer){
		"plain": func(testing.TB, *parkingServer) {},
		"TLS": func(t testing.TB, s *parkingServer) {
			certified := httptest.NewTLSServer(nil)
			certified.Close()
			l := s.Listener.(listener)
			l.tls = &security{
				&tls.Config{Certificates: certified.TLS.Certificates, NextProtos: []string{"http/1.1", "acme-tls/1"}},
				log.New(io.Discard, "", 0),
			}
			s.Listener, s.tls = l, &tls.Config{InsecureSkipVerify: true}
		},
	}
}

func newParkingServer(
	t testing.TB, transport string, maxWarm int, idle time.Duration, h http.HandlerFunc,
) *parkingServer {
	t.Helper()
	s := &parkingServer{door: newDoor(4096)}
	s.door.maxWarm, s.lot = maxWarm, newLot(s.door)
	s.Server = httptest.NewUnstartedServer(guard{
		next: h, log: slog.New(slog.DiscardHandler), stall: time.Minute, memory: limit.NewMemory(1 << 20),
		fail: internalError,
	})
	s.Listener = listener{s.Listener, s.door, s.lot, nil}
	transports()[transport](t, s)
	s.Config.ConnContext, s.Config.IdleTimeout, s.Config.ReadHeaderTimeout = withGuest, idle, time.Minute
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		switch follow(c, state); state {
		case http.StateNew:
			s.held.Add(1)
		case http.StateClosed:
			s.held.Add(-1)
		}
	}
	s.Start()
	var serving sync.WaitGroup
	serving.Go(func() { s.Config.Serve(s.lot) })
	t.Cleanup(func() {
		s.lot.Close()
		serving.Wait()
		s.Close()
	})
	return s
}

// echo answers with the path and the body of a request.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	fmt.Fprint(w, r.URL.Path, " ", string(b), " ", err)
}

// asker is a connection of a client.
type asker struct {
	net.Conn
	in *bufio.Reader
}

func (s *parkingServer) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

func (s *parkingServer) connect(t testing.TB) asker {
	t.Helper()
	return s.over(s.dial(t))
}

// over returns a client's connection on one of TCP.
func (s *parkingServer) over(c net.Conn) asker {
	if s.tls != nil {
		c = tls.Client(c, s.tls)
	}
	return asker{c, bufio.NewReaderSize(c, 512)}
}

// answer reads the next response.
func (a asker) answer() (string, error) {
	res, err := http.ReadResponse(a.in, nil)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func (a asker) ask(path, body string) (string, error) {
	fmt.Fprintf(a, "PUT %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	return a.answer()
}

// until waits for what happens soon.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

// TestParking: net/http holds few of many idle connections, and each of them still answers, whatever comes next.
func TestParking(t *testing.T) {
	for transport := range transports() {
		t.Run(transport, func(t *testing.T) { testParking(t, transport) })
	}
}

func testParking(t *testing.T, transport string) {
	const all, warm = 60, 5
	s := newParkingServer(t, transport, warm, time.Minute, echo)
	conns := make([]asker, all)
	for i := range conns {
		conns[i] = s.connect(t)
	}
	for round := range 3 {
		for i, c := range conns {
			body := strings.Repeat("x", i*round*100)
			got, err := c.ask(fmt.Sprint("/", i), body)
			if want := fmt.Sprint("/", i, " ", body, " <nil>"); err != nil || got != want {
				t.Fatalf("round %d, connection %d: %.80q, %v", round, i, got, err)
			}
		}
		// Those that were not in their wait when others became idle are parked when the next ones do.
		last := conns[all-1]
		until(t, "net/http holds few connections", func() bool {
			_, err := last.ask("/", "")
			return err == nil && s.held.Load() <= warm+1
		})
	}
	s.door.mu.Lock()
	counted := s.door.total
	s.door.mu.Unlock()
	if n := s.door.parked.Load(); n < all-warm-1 || counted != all {
		t.Errorf("%d of %d are parked, %d are counted", n, all, counted)
	}
	for _, c := range conns {
		c.Close()
	}
	until(t, "all have left", func() bool {
		now, _ := s.door.count(idleStranger)
		return now == 0 && s.door.parked.Load() == 0 && s.held.Load() == 0
	})
}

// rouse parks whatever can be parked now.
func (s *parkingServer) rouse() {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	for p := s.door.warm.first; p != nil; {
		g := p.of
		p = p.behind
		if g.rouse() {
			s.door.cool(g)
		}
	}
}

// rouseAll parks whatever can be parked, again and again, until stop is called.
func (s *parkingServer) rouseAll() (stop func()) {
	var end atomic.Bool
	var all sync.WaitGroup
	all.Go(func() {
		for !end.Load() {
			s.rouse()
			time.Sleep(10 * time.Microsecond)
		}
	})
	return func() { end.Store(true); all.Wait() }
}

// TestParkingLosesNoByte: requests that come in any pieces, several at once or one in many, are read as they
// were sent, while the server parks the connection whenever it can.
func TestParkingLosesNoByte(t *testing.T) {
	for transport := range transports() {
		t.Run(transport, func(t *testing.T) { testParkingLosesNoByte(t, transport) })
	}
}

// torn writes what it is given in two pieces, with a pause in between: under TLS, a record.
type torn struct {
	net.Conn
	cuts []int
	n    int
}

func (c *torn) Write(p []byte) (int, error) {
	cut := min(c.cuts[c.n%len(c.cuts)], len(p))
	c.n++
	n, err := c.Conn.Write(p[:cut])
	if err != nil || cut == len(p) {
		return n, err
	}
	if cut > 0 {
		time.Sleep(500 * time.Microsecond)
	}
	n, err = c.Conn.Write(p[cut:])
	return cut + n, err
}

func testParkingLosesNoByte(t *testing.T, transport string) {
	s := newParkingServer(t, transport, 1<<20, time.Minute, echo)
	defer s.rouseAll()()
	rapid.Check(t, func(r *rapid.T) {
		under := s.dial(t)
		if s.tls != nil {
			cuts := rapid.SampledFrom([]int{0, 1, 4, 5, 6, 30, 1000})
			under = &torn{Conn: under, cuts: rapid.SliceOfN(cuts, 4, 4).Draw(r, "torn")}
			s.tls.MaxVersion = rapid.SampledFrom([]uint16{tls.VersionTLS12, tls.VersionTLS13}).Draw(r, "version")
		}
		c := s.over(under)
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		var stream []byte
		var want []string
		var cuts []int // where pauses may be: around the beginnings of requests and of their lines
		for i := range rapid.IntRange(1, 6).Draw(r, "requests") {
			long := rapid.SampledFrom([]int{0, 10, 3000, 4060, 5000}).Draw(r, "path")
			path := fmt.Sprint("/", i, strings.Repeat("p", long))
			body := strings.Repeat("b", rapid.SampledFrom([]int{0, 0, 1, 100, 4096, 9000}).Draw(r, "body"))
			line := fmt.Sprintf("POST %s HTTP/1.1\r\n", path)
			at := len(stream)
			cuts = append(cuts, at, at+1, at+2, at+3, at+4, at+len(line), at+len(line)+1)
			stream = fmt.Appendf(stream, "%sHost: h\r\nContent-Length: %d\r\n\r\n%s", line, len(body), body)
			if rapid.Bool().Draw(r, "empty line") { // net/http allows it after a POST
				stream = append(stream, "\r\n"...)
			}
			want = append(want, path+" "+body+" <nil>")
		}
		var sent sync.WaitGroup
		pauses := rapid.SliceOfN(rapid.IntRange(0, 9), len(cuts), len(cuts)).Draw(r, "pauses")
		sent.Go(func() {
			begin := 0
			for i, end := range append(cuts, len(stream)) {
				if end < len(stream) && pauses[i] < 6 {
					continue
				}
				c.Write(stream[begin:end])
				begin = end
				time.Sleep(500 * time.Microsecond)
			}
		})
		defer sent.Wait()
		for i, want := range want {
			if got, err := c.answer(); err != nil || got != want {
				r.Fatalf("request %d: %.60q (%d bytes), %v; want %.60q", i, got, len(got), err, want)
			}
		}
	})
	if s.door.parkings.Load() == 0 {
		t.Error("no connection was parked")
	}
}

// TestParkedConnectionsEnd: a parked connection ends after the idle time, when it is displaced, and when the
// server stops.
func TestParkedConnectionsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		idle time.Duration
		end  func(*testing.T, *parkingServer)
	}{
		"idle time": {300 * time.Millisecond, func(*testing.T, *parkingServer) {}},
		"displaced": {time.Minute, func(t *testing.T, s *parkingServer) {
			s.door.mu.Lock()
			s.door.maximum = 1
			s.door.mu.Unlock()
			other := s.connect(t)
			defer other.Close() // it may be parked, too
			if got, err := other.ask("/other", ""); err != nil {
				t.Error(got, err)
			}
		}},
		"stop":     {time.Minute, func(t *testing.T, s *parkingServer) { s.Config.Shutdown(t.Context()) }},
		"lot only": {time.Minute, func(_ *testing.T, s *parkingServer) { s.lot.Close() }},
	} {
		for transport := range transports() {
			t.Run(name+", "+transport, func(t *testing.T) { testEnd(t, transport, c.idle, c.end) })
		}
	}
}

func testEnd(t *testing.T, transport string, idle time.Duration, end func(*testing.T, *parkingServer)) {
	s := newParkingServer(t, transport, 1<<20, idle, echo)
	defer s.rouseAll()()
	a := s.connect(t)
	if _, err := a.ask("/", ""); err != nil {
		t.Fatal(err)
	}
	until(t, "it was parked", func() bool { return s.door.parkings.Load() > 0 })
	end(t, s)
	if b, err := a.in.ReadByte(); err == nil {
		t.Errorf("%q came", b)
	} else if strings.Contains(err.Error(), "timeout") {
		t.Error("the connection did not end")
	}
	until(t, "nothing is parked", func() bool { return s.door.parked.Load() == 0 })
}

// TestGoodbye: a client under TLS gets TLS's goodbye when its parked connection ends.
func TestGoodbye(t *testing.T) {
	for name, c := range map[string]struct {
		idle time.Duration
		end  func(*parkingServer)
	}{
		"idle time": {300 * time.Millisecond, func(*parkingServer) {}},
		"stop":      {time.Minute, func(s *parkingServer) { s.lot.Close() }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newParkingServer(t, "TLS", 0, c.idle, echo)
			raw := &counted{Conn: s.dial(t)}
			a := s.over(raw)
			if _, err := a.ask("/", ""); err != nil {
				t.Fatal(err)
			}
			s.parkAll(t)
			before := raw.n
			c.end(s)
			if _, err := a.in.ReadByte(); err != io.EOF || raw.n == before {
				t.Errorf("%v, and %d bytes came", err, raw.n-before)
			}
		})
	}
}

// counted counts what is read.
type counted struct {
	net.Conn
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n += n
	return n, err
}

// parkAll parks the connections that net/http knows, all of which are idle.
func (s *parkingServer) parkAll(t testing.TB) {
	until(t, "all are parked", func() bool {
		s.rouse()
		return s.held.Load() == 0
	})
}

// BenchmarkParked measures a request on a connection that is parked, and on one that is warm.
func BenchmarkParked(b *testing.B) {
	for _, c := range []struct {
		transport, name string
		warm            int
	}{{"plain", "warm", 64}, {"plain", "parked", 2}, {"TLS", "warm", 64}, {"TLS", "parked", 2}} {
		b.Run(c.transport+", "+c.name, func(b *testing.B) {
			s := newParkingServer(b, c.transport, c.warm, time.Minute, echo)
			conns := make([]asker, 16)
			for i := range conns {
				conns[i] = s.connect(b)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := conns[i%len(conns)].ask("/", ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
