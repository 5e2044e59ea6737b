package server

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/protocol"
	"watertight/internal/limit"
)

// Limits of a connection. HTTP/2 stays off: S3 clients do not use it, and it
// multiplies what one connection can ask for.
const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10 // net/http stops here; protocol refuses more than 8 KiB without the URL
	// defaultStall is the maximum duration of one read or write of a client: a client may
	// be slow, but must not stop.
	defaultStall = 30 * time.Second
)

// guard wraps every request: it ends requests that make no progress, and turns a panic into
// a response.
type guard struct {
	next   http.Handler
	log    *slog.Logger
	stall  time.Duration
	memory *limit.Memory
	fail   func(http.ResponseWriter, *http.Request) // answers after a panic
}

func (g guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	expectNothing(w, r)
	visitor, _ := r.Context().Value(guestKey{}).(*guest)
	both := struct { // one allocation
		rc      http.ResponseController
		body    patientBody
		tracked progress
		watched watched
	}{rc: *http.NewResponseController(w)}
	rc, body, tracked := &both.rc, &both.body, &both.tracked
	*body = patientBody{ReadCloser: r.Body, rc: rc, stall: g.stall, ended: r.Body == http.NoBody}
	*tracked = progress{ResponseWriter: w, rc: rc, stall: g.stall, body: body}
	// A chunked request may also have had a Content-Length, which net/http removed. A proxy that went by
	// it would take what follows for another request (RFC 9112, section 6.1).
	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
	}
	plain := r.ProtoMajor == 1 && r.TLS == nil
	if body.ended && r.ProtoMajor == 1 {
		tracked.visitor = visitor
		tracked.plain = plain
	}
	tracked.begin()
	// net/http checks the type of its own request's body when it finishes the request, so
	// only a copy gets the patientBody.
	held := g.enter(visitor)
	defer held.Close()
	ctx := r.Context()
	switch {
	case visitor != nil && plain:
		both.watched.Context, both.watched.guest, both.watched.began = ctx, visitor, time.Now()
		ctx = &both.watched
		defer both.watched.end()
		fallthrough
	case visitor != nil && !body.ended:
		visitor.reads.serves(!body.ended, plain)
		defer visitor.reads.serves(false, false)
	}
	inner := r.WithContext(limit.With(ctx, held))
	inner.Body = body
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
		tracked.AddLines(nil, nil)
		g.fail(tracked, r)
		tracked.extend()
	}()
	g.next.ServeHTTP(tracked, inner)
	held.Close()
	// net/http still has to read the rest of the body and to write the response.
	body.settle()
	if time.Now().After(tracked.next) {
		tracked.extend()
	}
	if len(r.Header["Expect"]) == 0 {
		body.linger(rc)
	}
}

// expectNothing answers 100 Continue to a client that waits for it before it sends an empty
// body, which net/http leaves out. AWS's SDK for Python (botocore) takes the status line of a
// final response at that moment for the one of its next request on the connection, too, and
// waits for that until it times out.
func expectNothing(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 && r.ProtoMajor == 1 && r.ProtoMinor > 0 &&
		strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		w.WriteHeader(http.StatusContinue)
	}
}

// internalError answers a request of the API after a panic.
func internalError(w http.ResponseWriter, r *http.Request) {
	rest.WriteError(w, protocol.Unparsed(r, protocol.NewRequestID(), time.Now()), fault.Internal(nil))
}

// enter opens the memory account of a request, and tells its connection that a
// request has begun.
func (g guard) enter(visitor *guest) *limit.Account {
	if visitor == nil {
		return g.memory.Open(nil)
	}
	visitor.beginRequest()
	return g.memory.Open(visitor.told)
}

// maxLinger is the number of bytes of a body that are read and discarded if they are not
// needed. A client that sends its whole body before it reads would otherwise get a
// connection reset instead of the response.
const maxLinger = 8 << 20

// linger sends the response, and then reads and discards the rest of the body for as long
// as settle allows.
func (b *patientBody) linger(rc *http.ResponseController) {
	if b.ended || b.failed || rc.Flush() != nil {
		return
	}
	_, err := io.CopyN(io.Discard, b.ReadCloser, maxLinger)
	b.failed = err != nil && err != io.EOF // after any error, nothing more can be read
}

