package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/limit"
)

// dialled serves a handler behind the door and the guard. dial connects to it.
func dialled(t *testing.T, secure bool, h http.Handler) (dial func(*testing.T) net.Conn) {
	t.Helper()
	s := httptest.NewUnstartedServer(guard{
		next: h, log: slog.New(slog.DiscardHandler), stall: time.Minute, memory: limit.NewMemory(1 << 20),
		fail: brokenPage,
	})
	s.Listener = listener{s.Listener, newDoor(64), nil, nil}
	s.Config.ConnContext, s.Config.ConnState = withGuest, follow
	s.Config.ReadHeaderTimeout, s.Config.IdleTimeout = headerTimeout, idleTimeout
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return func(t *testing.T) net.Conn {
		c := connect(t, s.Listener.Addr().String())
		if secure {
			return tls.Client(c, &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs,
				ServerName: "example.com"})
		}
		return c
	}
}

// TestHandlersNoticeThatClientsLeave: a handler that waits learns that its client has closed the
// connection, also if the request was not the first one, or had a body.
func TestHandlersNoticeThatClientsLeave(t *testing.T) {
	const get = "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"
	done := func(ctx context.Context) { <-ctx.Done() }
	for name, c := range map[string]struct {
		request string
		first   int // requests before it on the connection
		secure  bool
		early   bool // somebody wants to know before the body is read
		wait    func(ctx context.Context)
	}{
		"Done":      {request: get, wait: done},
		"DELETE":    {request: strings.Replace(get, "GET", "DELETE", 1), wait: done},
		"the third": {request: get, first: 2, wait: done},
		"TLS":       {request: get, first: 1, wait: done, secure: true},
		"with a body": {
			request: "PUT /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody", first: 1, wait: done,
		},
		"with a chunked body": {
			request: "PUT /wait HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
			wait:    done,
		},
		"asked before the body": {
			request: "PUT /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody", wait: done, early: true,
		},
		"half a body": {
			request: "PUT /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo", wait: done, early: true,
		},
		"a body over TLS": {
			request: "PUT /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody", wait: done, secure: true,
		},
		"Err": {request: get, wait: func(ctx context.Context) {
			for ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
		}},
		"derived": {request: get, wait: func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			<-ctx.Done()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			waiting, left := make(chan struct{}), make(chan struct{})
			dial := dialled(t, c.secure, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if c.early {
					r.Context().Done()
				}
				cut := strings.HasSuffix(c.request, "\r\nbo")
				if cut {
					close(waiting)
				}
				io.Copy(io.Discard, r.Body)
				if r.URL.Path == "/wait" {
					if !cut {
						close(waiting)
					}
					c.wait(r.Context())
					close(left)
				}
			}))
			conn := dial(t)
			answers := bufio.NewReader(conn)
			for range c.first {
				io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				if _, err := http.ReadResponse(answers, nil); err != nil {
					t.Fatal(err)
				}
			}
			io.WriteString(conn, c.request)
			<-waiting
			conn.Close()
			select {
			case <-left:
			case <-time.After(20 * time.Second):
				t.Error("the handler still waits for a client that has left")
			}
		})
	}
}

// TestHalfClosed: the request of a client that closes only its sending side goes on for a caller. A stranger's request
// ends, as if the client had gone.
func TestHalfClosed(t *testing.T) {
	const body = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
	const chunked = "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
	const get, del = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "DELETE / HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, c := range []struct {
		name, request string
		early         bool
		requests      int
	}{
		{"no body", del, false, 1},
		{"body", body, false, 1},
		{"asked before the body", body, true, 1},
		{"chunked", chunked, false, 1},
		{"pipeline", del + get + del, false, 3},
		{"pipeline, asked early", get + del + get, true, 3},
		{"pipeline with bodies", del + body + del + body + body + get, false, 6},
	} {
		for _, class := range []limit.Class{limit.Stranger, limit.Caller, limit.Root} {
			t.Run(fmt.Sprint(c.name, class), func(t *testing.T) {
				closed := make(chan struct{})
				dial := dialled(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					g := r.Context().Value(guestKey{}).(*guest)
					if err := g.identify(class, "key"); err != nil {
						t.Error(err)
					}
					if c.early {
						r.Context().Done()
					}
					b, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					<-closed
					done := r.Context().Done()
					if class == limit.Stranger {
						<-done
						return
					}
					// Until the end of the stream was read.
					for seen := false; !seen && t.Context().Err() == nil; time.Sleep(time.Millisecond) {
						g.reads.mu.Lock()
						seen = g.reads.ahead == aheadWatched && !g.reads.waiting
						g.reads.mu.Unlock()
					}
					select {
					case <-done:
						t.Error("the request ended")
					case <-time.After(20 * time.Millisecond):
					}
					fmt.Fprint(w, "answer to ", string(b))
				}))
				conn := dial(t)
				io.WriteString(conn, c.request)
				if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				close(closed)
				answers := bufio.NewReader(conn)
				for range c.requests {
					res, err := http.ReadResponse(answers, nil)
					if err != nil {
						t.Fatal(err)
					}
					b, err := io.ReadAll(res.Body)
					if class != limit.Stranger && !strings.HasPrefix(string(b), "answer to") || err != nil {
						t.Errorf("%q, %v", b, err)
					}
				}
				if _, err := answers.ReadByte(); err != io.EOF {
					t.Errorf("after the answers: %v", err)
				}
			})
		}
	}
}

