package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// written is an answer whose header comes in lines, or in http.Header.
type written struct {
	pieces  []int // sizes of the handler's writes
	lines   int   // how many header lines
	long    int   // characters in each
	length  bool  // Content-Length is known
	header  http.Header
	refused bool // lines can't be added
}

// serve answers /lines and /header with the same.
func (c *written) serve(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		total := 0
		for _, n := range c.pieces {
			total += n
		}
		h := http.Header{}
		for i := range c.lines {
			h.Set(fmt.Sprint("X-", i), strings.Repeat("v", c.long))
		}
		h.Set("Content-Type", "text/css")
		h.Set("Date", "Mon, 30 Nov 2026 11:31:36 GMT")
		if r.URL.Path == "/lines" {
			var b bytes.Buffer
			h.Write(&b)
			to := w.(interface{ AddLines(_, _ []byte) bool })
			if ok := to.AddLines(b.Bytes(), []byte("Age: 7\r\n")); ok == c.refused {
				t.Errorf("AddLines: %t", ok)
			}
			h = http.Header{"Content-Type": nil, "Date": nil}
		} else {
			h.Set("Age", "7")
		}
		for name, values := range h {
			w.Header()[name] = values
		}
		for name, values := range c.header {
			w.Header()[name] = values
		}
		if c.length {
			w.Header().Set("Content-Length", strconv.Itoa(total))
		}
		for i, n := range c.pieces {
			if _, err := w.Write(bytes.Repeat([]byte{'a' + byte(i)}, n)); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestLines: an answer whose header is added in lines is the answer that net/http writes with
// the same header: for each version of HTTP, whether the connection stays, and for several
// requests at once.
func TestLines(t *testing.T) {
	requests := map[string]string{
		"GET":            "GET %s HTTP/1.1\r\nHost: h\r\n\r\n",
		"two at once":    "GET %[1]s HTTP/1.1\r\nHost: h\r\n\r\nGET %[1]s HTTP/1.1\r\nHost: h\r\n\r\n",
		"HEAD":           "HEAD %s HTTP/1.1\r\nHost: h\r\n\r\n",
		"close":          "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"1.0":            "GET %s HTTP/1.0\r\n\r\n",
		"1.0 keep-alive": "GET %s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	}
	for _, c := range []*written{
		{lines: 3, long: 10, length: true},
		{lines: 3, long: 10},
		{lines: 3, long: 2 << 10, length: true, header: http.Header{"X-Long": {strings.Repeat("x", 5000)}}},
		{pieces: []int{1}, lines: 3, long: 10, length: true},
		{pieces: []int{10 << 10}, lines: 8, long: 40, length: true},
		{pieces: []int{2047, 1}, lines: 1, length: true},
		{pieces: []int{4096, 4096, 1}, lines: 9, long: 900, length: true},
		{pieces: []int{100 << 10, 100 << 10}, lines: 2, long: 20 << 10, length: true},
		{pieces: []int{10 << 10, 1}, lines: 2, long: 10},
		{pieces: []int{10 << 10}, lines: 2, long: 10, length: true, header: http.Header{"Connection": {"close"}}},
	} {
		dial := dialled(t, false, c.serve(t))
		for name, request := range requests {
			t.Run(fmt.Sprint(name, c.pieces, c.lines, c.length, c.header), func(t *testing.T) {
				var answers [2]string
				for i, path := range []string{"/lines", "/header"} {
					conn := dial(t)
					text := fmt.Sprintf(request, path)
					io.WriteString(conn, text)
					answers[i] = exchanged(t, bufio.NewReader(conn), text)
				}
				if answers[0] != answers[1] || !strings.Contains(answers[0], "200") {
					t.Errorf("with lines:\n%.600s\nwith a header:\n%.600s", answers[0], answers[1])
				}
			})
		}
	}
}

// TestLinesOfHEAD: a response to HEAD whose headers are all lines, those about the body too, is the one that net/http
// writes with the same header.
func TestLinesOfHEAD(t *testing.T) {
	dial := dialled(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := http.Header{"Content-Length": {"1024"}, "Content-Type": {"text/css"}, "Content-Encoding": {"br"}}
		if r.URL.Path == "/header" {
			maps.Copy(w.Header(), h)
		} else {
			var b bytes.Buffer
			h.Write(&b)
			if !w.(interface{ AddLines(_, _ []byte) bool }).AddLines(nil, b.Bytes()) {
				t.Error("lines are refused")
			}
		}
		status, _ := strconv.Atoi(r.URL.RawQuery)
		w.WriteHeader(status)
	}))
	for name, request := range map[string]string{
		"1.1":            "HEAD %s HTTP/1.1\r\nHost: h\r\n\r\n",
		"two at once":    "HEAD %[1]s HTTP/1.1\r\nHost: h\r\n\r\nHEAD %[1]s HTTP/1.1\r\nHost: h\r\n\r\n",
		"close":          "HEAD %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"1.0":            "HEAD %s HTTP/1.0\r\n\r\n",
		"1.0 keep-alive": "HEAD %s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	} {
		for _, status := range []string{"200", "206"} {
			t.Run(name+" "+status, func(t *testing.T) {
				var answers [2]string
				for i, path := range []string{"/lines?", "/header?"} {
					conn := dial(t)
					text := fmt.Sprintf(request, path+status)
					io.WriteString(conn, text)
					answers[i] = exchanged(t, bufio.NewReader(conn), text)
				}
				if answers[0] != answers[1] || !strings.Contains(answers[0], "Content-Length: 1024") {
					t.Errorf("with lines:\n%s\nwith a header:\n%s", answers[0], answers[1])
				}
			})
		}
	}
}

// exchanged describes all answers to the requests of a text, and whether the connection ends.
func exchanged(t *testing.T, from *bufio.Reader, text string) string {
	t.Helper()
	var b strings.Builder
	method, _, _ := strings.Cut(text, " ")
	for range strings.Count(text, "HTTP/1.") {
		res, err := http.ReadResponse(from, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		fmt.Fprintln(&b, res.Proto, res.Status, res.ContentLength, res.TransferEncoding, res.Close, err)
		res.Header.Write(&b)
		b.Write(body)
		if res.Close {
			rest, err := io.ReadAll(from)
			fmt.Fprint(&b, string(rest), err)
			break
		}
	}
	return b.String()
}

// TestLinesNeedPlainConnections: where a response does not go out unencrypted by HTTP/1, or has
// begun, lines are refused, and the header is net/http's.
func TestLinesNeedPlainConnections(t *testing.T) {
	c := &written{pieces: []int{10}, length: true, refused: true}
	dial := dialled(t, true, c.serve(t))
	conn := dial(t)
	io.WriteString(conn, "GET /lines HTTP/1.1\r\nHost: h\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Age") != "" {
		t.Error(res, err)
	}
	plain := dialled(t, false, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		if w.(interface{ AddLines(_, _ []byte) bool }).AddLines([]byte("A: b\r\n"), nil) {
			t.Error("lines are added to a header that has begun")
		}
	}))(t)
	io.WriteString(plain, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(plain), nil); err != nil || res.StatusCode != http.StatusOK {
		t.Error(res, err)
	}
}

// TestPanicsForgetLines: the answer to a panic has no line of the answer that was being made.
func TestPanicsForgetLines(t *testing.T) {
	conn := dialled(t, false, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(interface{ AddLines(_, _ []byte) bool }).AddLines(nil, []byte("Of-Success: yes\r\n"))
		panic("on purpose")
	}))(t)
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode < 500 || res.Header.Get("Of-Success") != "" {
		t.Error(res, err)
	}
}

// TestViewersThatBreakOff: a write to a client that has gone fails, with lines as without them.
func TestViewersThatBreakOff(t *testing.T) {
	failed := make(chan error, 2)
	dial := dialled(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/lines" {
			w.(interface{ AddLines(_, _ []byte) bool }).AddLines([]byte("A: b\r\n"), nil)
		}
		<-r.Context().Done()
		var err error
		for range 1000 { // until the kernel knows
			if _, err = w.Write(make([]byte, 64<<10)); err != nil {
				break
			}
		}
		failed <- err
	}))
	for _, path := range []string{"/lines", "/header"} {
		conn := dial(t)
		io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
		conn.Close()
		if err := <-failed; err == nil {
			t.Errorf("%s: writing to a client that has gone succeeds", path)
		}
	}
}
