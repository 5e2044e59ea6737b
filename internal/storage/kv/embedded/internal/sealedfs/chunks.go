package sealedfs

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A file of chunks is a stream as in package seal, with smaller chunks: the nonce is the
// chunk's number, and its last byte is 1 only for the last chunk. The last chunk is empty
// only if the file is.
const (
	chunkSize   = 4 << 10
	tagSize     = 16
	sealedChunk = chunkSize + tagSize
	batch       = 16 // chunks that are read or written at once
)

// buffer is the room for a batch of chunks, or for a frame.
type buffer struct {
	room  [batch * sealedChunk]byte
	nonce [12]byte
	check [tagSize]byte
}

func (b *buffer) chunkNonce(number int64, last bool) []byte {
	b.nonce = [12]byte{}
	binary.BigEndian.PutUint64(b.nonce[3:], uint64(number))
	if last {
		b.nonce[11] = 1
	}
	return b.nonce[:]
}

// chunkWriter writes a file of chunks. It seals in place: room has a gap for the tag after
// each chunk.
type chunkWriter struct {
	sealedFile
	fs       *FS
	aead     cipher.AEAD
	b        *buffer
	held     int   // bytes of plaintext in b
	number   int64 // of the first chunk in b
	written  int64 // bytes in the file
	finished bool
	err      error
}

func (fs *FS) newChunkWriter(inner vfs.File, path string, h header) *chunkWriter {
	w := &chunkWriter{sealedFile: sealedFile{inner, path}, fs: fs, aead: fs.keys.file(h).AEAD()}
	w.b = fs.buffers.Get().(*buffer)
	_, w.err = inner.Write(fs.keys.seal(h))
	w.written = headerSize
	return w
}

func (w *chunkWriter) Write(p []byte) (n int, err error) {
	if w.finished && len(p) > 0 {
		return 0, errFinished
	}
	for w.err == nil && len(p) > 0 {
		if w.held == batch*chunkSize {
			w.flush(false)
			continue
		}
		i, at := w.held/chunkSize, w.held%chunkSize
		m := copy(w.b.room[i*sealedChunk+at:i*sealedChunk+chunkSize], p)
		w.held, n, p = w.held+m, n+m, p[m:]
	}
	return n, w.err
}

// flush writes what is held. All chunks are whole, but for the last one of the file.
func (w *chunkWriter) flush(last bool) {
	sealed := 0
	for at := 0; at < w.held || last && at == 0; at += chunkSize {
		n := min(chunkSize, w.held-at)
		plain := w.b.room[sealed : sealed+n]
		w.aead.Seal(plain[:0], w.b.chunkNonce(w.number, last && at+n == w.held), plain, nil)
		w.number, sealed = w.number+1, sealed+n+tagSize
	}
	w.held = 0
	n, err := w.inner.Write(w.b.room[:sealed])
	w.written += int64(n)
	w.err = err
}

// finish writes the last chunk. Nothing can be written after it, because no nonce may be
// used twice.
func (w *chunkWriter) finish() error {
	if !w.finished && w.err == nil {
		w.finished = true
		w.flush(true)
	}
	return w.err
}

func (w *chunkWriter) Sync() error     { return errors.Join(w.finish(), w.inner.Sync()) }
func (w *chunkWriter) SyncData() error { return errors.Join(w.finish(), w.inner.SyncData()) }

// SyncTo makes no promise: what is held is not written.
func (w *chunkWriter) SyncTo(n int64) (bool, error) {
	_, err := w.inner.SyncTo(min(n, w.written))
	return false, err
}

func (w *chunkWriter) Close() error {
	err := w.finish()
	if w.b != nil {
		w.fs.buffers.Put(w.b)
		w.b = nil
	}
	return errors.Join(err, w.inner.Close())
}

func (w *chunkWriter) Stat() (vfs.FileInfo, error) {
	i, err := w.inner.Stat()
	if err != nil {
		return nil, err
	}
	return sized{i, w.number*chunkSize + int64(w.held)}, nil
}

