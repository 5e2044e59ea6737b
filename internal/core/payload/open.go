package payload

import (
	"bytes"
	"errors"
	"io"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// ErrQuarantined is in the error for a blob that was found damaged and is kept apart
// (see Operator.Quarantine).
var ErrQuarantined = errors.New("payload: the blob is damaged and in quarantine")

// Object is an opened object.
type Object struct {
	store  *Store
	stream *seal.Reader
	blob   blob.Reader // nil for inline bytes
}

// Open opens the bytes at a location with its data key; inline are the sealed
// bytes of one that is inline. A blob that vanished is ErrGone.
func (s *Store) Open(at Location, k DataKey, inline []byte) (*Object, error) {
	key := k.key
	if at.Blob == "" {
		if int64(len(inline)) != key.SealedSize(at.Size) {
			return nil, fault.Internal(seal.ErrCorrupt)
		}
		return &Object{s, seal.NewReader(bytes.NewReader(inline), key, at.Size), nil}, nil
	}
	b, err := s.engine.Open(at.Blob)
	if errors.Is(err, blob.ErrNotExist) && s.engine.PutBack(at.Blob) == nil { // a record points at it, after all
		b, err = s.engine.Open(at.Blob)
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

// over opens the bytes of a blob. It closes the blob if it fails.
func (s *Store) over(b blob.Reader, at Location, k DataKey) (*Object, error) {
	if b.Size() != k.key.SealedSize(at.Size) {
		return nil, fault.Internal(errors.Join(seal.ErrCorrupt, b.Close()))
	}
	return &Object{s, seal.NewReader(b, k.key, at.Size), b}, nil
}

func (o *Object) uncache() {
	if o.blob != nil {
		o.blob.Uncache()
	}
}

// Size is the plaintext's length in bytes.
func (o *Object) Size() int64 { return o.stream.Size() }

// Close lets go of the blob.
func (o *Object) Close() error {
	if o.blob == nil {
		return nil
	}
	return o.blob.Close()
}

// Range reads n plaintext bytes from off. Only the chunks of the range are
// opened, and the first one at once, so that a corrupt object is an error
// before an answer begins.
func (o *Object) Range(off, n int64) (io.ReadCloser, error) {
	if off < 0 || n < 0 || off > o.Size() || n > o.Size()-off {
		return nil, fault.Internal(io.ErrUnexpectedEOF)
	}
	r := &ranged{object: o, buf: o.store.chunks.Get().(*[]byte), off: off, left: n}
	if n > 0 {
		if err := r.fill(); err != nil {
			r.Close()
			return nil, fault.Internal(err)
		}
	}
	return r, nil
}

// ranged reads a range. No byte leaves before its chunk is authenticated.
type ranged struct {
	object  *Object
	buf     *[]byte
	off     int64 // of the next chunk to open
	left    int64 // not opened yet
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

// WriteTo implements io.WriterTo without a copy.
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

// Close gives the buffer back.
func (r *ranged) Close() error {
	if r.buf != nil {
		r.object.store.chunks.Put(r.buf)
		r.buf, r.pending, r.left = nil, nil, 0
	}
	return nil
}
