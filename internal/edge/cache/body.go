package cache

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"watertight/internal/storage/seal"
)

// Body is the body of an answer. It is used by one goroutine.
type Body interface {
	io.ReadCloser
	io.WriterTo
	// Select limits what is read to n bytes from off. It is called at most once, before
	// anything is read.
	Select(off, n int64) error
}

// source has the plaintext of a body.
type source interface {
	// piece returns bytes from off on, at least one, which are valid until the next call, or
	// io.EOF. It waits for bytes that did not arrive yet.
	piece(ctx context.Context, off int64) ([]byte, error)
	close()
}

// reader reads a source.
type reader struct {
	ctx  context.Context
	src  source
	off  int64
	end  int64 // -1: to the end
	done func()
}

var errClosed = errors.New("cache: body is closed")

func (r *reader) Select(off, n int64) error {
	r.off, r.end = off, off+n
	return nil
}

// next returns the next bytes.
func (r *reader) next() ([]byte, error) {
	if r.src == nil {
		return nil, errClosed
	}
	if r.end >= 0 && r.off >= r.end {
		return nil, io.EOF
	}
	p, err := r.src.piece(r.ctx, r.off)
	if err != nil {
		return nil, err
	}
	if r.end >= 0 {
		p = p[:min(int64(len(p)), r.end-r.off)]
	}
	return p, nil
}

func (r *reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	p, err := r.next()
	n := copy(b, p)
	r.off += int64(n)
	return n, err
}

func (r *reader) WriteTo(w io.Writer) (written int64, err error) {
	for {
		p, err := r.next()
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(p)
		r.off += int64(n)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
}

func (r *reader) Close() error {
	if r.src == nil {
		return nil
	}
	r.src.close()
	r.src = nil
	if r.done != nil {
		r.done()
	}
	return nil
}

func (h *hot) piece(_ context.Context, off int64) ([]byte, error) {
	if off >= h.size {
		return nil, io.EOF
	}
	return h.chunks[off/seal.ChunkSize][off%seal.ChunkSize:], nil
}

func (h *hot) close() {}

// held is the body of an entry in memory. It does not keep the body there when it is cut off.
type held struct {
	body atomic.Pointer[hot]
	end  func()
}

// held returns the body of an entry in memory. A viewer who reads it slowly is cut off when it was
// evicted and too much of such bodies is held.
func (c *Cache) held(e *entry, h *hot) (source, error) {
	s := &held{}
	s.body.Store(h)
	_, err := c.open.read(e.file, e.size, func() (io.Closer, error) { return s, nil })
	if err != nil {
		return nil, err
	}
	n := e.file // the entry has the body
	s.end = func() { c.open.close(n, s) }
	c.mu.RLock()
	in := c.index.entries[e.key]
	c.mu.RUnlock()
	if in == nil || in.file != e.file { // it was evicted before it was counted
		c.open.removed(e.file)
	}
	return s, nil
}

func (s *held) piece(ctx context.Context, off int64) ([]byte, error) {
	h := s.body.Load()
	if h == nil {
		return nil, errSlow
	}
	return h.piece(ctx, off)
}

// Close cuts off the reader.
func (s *held) Close() error {
	s.body.Store(nil)
	return nil
}

func (s *held) close() { s.end() }

// through is the body of a response that is not stored.
type through struct {
	body io.ReadCloser
	done func()
	stop func() bool // ends the watch over the viewer's context
	once sync.Once
	left int64 // what Select left to be read
	cut  bool
}

// Select reads and discards the bytes before off.
func (t *through) Select(off, n int64) error {
	if _, err := io.CopyN(io.Discard, t.body, off); err != nil {
		return err
	}
	t.left, t.cut = n, true
	return nil
}

func (t *through) Read(b []byte) (int, error) {
	if t.cut {
		if t.left == 0 {
			return 0, io.EOF
		}
		b = b[:min(int64(len(b)), t.left)]
	}
	n, err := t.body.Read(b)
	t.left -= int64(n)
	return n, err
}

func (t *through) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{t})
}

func (t *through) Close() (err error) {
	t.once.Do(func() {
		if t.stop != nil {
			t.stop()
		}
		err = t.body.Close()
		if t.done != nil {
			t.done()
		}
	})
	return err
}

// empty is the body of a HEAD.
type empty struct{}

func (empty) piece(context.Context, int64) ([]byte, error) { return nil, io.EOF }
func (empty) close()                                       {}

func (s *stream) piece(_ context.Context, off int64) ([]byte, error) {
	if off >= s.size {
		return nil, io.EOF
	}
	p, err := s.chunks.at(off)
	if err != nil {
		s.damaged(err)
	}
	return p, err
}

func (s *stream) close() {
	s.chunks.close()
	s.end()
}

// buffers are those that chunks are opened in.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[seal.MaxSealedChunk]byte {
	if buf, ok := b.pool.Get().(*[seal.MaxSealedChunk]byte); ok {
		return buf
	}
	return new([seal.MaxSealedChunk]byte)
}

func (b *buffers) put(buf *[seal.MaxSealedChunk]byte) { b.pool.Put(buf) }
