package server

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestReaderThatStandsStill: the connection of a client that never reads the answer is closed, during the
// handler's writes and after them.
func TestReaderThatStandsStill(t *testing.T) {
	large := strings.Repeat("x", 32<<20)
	for name, h := range map[string]http.HandlerFunc{
		"a body":   func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, large) },
		"a header": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Large", large) },
	} {
		t.Run(name, func(t *testing.T) {
			_, addr, closed := guarded(t, 100*time.Millisecond, io.Discard, h)
			c := connect(t, addr)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			select {
			case <-closed:
			case <-time.After(20 * time.Second):
				t.Errorf("%s: the connection is held open for a client that reads nothing", name)
			}
		})
	}
}

// TestLongWork: if a handler goes on working after the body has ended, its context
// does not end as if the client had gone away, however long the work takes.
func TestLongWork(t *testing.T) {
	const stall = 50 * time.Millisecond
	_, addr, _ := guarded(t, stall, io.Discard, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			w.WriteHeader(http.StatusTeapot)
		case <-time.After(5 * stall):
		}
	})
	c := connect(t, addr)
	r := bufio.NewReader(c)
	for i, head := range []string{"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
		"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			io.WriteString(c, head)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("%.5s: %v", head, err)
			}
			io.Copy(io.Discard, res.Body)
			if res.StatusCode != http.StatusOK {
				t.Errorf("%.5s: the context ended while the handler worked", head)
			}
		})
	}
}
