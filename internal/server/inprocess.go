package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"

	"watertight/internal/core/cdn"
	"watertight/internal/edge/origin"
	"watertight/internal/gateway/authn"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/limit"
	"watertight/internal/storage/seal"
)

// bucketOrigins sends the requests of this process's edge through the dispatcher, without a
// connection. It implements origin.Buckets.
type bucketOrigins struct {
	dispatcher *dispatch.Dispatcher
	root       *seal.Ring
	memory     *limit.Memory
	log        *slog.Logger
	running    sync.WaitGroup
}

// RoundTrip implements origin.Buckets.
func (b *bucketOrigins) RoundTrip(
	ctx context.Context, bucket string, r *http.Request, from origin.Sender,
) (*http.Response, error) {
	return b.send(ctx, bucket, r, from, cdn.Service)
}

// send sends a request as a service principal. The pipeline runs in a goroutine of its own
// until the response has been read or closed, or ctx ends.
func (b *bucketOrigins) send(
	ctx context.Context, bucket string, r *http.Request, from origin.Sender, service string,
) (*http.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	held := b.memory.Open(nil)
	inner := r.WithContext(limit.With(ctx, held))
	inner.RequestURI = r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		inner.RequestURI += "?" + r.URL.RawQuery
	}
	w := newPiped(r.Method)
	stop := context.AfterFunc(ctx, func() { w.writer.CloseWithError(context.Cause(ctx)) })
	b.running.Go(func() {
		defer cancel()
		defer stop()
		defer held.Close()
		defer b.root.Hold().Release()
		defer func() { w.end(b.recovered(recover())) }()
		b.dispatcher.ServeInProcess(w, inner, dispatch.InProcess{
			Bucket: bucket, Signs: from.Signs, Secure: from.Secure,
			Service: authn.Service{Name: service, SourceARN: from.SourceARN, SourceAccount: from.SourceAccount},
		})
	})
	select {
	case <-w.began:
	case <-ctx.Done():
		select {
		case <-w.began: // the pipeline ended, and cancelled the context
		default:
			return nil, context.Cause(ctx)
		}
	}
	if w.failure != nil {
		return nil, w.failure
	}
	return w.response(inner, cancel), nil
}

// recovered returns the error with which a response ends after a panic.
func (b *bucketOrigins) recovered(p any) error {
	if p == nil {
		return nil
	}
	if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		b.log.Error("panic in a request in process", "panic", p, "stack", string(debug.Stack()))
	}
	return io.ErrUnexpectedEOF
}

// piped is the response of a request in process: what a handler writes is read at the other
// end.
type piped struct {
	header, sent http.Header
	status       int
	silent       bool          // no body is sent
	length, done int64         // declared bytes of the body, or -1; and those that were written
	began        chan struct{} // closed when status and headers are final
	failure      error         // set before began is closed, instead of them
	reader       *io.PipeReader
	writer       *io.PipeWriter
}

func newPiped(method string) *piped {
	p := &piped{header: http.Header{}, silent: method == http.MethodHead, began: make(chan struct{})}
	p.reader, p.writer = io.Pipe()
	return p
}

// Header implements http.ResponseWriter.
func (p *piped) Header() http.Header { return p.header }

// WriteHeader implements http.ResponseWriter.
func (p *piped) WriteHeader(status int) {
	if p.status != 0 || status < 200 {
		return
	}
	p.status, p.sent = status, received(p.header)
	p.silent = p.silent || status == http.StatusNoContent || status == http.StatusNotModified
	p.length = -1
	if n, err := strconv.ParseInt(p.sent.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		p.length = n
	}
	close(p.began)
}

// received returns a header as a client of HTTP reads it: handlers may spell names as they are sent.
func received(sent http.Header) http.Header {
	h := make(http.Header, len(sent))
	for name, values := range sent {
		name = http.CanonicalHeaderKey(name)
		h[name] = append(h[name], values...)
	}
	return h
}

// Status returns the status of the response; 200 before it has begun.
func (p *piped) Status() int { return cmp.Or(p.status, http.StatusOK) }

// Write implements http.ResponseWriter.
func (p *piped) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	if p.silent {
		return len(b), nil
	}
	n, err := p.writer.Write(b)
	p.done += int64(n)
	return n, err
}

// end ends the response. It is whole if err is nil and the body has its declared length.
func (p *piped) end(err error) {
	if p.status == 0 && err != nil {
		p.failure = err
		close(p.began)
	} else {
		p.WriteHeader(http.StatusOK)
	}
	if err == nil && !p.silent && p.length >= 0 && p.done != p.length {
		err = io.ErrUnexpectedEOF
	}
	p.writer.CloseWithError(err)
}

// response returns the response to read; began is closed.
func (p *piped) response(r *http.Request, cancel func()) *http.Response {
	return &http.Response{
		Status: strconv.Itoa(p.status) + " " + http.StatusText(p.status), StatusCode: p.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: p.sent, ContentLength: p.length,
		Body: pipedBody{p.reader, cancel}, Request: r,
	}
}

// pipedBody cancels the request when the response is closed.
type pipedBody struct {
	*io.PipeReader
	cancel func()
}

func (b pipedBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}