// TestRequestsInAnyPieces: whatever requests follow each other on a connection, in whatever
// pieces they come, and whether their handlers have the connection watched or not, each is
// answered, in order.
func TestRequestsInAnyPieces(t *testing.T) {
	dial := dialled(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if strings.HasPrefix(r.URL.Path, "/watch") {
			select {
			case <-r.Context().Done():
				t.Error("the client has not left")
			case <-time.After(time.Duration(len(r.URL.Path)) * 10 * time.Microsecond):
			}
		}
		fmt.Fprint(w, r.Method, r.URL.Path, string(body), err)
	}))
	rapid.Check(t, func(rt *rapid.T) {
		conn := dial(t)
		defer conn.Close()
		var all, want []string
		requests := rapid.IntRange(1, 8).Draw(rt, "requests")
		for i := range requests {
			path := fmt.Sprint(rapid.SampledFrom([]string{"/", "/watch"}).Draw(rt, "path"), i)
			// A header that ends near the end of net/http's buffer leaves room for a byte or two.
			pad := rapid.SampledFrom([]int{0, 0, 10, 3900, 4020, 4090, 8100}).Draw(rt, "pad")
			pad += rapid.IntRange(0, 9).Draw(rt, "more")
			head := " " + path + " HTTP/1.1\r\nHost: h\r\nPad: " + strings.Repeat("x", pad) + "\r\n"
			kinds := 1
			if i == requests-1 { // a chunked request ends the connection
				kinds = 2
			}
			switch rapid.IntRange(0, kinds).Draw(rt, "kind") {
			case 0:
				all, want = append(all, "GET"+head+"\r\n"), append(want, "GET"+path+"<nil>")
			case 1:
				all = append(all, "PUT"+head+"Content-Length: 4\r\n\r\nbody")
				want = append(want, "PUT"+path+"body<nil>")
			case 2:
				all = append(all, "PUT"+head+"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")
				want = append(want, "PUT"+path+"body<nil>")
			}
		}
		text := strings.Join(all, "")
		cuts := rapid.SliceOfN(rapid.IntRange(1, len(text)), 0, 4).Draw(rt, "cuts")
		go func() {
			for _, cut := range cuts {
				cut = min(cut, len(text))
				io.WriteString(conn, text[:cut])
				text = text[cut:]
				time.Sleep(100 * time.Microsecond)
			}
			io.WriteString(conn, text)
		}()
		answers := bufio.NewReader(conn)
		for i, w := range want {
			res, err := http.ReadResponse(answers, nil)
			if err != nil {
				rt.Fatalf("answer %d: %v", i, err)
			}
			if got, err := io.ReadAll(res.Body); string(got) != w || err != nil {
				rt.Fatalf("answer %d is %q, %v; want %q", i, got, err, w)
			}
		}
	})
}

// clock is a connection that knows only its deadline of reads.
type clock struct {
	net.Conn
	deadline time.Time
	early    int // reads that end as if a deadline had passed that is not the one that was asked for
	sets     int
}

func (c *clock) SetReadDeadline(t time.Time) error {
	c.deadline = t
	c.sets++
	return nil
}

func (c *clock) Read(p []byte) (int, error) {
	if !c.deadline.IsZero() && !c.deadline.After(time.Now()) {
		return 0, os.ErrDeadlineExceeded
	}
	if c.early > 0 {
		c.early--
		return 0, os.ErrDeadlineExceeded
	}
	return copy(p, "data"), nil
}

// TestReadDeadlines: a read ends by the deadline that was asked for last, and by no other. While
// it waits, the connection never has a later one.
func TestReadDeadlines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &clock{}
		g := newDoor(1).enter(c)
		start := time.Now()
		var want time.Time
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "set") {
				want = time.Time{}
				if h := rapid.IntRange(-1, 3).Draw(t, "hours"); h != 0 {
					want = start.Add(time.Duration(h) * time.Hour)
				}
				if err := g.SetReadDeadline(want); err != nil {
					t.Fatal(err)
				}
				continue
			}
			c.early = rapid.IntRange(0, 2).Draw(t, "early")
			_, err := g.Read(make([]byte, 16))
			if past := !want.IsZero() && want.Before(start); past != (err != nil) {
				t.Fatalf("want %v: %v", want, err)
			}
			if !want.IsZero() && (c.deadline.IsZero() || c.deadline.After(want)) {
				t.Fatalf("the connection may be read until %v, not %v", c.deadline, want)
			}
		}
	})
}

// TestUsualDeadlines: the deadlines that net/http sets around each request reach the connection
// once.
func TestUsualDeadlines(t *testing.T) {
	c := &clock{}
	g := newDoor(1).enter(c)
	for range 1000 {
		g.SetReadDeadline(time.Now().Add(idleTimeout))
		g.Read(make([]byte, 4<<10))
		for _, t := range []time.Time{time.Now().Add(headerTimeout), {}, {}, time.Unix(1, 0), {}} {
			g.SetReadDeadline(t)
		}
	}
	if c.sets != 1 {
		t.Errorf("the deadline was set %d times", c.sets)
	}
}
