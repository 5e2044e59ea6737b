package server

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
)

// Limits of a connection. HTTP/2 stays off: S3 clients do not use it, and it
// multiplies what one connection can ask for.
const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 32 << 10 // protocol answers from 8 KiB on; this is where net/http ends it
	// stall is how long a client may take over one read or write before the
	// request ends: slow is fine, standing still is not.
	stall = 30 * time.Second
)

// guard stands around every request: it ends those that stand still, and turns
// a panic into an answer.
type guard struct {
	next http.Handler
	log  *slog.Logger
}

func (g guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	tracked := &progress{ResponseWriter: w, rc: rc}
	r.Body = &patientBody{ReadCloser: r.Body, rc: rc}
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		g.log.Error("panic in a handler", "panic", p, "stack", string(debug.Stack()))
		if tracked.began {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Connection", "close")
		q := protocol.Unparsed(r, protocol.NewRequestID(), time.Now())
		protocol.WriteError(w, q, fault.InternalError(nil))
	}()
	g.next.ServeHTTP(tracked, r)
	// The next request on this connection starts with no deadline of this one.
	rc.SetReadDeadline(time.Time{})
	rc.SetWriteDeadline(time.Time{})
}

// patientBody gives each read its own deadline.
type patientBody struct {
	io.ReadCloser
	rc   *http.ResponseController
	next time.Time // when the deadline is moved again
}

func (b *patientBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.After(b.next) {
		b.rc.SetReadDeadline(now.Add(stall))
		b.next = now.Add(stall / 10)
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fault.New(fault.Invalid, "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.").Because(err)
	}
	return n, err
}

// progress gives each write its own deadline and knows whether an answer began.
type progress struct {
	http.ResponseWriter
	rc    *http.ResponseController
	next  time.Time
	began bool
}

func (p *progress) WriteHeader(code int) {
	p.began = true
	p.ResponseWriter.WriteHeader(code)
}

func (p *progress) Write(b []byte) (int, error) {
	p.began = true
	if now := time.Now(); now.After(p.next) {
		p.rc.SetWriteDeadline(now.Add(stall))
		p.next = now.Add(stall / 10)
	}
	return p.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (p *progress) Unwrap() http.ResponseWriter { return p.ResponseWriter }
