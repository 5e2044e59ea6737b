package payload

import (
	"bytes"
	"errors"
	"io"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// ErrQuarantined is in the error for a blob that was found damaged and is in quarantine
// (see Operator.Quarantine).
var ErrQuarantined = errors.New("payload: the blob is damaged and in quarantine")

// Object is an opened object.
type Object struct {
	store  *Store
	stream *seal.Reader
	blob   blob.Reader  // nil for inline bytes
	inline bytes.Reader // in the object, and so is one range, to save allocations
	first  ranged
	ranges int
}

// Open opens the bytes at a location with its data key. inline are the sealed bytes if they
// are stored inline. The error is ErrGone if the blob does not exist any more.
func (s *Store) Open(at Location, k DataKey, inline []byte) (*Object, error) {
	key := k.key
	if at.Blob == "" {
		if int64(len(inline)) != key.SealedSize(at.Size) {
			return nil, fault.Internal(seal.ErrCorrupt)
		}
		o := &Object{store: s}
		o.inline.Reset(inline)
		o.stream = seal.NewReader(&o.inline, key, at.Size)
		return o, nil
	}
	b, err := s.openBlob(at.Blob)
	if errors.Is(err, blob.ErrNotExist) && s.engine.PutBack(at.Blob) == nil { // it was set aside by mistake
		b, err = s.openBlob(at.Blob)
	}
	if errors.Is(err, blob.ErrNotExist) {
		if b, qerr := s.engine.OpenQuarantined(at.Blob); qerr == nil {
			return nil, fault.Internal(errors.Join(ErrQuarantined, b.Close()))
		}
		return nil, errors.Join(ErrGone, err)
	}
	if err != nil {
		return nil, fault.Internal(err)
	}
	return s.over(b, at, k)
}

// over opens the bytes of a blob. It closes the blob after an error.
func (s *Store) over(b blob.Reader, at Location, k DataKey) (*Object, error) {
	if b.Size() != k.key.SealedSize(at.Size) {
		return nil, fault.Internal(errors.Join(seal.ErrCorrupt, b.Close()))
	}
	return &Object{store: s, stream: seal.NewReader(b, k.key, at.Size), blob: b}, nil
}

func (o *Object) uncache() {
	if o.blob != nil {
		o.blob.Uncache()
	}
}

// Size returns the plaintext's length in bytes.
func (o *Object) Size() int64 { return o.stream.Size() }

// Close closes the blob.
func (o *Object) Close() error {
	if o.blob == nil {
		return nil
	}
	return o.blob.Close()
}

// Range returns a reader of n plaintext bytes from off. It opens only the chunks of the
// range, and the first one immediately, so that a corrupt object is an error before the
// response begins.
func (o *Object) Range(off, n int64) (io.ReadCloser, error) {
	if off < 0 || n < 0 || off > o.Size() || n > o.Size()-off {
		return nil, fault.Internal(io.ErrUnexpectedEOF)
	}
	r := &o.first
	if o.ranges++; o.ranges > 1 {
		r = new(ranged)
	}
	*r = ranged{object: o, buf: o.store.chunks.Get().(*[]byte), off: off, left: n}
	if n > 0 {
		if err := r.fill(); err != nil {
			r.Close()
			return nil, fault.Internal(err)
		}
	}
	return r, nil
}

// ranged reads a range. It returns no byte before its chunk is authenticated.
type ranged struct {
	object  *Object
	buf     *[]byte
	off     int64 // offset of the next chunk to open
	left    int64 // bytes that are not opened yet
	pending []byte
}

// fill opens the next chunk.
func (r *ranged) fill() error {
	n := r.off / seal.ChunkSize
	plain, err := r.object.stream.Chunk(uint64(n), (*r.buf)[:cap(*r.buf)])
	if err != nil {
		return err
	}
	plain = plain[r.off-n*seal.ChunkSize:]
	r.pending = plain[:min(int64(len(plain)), r.left)]
	r.off += int64(len(r.pending))
	r.left -= int64(len(r.pending))
	return nil
}

func (r *ranged) Read(p []byte) (int, error) {
	if len(r.pending) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.pending)
	r.pending = r.pending[n:]
	return n, nil
}

// WriteTo implements io.WriterTo without copying.
func (r *ranged) WriteTo(w io.Writer) (written int64, err error) {
	for {
		if len(r.pending) > 0 {
			n, err := w.Write(r.pending)
			written += int64(n)
			r.pending = r.pending[n:]
			if err != nil {
				return written, err
			}
		}
		if r.left == 0 {
			return written, nil
		}
		if err := r.fill(); err != nil {
			return written, err
		}
	}
}

// Close returns the buffer to its pool.
func (r *ranged) Close() error {
	if r.buf != nil {
		r.object.store.chunks.Put(r.buf)
		r.buf, r.pending, r.left = nil, nil, 0
	}
	return nil
}