// chunks returns the number of chunks of a file, the bytes of its last chunk and those of its
// plaintext, or false if no file of chunks has that size.
func chunks(size int64) (count, last, plain int64, ok bool) {
	size -= headerSize
	count = (size + sealedChunk - 1) / sealedChunk
	last = size - (count-1)*sealedChunk
	if size < tagSize || count > 1 && last <= tagSize {
		return 0, 0, 0, false
	}
	return count, last, size - count*tagSize, true
}

// chunkReader reads a file of chunks. ReadAt may be called concurrently.
type chunkReader struct {
	sealedFile
	fs    *FS
	aead  cipher.AEAD
	count int64 // of chunks
	last  int64 // bytes of the last sealed chunk
	size  int64 // of the plaintext
	pos   int64 // of Read
}

func (r *chunkReader) Read(p []byte) (int, error) {
	n, err := r.ReadAt(p, r.pos)
	r.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ReadAt opens the chunks that p lies in: in p itself if it takes them whole.
func (r *chunkReader) ReadAt(p []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, errUnsupported
	}
	if len(p) == 0 {
		return 0, nil
	}
	if at >= r.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > r.size-at
	if short {
		p = p[:r.size-at]
	}
	b := r.fs.buffers.Get().(*buffer)
	for n < len(p) && err == nil {
		var m int
		m, err = r.batch(b, p[n:], at+int64(n))
		n += m
	}
	r.fs.buffers.Put(b)
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// batch reads the beginning of p, as much as one batch of chunks has of it.
func (r *chunkReader) batch(b *buffer, p []byte, at int64) (n int, err error) {
	first := at / chunkSize
	count := min(batch, (at+int64(len(p))+chunkSize-1)/chunkSize-first)
	sealed := b.room[:count*sealedChunk]
	if first+count == r.count {
		sealed = sealed[:(count-1)*sealedChunk+r.last]
	}
	got, err := r.inner.ReadAt(sealed, headerSize+first*sealedChunk)
	if err != nil && err != io.EOF {
		return 0, err
	}
	for i := range count {
		chunk, number := sealed[i*sealedChunk:min(int64(len(sealed)), (i+1)*sealedChunk)], first+i
		from := int(max(0, at-number*chunkSize))
		length := len(chunk) - tagSize
		take := min(length-from, len(p)-n)
		if i*sealedChunk+int64(len(chunk)) > int64(got) {
			err = r.damaged(number, "the file is cut")
		} else if nonce := b.chunkNonce(number, number == r.count-1); from == 0 && take == length {
			if _, oerr := r.aead.Open(p[n:n:n+length], nonce, chunk, nil); oerr != nil {
				err = r.damaged(number, "a chunk does not authenticate")
			} else {
				err = nil
			}
		} else if plain, oerr := r.aead.Open(chunk[:0], nonce, chunk, nil); oerr != nil {
			err = r.damaged(number, "a chunk does not authenticate")
		} else {
			copy(p[n:], plain[from:from+take])
			err = nil
		}
		if err != nil {
			if !r.fs.o.Salvage {
				return n, err
			}
			clear(p[n : n+take])
			err = nil
		}
		n += take
	}
	return n, nil
}

// damaged returns the error of a chunk, and reports it in salvage.
func (r *chunkReader) damaged(number int64, what string) error {
	d := Damage{r.path, headerSize + number*sealedChunk, sealedChunk, what}
	r.fs.report(d)
	return &damaged{d}
}

// Prefetch makes the system read ahead.
func (r *chunkReader) Prefetch(at, n int64) error {
	first, end := at/chunkSize, (at+n+chunkSize-1)/chunkSize
	return r.inner.Prefetch(headerSize+first*sealedChunk, (end-first)*sealedChunk)
}

func (r *chunkReader) Stat() (vfs.FileInfo, error) {
	i, err := r.inner.Stat()
	if err != nil {
		return nil, err
	}
	return sized{i, r.size}, nil
}

func (r *chunkReader) Close() error { return r.inner.Close() }
