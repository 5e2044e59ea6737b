package server

import (
	"bufio"
	"fmt"
	"io"
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
}

func newParkingServer(t testing.TB, maxWarm int, idle time.Duration, h http.HandlerFunc) *parkingServer {
	t.Helper()
	s := &parkingServer{door: newDoor(4096)}
	s.door.maxWarm, s.lot = maxWarm, newLot(s.door)
	s.Server = httptest.NewUnstartedServer(guard{
		next: h, log: slog.New(slog.DiscardHandler), stall: time.Minute, memory: limit.NewMemory(1 << 20),
		fail: internalError,
	})
	s.Listener = listener{s.Listener, s.door, s.lot}
	s.Config.ConnContext, s.Config.IdleTimeout, s.Config.ReadHeaderTimeout = withGuest, idle, time.Minute
	s.Start()
	tracked := s.Config.ConnState // that of httptest
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		switch follow(c, state); state {
		case http.StateNew:
			s.held.Add(1)
		case http.StateClosed:
			s.held.Add(-1)
		}
		tracked(c, state)
	}
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

func (s *parkingServer) connect(t testing.TB) asker {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
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
	const all, warm = 60, 5
	s := newParkingServer(t, warm, time.Minute, echo)
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
	if n := s.door.parked.Load(); n < all-warm-1 || s.door.total != all {
		t.Errorf("%d of %d are parked, %d are counted", n, all, s.door.total)
	}
	for _, c := range conns {
		c.Close()
	}
	until(t, "all have left", func() bool {
		now, _ := s.door.count(idleStranger)
		return now == 0 && s.door.parked.Load() == 0 && s.held.Load() == 0
	})
}

// rouseAll parks whatever can be parked, again and again, until stop is called.
func (s *parkingServer) rouseAll() (stop func()) {
	var end atomic.Bool
	var all sync.WaitGroup
	all.Go(func() {
		for !end.Load() {
			s.door.mu.Lock()
			for p := s.door.warm.first; p != nil; {
				g := p.of
				p = p.behind
				if g.rouse() {
					s.door.cool(g)
				}
			}
			s.door.mu.Unlock()
			time.Sleep(10 * time.Microsecond)
		}
	})
	return func() { end.Store(true); all.Wait() }
}

// TestParkingLosesNoByte: requests that come in any pieces, several at once or one in many, are read as they
// were sent, while the server parks the connection whenever it can.
func TestParkingLosesNoByte(t *testing.T) {
	s := newParkingServer(t, 1<<20, time.Minute, echo)
	defer s.rouseAll()()
	rapid.Check(t, func(r *rapid.T) {
		c := s.connect(t)
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
		t.Run(name, func(t *testing.T) {
			s := newParkingServer(t, 1<<20, c.idle, echo)
			defer s.rouseAll()()
			a := s.connect(t)
			if _, err := a.ask("/", ""); err != nil {
				t.Fatal(err)
			}
			until(t, "it was parked", func() bool { return s.door.parkings.Load() > 0 })
			c.end(t, s)
			if b, err := a.in.ReadByte(); err == nil {
				t.Errorf("%q came", b)
			} else if strings.Contains(err.Error(), "timeout") {
				t.Error("the connection did not end")
			}
			until(t, "nothing is parked", func() bool { return s.door.parked.Load() == 0 })
		})
	}
}

// BenchmarkParked measures a request on a connection that is parked, and on one that is warm.
func BenchmarkParked(b *testing.B) {
	for name, warm := range map[string]int{"warm": 64, "parked": 2} {
		b.Run(name, func(b *testing.B) {
			s := newParkingServer(b, warm, time.Minute, echo)
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