// patientBody sets a new deadline for each read. There is none after the body has ended,
// because net/http would take it for a client that disconnected.
type patientBody struct {
	io.ReadCloser
	rc            *http.ResponseController
	stall         time.Duration
	next          time.Time // when the deadline must be set again
	end           time.Time // deadline of the whole body; zero means none
	ended, failed bool
}

func (b *patientBody) Read(p []byte) (int, error) {
	if now := time.Now(); !b.ended && now.After(b.next) {
		deadline := now.Add(b.stall)
		if !b.end.IsZero() && b.end.Before(deadline) {
			deadline = b.end
		}
		b.rc.SetReadDeadline(deadline)
		b.next = now.Add(b.stall / 10)
		if !deadline.After(now) { // applies even to bytes that have already arrived
			b.failed = true
			return 0, tooSlow(os.ErrDeadlineExceeded)
		}
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		if !b.ended {
			b.rc.SetReadDeadline(time.Time{})
		}
		b.ended = true
	case err != nil:
		b.failed = true
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = tooSlow(err)
	}
	return n, err
}

func tooSlow(err error) error {
	return fault.Of(fault.RequestTimeout).Because(err)
}

// EndBy implements protocol.Bound.
func (b *patientBody) EndBy(at time.Time) { b.end, b.next = at, time.Time{} }

// settle limits how long net/http may wait for the part of the body that the handler did not read.
func (b *patientBody) settle() {
	if !b.ended {
		b.rc.SetReadDeadline(time.Now().Add(b.stall))
	}
}

// progress sets a new deadline for each write, and records whether a response has begun.
type progress struct {
	http.ResponseWriter
	rc    *http.ResponseController
	stall time.Duration
	body  *patientBody
	next  time.Time
	began bool
	code  int // the status of the response, once it has begun

	visitor *guest // of a request of HTTP/1 without a body; else nil
	plain   bool   // it has no TLS
	wrote   bool
}

// begin replaces the deadline of the previous request, unless there is about as much time
// left as extend would give.
func (p *progress) begin() {
	if p.visitor != nil {
		if until := p.visitor.until.Load(); until != nil {
			p.next = until.Add(p.stall/10 - p.stall)
			if left := time.Until(*until); left <= p.stall && left > p.stall-p.stall/10 {
				p.visitor.endless.Store(false)
				return
			}
		}
	}
	p.extend()
}

// extend sets a new deadline for writes. Before the first write, net/http may wait for the
// rest of the body.
func (p *progress) extend() {
	now, wait := time.Now(), p.stall
	if !p.body.ended {
		wait *= 2
	}
	p.rc.SetWriteDeadline(now.Add(wait))
	p.next = now.Add(p.stall / 10)
}

func (p *progress) WriteHeader(code int) {
	p.began, p.code = true, code
	if p.body.failed { // the rest of such a body is not read
		p.Header().Set("Connection", "close")
	}
	p.body.settle()
	p.ResponseWriter.WriteHeader(code)
}

func (p *progress) Write(b []byte) (int, error) {
	if !p.began {
		p.WriteHeader(http.StatusOK)
	}
	if time.Now().After(p.next) {
		p.extend()
	}
	if p.visitor == nil || !p.plain || p.wrote {
		return p.ResponseWriter.Write(b)
	}
	p.wrote = true
	p.visitor.hold()
	n, err := p.ResponseWriter.Write(b)
	if late := p.visitor.sendHeld(); err == nil && late != nil {
		return 0, late
	}
	return n, err
}

// AddLines sets the lines that are added to the header of the response. Each ends with CRLF, and is sent as it is. They
// are not changed any more. It reports false if that is not possible for this response.
func (p *progress) AddLines(shared, own []byte) bool {
	if p.visitor == nil || !p.plain || p.began {
		return false
	}
	p.visitor.joint.lines = lines{shared, own}
	return true
}

// Status returns the status of the response; 200 before it has begun.
func (p *progress) Status() int { return cmp.Or(p.code, http.StatusOK) }

// Unwrap lets http.ResponseController reach the connection.
func (p *progress) Unwrap() http.ResponseWriter { return p.ResponseWriter }
