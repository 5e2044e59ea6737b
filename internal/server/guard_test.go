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
	"testing"
	"time"
)

// guarded serves a handler as the server would, and reports closed connections.
func guarded(
	t *testing.T, stall time.Duration, log io.Writer, h http.HandlerFunc,
) (s *httptest.Server, addr string, closed chan struct{}) {
	t.Helper()
	closed = make(chan struct{}, 16)
	s = httptest.NewUnstartedServer(guard{
		next: h, log: slog.New(slog.NewTextHandler(log, nil)), stall: stall, fail: internalError,
	})
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, s.Listener.Addr().String(), closed
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// TestPanics: a panic before the answer becomes an InternalError without details; a panic within the answer
// cuts the connection. After both, the server continues, and the stack is in the log.
func TestPanics(t *testing.T) {
	var log strings.Builder
	s, addr, _ := guarded(t, time.Minute, &log, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/before":
			panic("the secret of the house")
		case "/within":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
			panic("late")
		}
	})
	c := connect(t, addr)
	io.WriteString(c, "PUT /before HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody")
	all, err := io.ReadAll(c) // until the server closes it
	if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 500 ") ||
		!strings.Contains(string(all), "<Code>InternalError</Code>") {
		t.Errorf("%s, %v", all, err)
	}
	if strings.Contains(string(all), "secret") {
		t.Error("the panic's value was sent")
	}
	if res, err := http.Get("http://" + addr + "/within"); err == nil {
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Error("the client accepted a truncated answer")
		}
		res.Body.Close()
	}
	res, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("after the panics: %s", res.Status)
	}
	s.Close() // waits for the handlers, and so for what they log
	for _, want := range []string{"the secret of the house", "late", "guard_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// TestConnectionIsUsedAgain: neither a refusal that leaves a small body unread
// nor an idle time longer than a stall costs a client its connection.
func TestConnectionIsUsedAgain(t *testing.T) {
	const stall = 50 * time.Millisecond
	_, addr, _ := guarded(t, stall, io.Discard, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	})
	c := connect(t, addr)
	r := bufio.NewReader(c)
	for range 3 {
		fmt.Fprint(c, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		if res.Close {
			t.Error("the connection was closed after a refusal with a small body")
		}
		time.Sleep(2 * stall)
	}
}
