package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestWritesBetweenRequestsEnd: what is written while no request is served waits for its reader as long as a response
// does, and not for ever: each write, also if the one before was long ago.
func TestWritesBetweenRequestsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		g := newDoor(4).enter(ours)
		defer g.Close()
		g.SetWriteDeadline(time.Time{})
		for range 2 {
			began := time.Now()
			_, err := g.Write([]byte("x"))
			if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != defaultStall {
				t.Errorf("%v after %s", err, took)
			}
			time.Sleep(time.Hour)
			go io.ReadFull(theirs, make([]byte, 1))
			if _, err := g.Write([]byte("x")); err != nil {
				t.Errorf("a reader that is there: %v", err)
			}
			time.Sleep(time.Hour)
		}
	})
}

// pipes is a listener of connections in memory.
type pipes struct {
	net.Listener // nil
	all          chan net.Conn
}

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p.all; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p.all); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// full is a connection that, once it is told so, takes no more bytes until it is closed.
type full struct {
	net.Conn
	is     *atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (f *full) Write(p []byte) (int, error) {
	if f.is.Load() {
		<-f.closed
		return 0, net.ErrClosed
	}
	return f.Conn.Write(p)
}

func (f *full) Close() error {
	f.once.Do(func() { close(f.closed) })
	return f.Conn.Close()
}

// TestStopWithStuckClients: clients under TLS that take no more bytes hold the end of a server no longer than
// requests may.
func TestStopWithStuckClients(t *testing.T) {
	made := httptest.NewTLSServer(nil)
	made.Close()
	certs := &tls.Config{Certificates: made.TLS.Certificates}
	quiet := log.New(io.Discard, "", 0)
	for name, under := range map[string]func(*door, pipes) net.Listener{
		"that may be parked": func(d *door, p pipes) net.Listener {
			return listener{p, d, nil, &security{certs, quiet}}
		},
		"of net/http": func(d *door, p pipes) net.Listener {
			return tls.NewListener(listener{p, d, nil, nil}, certs)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, p := newDoor(100), pipes{all: make(chan net.Conn)}
			h := &http.Server{
				Handler: http.NotFoundHandler(), ConnContext: withGuest, ConnState: follow, ErrorLog: quiet,
			}
			go h.Serve(under(d, p))
			var stuck atomic.Bool
			for range 4 {
				ours, theirs := net.Pipe()
				defer theirs.Close()
				p.all <- &full{Conn: ours, is: &stuck, closed: make(chan struct{})}
				c := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true})
				if _, err := io.WriteString(c, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "all are idle", func() bool {
				now, _ := d.count(idleStranger)
				return now == 4
			})
			stuck.Store(true)
			limit, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			d.end(limit, h.Shutdown) // else it would never return
			h.Close()
		})
	}
}
