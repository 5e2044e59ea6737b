package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
)

// ChunkSize is the number of plaintext bytes in a chunk, Overhead the number of bytes that
// one layer adds to a chunk, and MaxSealedChunk the maximum size of a sealed chunk.
const (
	ChunkSize      = 64 << 10
	Overhead       = 16
	MaxSealedChunk = ChunkSize + 2*Overhead

	sealedSize = ChunkSize + Overhead
)

// A stream is its plaintext in chunks of 64 KiB, each sealed with AES-256-GCM under the
// stream's own key (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár,
// 2015, as age uses it). The nonce is the chunk's number, 11 bytes big-endian, and one byte
// that is 1 only for the last chunk. The last chunk may be short; it is empty only if the
// plaintext is empty. A key seals only one stream, so no nonce is used twice.
//
// A stream in two layers has the same chunks, each sealed first with ChaCha20-Poly1305 (RFC
// 8439) under one key and then with AES-256-GCM under another one, with the same nonce.
// Neither key opens anything by itself, and a flaw of one cipher does not disclose the
// plaintext.

// StreamKey opens one stream: Key alone or, if the stream has two layers, Key and Outer. It
// is never printed.
type StreamKey struct {
	Key   Key
	Outer *Key
}

// layers returns the number of layers of the stream.
func (k StreamKey) layers() int64 {
	if k.Outer != nil {
		return 2
	}
	return 1
}

// String keeps the keys out of logs.
func (StreamKey) String() string { return "seal.StreamKey(hidden)" }

// GoString keeps the keys out of logs.
func (k StreamKey) GoString() string { return k.String() }

// SealedSize returns the length of the stream that seals plain bytes of plaintext.
func (k StreamKey) SealedSize(plain int64) int64 { return LayeredSize(plain, k.Outer != nil) }

// Seal appends the stream of plain to dst.
func (k StreamKey) Seal(dst, plain []byte) []byte { return NewSealer(k).Append(dst, plain, true) }

// aeads are the ciphers of a stream; outer is nil if it has one layer.
type aeads struct{ inner, outer cipher.AEAD }

func (k StreamKey) aeads() aeads {
	if k.Outer == nil {
		return aeads{inner: k.Key.AEAD()}
	}
	inner, err := chacha20poly1305.New(k.Key[:])
	if err != nil {
		panic(err) // happens only for wrong key lengths
	}
	return aeads{inner, k.Outer.AEAD()}
}

// seal appends a sealed chunk to dst.
func (a *aeads) seal(dst, nonce, plain []byte) []byte {
	at := len(dst)
	dst = a.inner.Seal(dst, nonce, plain, nil)
	if a.outer == nil {
		return dst
	}
	return a.outer.Seal(dst[:at], nonce, dst[at:], nil)
}

// open opens a sealed chunk in place.
func (a *aeads) open(nonce, sealed []byte) (plain []byte, err error) {
	if a.outer != nil {
		if sealed, err = a.outer.Open(sealed[:0], nonce, sealed, nil); err != nil {
			return nil, ErrCorrupt
		}
	}
	if plain, err = a.inner.Open(sealed[:0], nonce, sealed, nil); err != nil {
		return nil, ErrCorrupt
	}
	return plain, nil
}

// SealedSize returns the length of the stream that seals plain bytes of plaintext in
// one layer.
func SealedSize(plain int64) int64 { return LayeredSize(plain, false) }

// LayeredSize is SealedSize of a stream in one layer or in two.
func LayeredSize(plain int64, two bool) int64 {
	each := int64(Overhead)
	if two {
		each = 2 * Overhead
	}
	chunks := (plain + ChunkSize - 1) / ChunkSize
	return plain + max(1, chunks)*each
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

// Seal appends the stream of plain, in one layer, to dst.
func Seal(key Key, dst, plain []byte) []byte { return StreamKey{Key: key}.Seal(dst, plain) }

// Sealer seals a stream piece by piece.
type Sealer struct {
	aeads aeads
	chunk uint64
	nonce [12]byte
}

// NewSealer returns the Sealer of one stream; its key must be used only once.
func NewSealer(k StreamKey) *Sealer { return &Sealer{aeads: k.aeads()} }

// Append seals the next piece of the plaintext and appends it to dst. Every piece but the
// last must be a whole number of chunks, and not empty.
func (s *Sealer) Append(dst, plain []byte, last bool) []byte {
	for {
		end := last && len(plain) <= ChunkSize
		part := plain[:min(len(plain), ChunkSize)]
		dst = s.aeads.seal(dst, nonce(&s.nonce, s.chunk, end), part)
		s.chunk++
		plain = plain[len(part):]
		if len(plain) == 0 {
			return dst
		}
	}
}

// Reader opens a stream of known length at any offset.
type Reader struct {
	src   io.ReaderAt
	aeads aeads
	each  int64 // bytes that the layers add to a chunk
	size  int64 // of the plaintext
	last  uint64
}

// NewReader returns a Reader of a stream whose plaintext has size bytes. A stream of
// another length can't be opened.
func NewReader(src io.ReaderAt, k StreamKey, size int64) *Reader {
	last := uint64(0)
	if size > 0 {
		last = uint64((size - 1) / ChunkSize)
	}
	return &Reader{src: src, aeads: k.aeads(), each: k.layers() * Overhead, size: size, last: last}
}

// Size returns the plaintext's length in bytes.
func (r *Reader) Size() int64 { return r.size }

// Chunk opens chunk n into buf, which must have a capacity of MaxSealedChunk bytes.
func (r *Reader) Chunk(n uint64, buf []byte) ([]byte, error) {
	if n > r.last {
		return nil, io.ErrUnexpectedEOF
	}
	length := int64(ChunkSize)
	if n == r.last {
		length = r.size - int64(n)*ChunkSize
	}
	sealed := buf[:length+r.each]
	got, err := r.src.ReadAt(sealed, int64(n)*(ChunkSize+r.each))
	if got < len(sealed) {
		if err == nil || err == io.EOF {
			err = ErrCorrupt
		}
		return nil, err
	}
	if n == r.last {
		// A Sealer never writes anything after the last chunk.
		var more [1]byte
		if m, _ := r.src.ReadAt(more[:], LayeredSize(r.size, r.aeads.outer != nil)); m != 0 {
			return nil, ErrCorrupt
		}
	}
	var nn [12]byte
	return r.aeads.open(nonce(&nn, n, n == r.last), sealed)
}

// WriteRange writes length plaintext bytes from off to w. It writes no byte before its
// chunk is authenticated. buf must have the capacity for a sealed chunk; if it is nil,
// WriteRange allocates one. It returns how many bytes were written.
func (r *Reader) WriteRange(w io.Writer, off, length int64, buf []byte) (int64, error) {
	if off < 0 || length < 0 || off > r.size || length > r.size-off {
		return 0, io.ErrUnexpectedEOF
	}
	if cap(buf) < MaxSealedChunk {
		buf = make([]byte, MaxSealedChunk)
	}
	buf = buf[:MaxSealedChunk]
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

// Open appends the plaintext of a whole stream in memory, in one layer, to dst.
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
