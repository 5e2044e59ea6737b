package server_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watertight/internal/server"
	"watertight/test/harness"
)

const anonymous = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

// open connects to a server; the connection ends with the test at the latest.
func open(t *testing.T, s *harness.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { c.Close() })
	return c, bufio.NewReader(c)
}

func ask(t *testing.T, c net.Conn, r *bufio.Reader) {
	t.Helper()
	io.WriteString(c, anonymous)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("anonymous: %s", res.Status)
	}
}

// TestConnectionsAreLimited: a connection above the limit replaces that of an idle stranger. A
// client may have its answer before its connection counts as idle, and then the second
// connection can be the first idle one. It is closed in that case, and another one tries.
func TestConnectionsAreLimited(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.MaxConnections = 1 })
	for range 20 {
		first, r := open(t, s)
		ask(t, first, r)
		second, r2 := open(t, s)
		ask(t, second, r2)
		type end struct {
			of  *bufio.Reader
			err error
		}
		ends := make(chan end, 2)
		for _, r := range []*bufio.Reader{r, r2} {
			go func() {
				_, err := r.Peek(1)
				ends <- end{r, err}
			}()
		}
		closed := <-ends
		if closed.err == nil || errors.Is(closed.err, os.ErrDeadlineExceeded) {
			t.Fatalf("both are still there: %v", closed.err)
		}
		first.SetDeadline(time.Now())
		second.SetDeadline(time.Now())
		<-ends
		if closed.of == r2 {
			continue
		}
		third, r3 := open(t, s)
		ask(t, third, r3)
		return
	}
	t.Error("the second connection was closed each time")
}

// TestAllListenersOrNone: if an address is in use, the start is refused with an
// error that names it, the directory is released, and no other address stays bound.
func TestAllListenersOrNone(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	dir := t.TempDir()
	at := func(c *server.Config) {
		c.Data, c.RootKey = filepath.Join(dir, "data"), "file:"+filepath.Join(dir, "root.key")
	}
	_, err = harness.Try(t, at, func(c *server.Config) { c.Listen = []string{addr, busy.Addr().String()} })
	if err == nil || !strings.Contains(err.Error(), busy.Addr().String()) {
		t.Errorf("a busy address: %v", err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the other address is still bound")
	}
	s := harness.Start(t, at)
	c, r := open(t, s)
	ask(t, c, r)
}

// TestHeadersAreBounded: a client that sends endless headers gets an error and
// does not fill the memory.
func TestHeadersAreBounded(t *testing.T) {
	s := harness.Start(t)
	c, r := open(t, s)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nX-Fill: ")
	go io.Copy(c, io.LimitReader(endless{}, 64<<20)) // ends when the server closes the connection
	res, err := http.ReadResponse(r, nil)
	if err == nil && (res.StatusCode < 400 || res.StatusCode > 499) {
		t.Errorf("64 MiB of headers: %s", res.Status)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
