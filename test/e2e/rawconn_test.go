package e2e

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"watertight/test/harness"
)

// Helpers for tests that write a connection byte by byte.

// connect opens a connection and sends the beginning of a request.
func connect(t testing.TB, endpoint, text string) *net.TCPConn {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, text) // the server may have closed the connection already
	return c.(*net.TCPConn)
}

// answerOn reads an answer to a request.
func answerOn(t *testing.T, r *bufio.Reader, req *http.Request) answer {
	t.Helper()
	res, err := http.ReadResponse(r, req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return read(t, res)
}

// headExpecting returns the head of a request whose client waits for 100 Continue before it sends size
// bytes.
func headExpecting(req *http.Request, target string, size int) string {
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", req.Method, target, req.Host, size)
	h := req.Header.Clone()
	h.Del("Content-Length")
	h.Set("Expect", "100-continue")
	h.Write(&head)
	return head.String() + "\r\n"
}

// closed reports whether the server has closed the connection. It does not wait: on a busy machine, a deadline would
// pass before anything is read.
func closed(t *testing.T, c net.Conn) (ended bool) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Time{})
	var b [4096]byte
	if err := raw.Read(func(fd uintptr) bool {
		for {
			n, err := unix.Read(int(fd), b[:])
			if n <= 0 && !errors.Is(err, unix.EINTR) {
				ended = !errors.Is(err, unix.EAGAIN)
				return true
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	return ended
}

// slow sends a request's head, calls meanwhile when the server asks for the body, and sends the rest.
// The server asks when it begins to read. By then it has identified the caller, and for a stream it has
// decided on the request.
func slow(t *testing.T, s *harness.Server, r raw, meanwhile func()) answer {
	t.Helper()
	req := signedRequest(t, s, r)
	conn := connect(t, s.Endpoint, headExpecting(req, r.target, len(r.body)))
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusContinue {
		defer res.Body.Close()
		a := read(t, res)
		t.Fatalf("%s %s: %d %s before the body", r.method, r.target, a.status, a.body)
	}
	meanwhile()
	if _, err := io.WriteString(conn, r.body); err != nil {
		t.Fatal(err)
	}
	return answerOn(t, in, req)
}

// overOneConnection writes the request and reads the answer. With half, it closes the client's half of
// the connection before.
func overOneConnection(t *testing.T, s *harness.Server, req *http.Request, half bool) answer {
	t.Helper()
	c := connect(t, s.Endpoint, "")
	var conn interface {
		net.Conn
		CloseWrite() error
	} = c
	if req.URL.Scheme == "https" {
		config := s.HTTP.TLSClientConfig.Clone()
		config.ServerName = req.URL.Hostname()
		conn = tls.Client(c, config)
	}
	req.Write(conn) // fails after the last byte if the body is too short
	if half {
		conn.CloseWrite()
	}
	return answerOn(t, bufio.NewReader(conn), req)
}

// exchange sends bytes and returns the head of the answer unchanged.
func exchange(t *testing.T, s *harness.Server, text string) (head string) {
	t.Helper()
	c := connect(t, s.Endpoint, text)
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		head += line
		if err != nil || strings.TrimSpace(line) == "" {
			return head
		}
	}
}

// onWire returns the bytes of a signed request, with exactly its headers.
func onWire(t *testing.T, s *harness.Server, r raw, drop ...string) string {
	t.Helper()
	req := signedRequest(t, s, r)
	target := req.URL.RequestURI()
	if _, rest, ok := strings.Cut(target, "//"+req.Host); ok {
		target = rest
	}
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, target, req.Host)
	for name, values := range req.Header {
		for _, v := range values {
			if name == "Host" || name == "Content-Length" {
				continue
			}
			text += name + ": " + v + "\r\n"
		}
	}
	if len(drop) == 0 {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(r.body))
	}
	return text + "\r\n" + r.body
}
