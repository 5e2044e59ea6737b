package sealedfs

import (
	"crypto/cipher"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

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
	count int64        // of chunks
	last  int64        // bytes of the last sealed chunk
	size  int64        // of the plaintext
	pos   int64        // of Read
	bad   atomic.Int64 // 1 + the number of the chunk that was reported last
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
			if plain := r.corrected(number); plain != nil {
				copy(p[n:], plain[from:from+take])
			}
			err = nil
		}
		n += take
	}
	return n, nil
}

// damaged returns the error of a chunk, and reports it in salvage.
func (r *chunkReader) damaged(number int64, what string) error {
	d := Damage{r.path, headerSize + number*sealedChunk, sealedChunk, what}
	if r.bad.Swap(number+1) != number+1 {
		r.fs.report(d)
	}
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

// sequentialReader is for a reader that goes through the file in short steps: it opens a batch
// of chunks at once, so that none is opened twice.
type sequentialReader struct {
	*chunkReader
	mu     sync.Mutex
	window []byte // plaintext at from
	from   int64
}

func (r *sequentialReader) Read(p []byte) (int, error) {
	n, err := r.ReadAt(p, r.pos)
	r.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (r *sequentialReader) ReadAt(p []byte, at int64) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) {
		at := at + int64(n)
		if at < r.from || at >= r.from+int64(len(r.window)) {
			if err := r.slide(at); err != nil {
				return n, err
			}
		}
		n += copy(p[n:], r.window[at-r.from:])
	}
	return n, nil
}

// slide moves the window to the chunk of a position and those after it.
func (r *sequentialReader) slide(at int64) error {
	if r.window == nil {
		r.window = make([]byte, batch*chunkSize)
	}
	r.window = r.window[:cap(r.window)]
	r.from = at / chunkSize * chunkSize
	n, err := r.chunkReader.ReadAt(r.window, r.from)
	r.window = r.window[:n]
	if at < r.from+int64(n) {
		return nil // what comes after may be damaged, or missing
	}
	return err
}
