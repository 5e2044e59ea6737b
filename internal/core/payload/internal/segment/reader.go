package segment

import (
	"io"
	"sync/atomic"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/storage/folder"
)

// reader reads one extent.
type reader struct {
	engine  *Engine
	segment *segment
	place   Place
	size    int64
	closed  atomic.Bool
}

func (r *reader) Size() int64 { return r.size }

// Uncache implements blob.Reader.
func (r *reader) Uncache() { r.segment.file.Uncache() }

// ReadAt implements io.ReaderAt. It never reads past the blob's end.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case off < 0 || off > r.size:
		return 0, io.EOF
	case int64(len(p)) > r.size-off:
		n, err := r.segment.file.ReadAt(p[:r.size-off], r.place.Offset()+off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return r.segment.file.ReadAt(p, r.place.Offset()+off)
}

func (r *reader) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	e := r.engine
	e.mu.Lock()
	if left := e.reading[r.place]; left.n > 1 {
		left.n--
		e.reading[r.place] = left
	} else {
		delete(e.reading, r.place)
	}
	e.mu.Unlock()
	return e.release(r.segment)
}

// copyAt copies a blob to an offset of a file.
func copyAt(to folder.File, off int64, from blob.Reader) error {
	buf := make([]byte, min(from.Size(), copyBuffer))
	for at := int64(0); at < from.Size(); {
		n, err := from.ReadAt(buf[:min(int64(len(buf)), from.Size()-at)], at)
		if n == 0 && err != nil {
			return err
		}
		if _, err := to.WriteAt(buf[:n], off+at); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

const copyBuffer = 64 << 10
