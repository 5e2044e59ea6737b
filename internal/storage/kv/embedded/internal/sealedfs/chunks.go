package sealedfs

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"

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
