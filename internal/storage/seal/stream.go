package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"io"
)

// ChunkSize is how many bytes of plaintext one chunk seals, and Overhead how many
// bytes a chunk adds.
const (
	ChunkSize  = 64 << 10
	Overhead   = 16
	sealedSize = ChunkSize + Overhead
)

// A stream is its plaintext in chunks of 64 KiB, each sealed with AES-256-GCM
// under the stream's own key (the STREAM construction of Hoang, Reyhanitabar,
// Rogaway and Vizár, 2015, as age uses it). The nonce is the chunk's number,
// 11 bytes big-endian, and one byte that is 1 only for the last chunk. The
// last chunk may be short, and is empty only in the stream of no bytes. A key
// seals one stream, so no nonce comes twice.

// SealedSize returns the length of the stream that seals plain bytes of plaintext.
func SealedSize(plain int64) int64 {
	chunks := (plain + ChunkSize - 1) / ChunkSize
	return plain + max(1, chunks)*Overhead
}

// nonce sets n to the nonce of a chunk.
func nonce(n *[12]byte, chunk uint64, last bool) []byte {
	*n = [12]byte{}
	binary.BigEndian.PutUint64(n[3:11], chunk)
	if last {
		n[11] = 1
	}
	return n[:]
}

// Seal appends the stream of plain to dst.
func Seal(key Key, dst, plain []byte) []byte {
	return NewSealer(key).Append(dst, plain, true)
}

// Sealer seals a stream piece by piece.
type Sealer struct {
	aead  cipher.AEAD
	chunk uint64
	nonce [12]byte
}

// NewSealer returns the sealer of one stream under a fresh key.
func NewSealer(key Key) *Sealer { return &Sealer{aead: key.AEAD()} }

// Append seals the next piece of the plaintext and appends it to dst. Every
// piece but the last is a whole number of chunks, and not empty.
func (s *Sealer) Append(dst, plain []byte, last bool) []byte {
	for {
		end := last && len(plain) <= ChunkSize
		part := plain[:min(len(plain), ChunkSize)]
		dst = s.aead.Seal(dst, nonce(&s.nonce, s.chunk, end), part, nil)
		s.chunk++
		plain = plain[len(part):]
		if len(plain) == 0 {
			return dst
		}
	}
}

// Reader opens a stream of known length at any position.
type Reader struct {
	src  io.ReaderAt
	aead cipher.AEAD
	size int64 // plaintext
	last uint64
}

// NewReader returns a reader of a stream whose plaintext has size bytes. A
// stream of another length does not open.
func NewReader(src io.ReaderAt, key Key, size int64) *Reader {
	last := uint64(0)
	if size > 0 {
		last = uint64((size - 1) / ChunkSize)
	}
	return &Reader{src: src, aead: key.AEAD(), size: size, last: last}
}

// Size returns the plaintext's length in bytes.
func (r *Reader) Size() int64 { return r.size }

// Chunk opens chunk n into buf, which has room for ChunkSize+Overhead bytes.
func (r *Reader) Chunk(n uint64, buf []byte) ([]byte, error) {
	if n > r.last {
		return nil, io.ErrUnexpectedEOF
	}
	length := int64(ChunkSize)
	if n == r.last {
		length = r.size - int64(n)*ChunkSize
	}
	sealed := buf[:length+Overhead]
	got, err := r.src.ReadAt(sealed, int64(n)*sealedSize)
	if got < len(sealed) {
		if err == nil || err == io.EOF {
			err = ErrCorrupt
		}
		return nil, err
	}
	if n == r.last {
		// A Sealer never writes anything behind the last chunk.
		var more [1]byte
		if m, _ := r.src.ReadAt(more[:], SealedSize(r.size)); m != 0 {
			return nil, ErrCorrupt
		}
	}
	var nn [12]byte
	plain, err := r.aead.Open(sealed[:0], nonce(&nn, n, n == r.last), sealed, nil)
	if err != nil {
		return nil, ErrCorrupt
	}
	return plain, nil
}

// WriteRange writes length plaintext bytes, beginning at off, to w. No byte is
// written before its chunk is authenticated. buf has room for a sealed chunk; if it
// is nil, WriteRange makes one. It returns how many bytes were written.
func (r *Reader) WriteRange(w io.Writer, off, length int64, buf []byte) (int64, error) {
	if off < 0 || length < 0 || off > r.size || length > r.size-off {
		return 0, io.ErrUnexpectedEOF
	}
	if cap(buf) < sealedSize {
		buf = make([]byte, sealedSize)
	}
	buf = buf[:sealedSize]
	var written int64
	for first := true; length > 0 || first && r.size == 0; first = false {
		n := uint64(off / ChunkSize)
		plain, err := r.Chunk(n, buf)
		if err != nil {
			return written, err
		}
		plain = plain[off-int64(n)*ChunkSize:]
		plain = plain[:min(int64(len(plain)), length)]
		m, err := w.Write(plain)
		written += int64(m)
		if err != nil {
			return written, err
		}
		off, length = off+int64(m), length-int64(m)
	}
	return written, nil
}

// Open appends the plaintext of a whole stream in memory to dst.
func Open(key Key, dst, sealed []byte) ([]byte, error) {
	full := int64(len(sealed)) / sealedSize
	rest := int64(len(sealed)) % sealedSize
	chunks := full
	if rest > 0 {
		chunks++
	}
	if chunks == 0 || rest > 0 && rest < Overhead || rest == Overhead && full > 0 {
		return nil, ErrCorrupt
	}
	a := key.AEAD()
	var n [12]byte
	for i := range chunks {
		part := sealed[i*sealedSize : min(int64(len(sealed)), (i+1)*sealedSize)]
		var err error
		if dst, err = a.Open(dst, nonce(&n, uint64(i), i == chunks-1), part, nil); err != nil {
			return nil, ErrCorrupt
		}
	}
	return dst, nil
}
