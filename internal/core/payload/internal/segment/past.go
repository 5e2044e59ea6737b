package segment

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/storage/folder"
)

// Extents are written past the system's cache, if the file system can: each is on its way to the
// disk as soon as its bytes are there, instead of together with all others when somebody syncs,
// and nothing is copied. Nothing else but marks is written through the cache then, and they are in
// another page: bytes that are in both ways at once would be an error of the next sync.

// usePast returns the file of a segment for writes past the system's cache, or nil. The engine's
// mutex is held.
func (e *Engine) usePast(s *segment) folder.File {
	if s.past == nil && !s.through {
		s.past = e.pastCache(s.number)
		s.through = s.past == nil
	}
	return s.past
}

func (s *segment) shutPast() error {
	f := s.past
	if s.past = nil; f == nil {
		return nil
	}
	return f.Close()
}

// pastCache opens a segment's file for writes past the system's cache, or returns nil.
func (e *Engine) pastCache(number uint32) folder.File {
	f, err := e.o.FS.OpenFile(Path(e.o.Dir, number), os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	if d, ok := f.(folder.Direct); !ok || d.SetDirect(true) != nil {
		_ = f.Close() // nothing was written
		return nil
	}
	return f
}

// Front returns bytes that a caller may put before those of the blob, in the first Write. Then
// all writes of whole units are at whole units of the file, and can go past the system's cache.
// The memory of the last one must have room up to the end of its unit.
func (w *Writer) Front() []byte {
	w.headed, w.n = true, -headerSize
	return extentHeader(w.name, w.size)
}

// put writes bytes at their place in the extent, past the cache if that is possible.
func (w *Writer) put(p []byte) error {
	at := w.place.Offset() + w.n
	if f := w.past; f != nil && at%Unit == 0 {
		whole, ok := pad(p, w.n+int64(len(p)) == w.size)
		if ok {
			_, err := f.WriteAt(whole, at)
			if !errors.Is(err, unix.EINVAL) { // of this alignment
				return err
			}
			w.past = nil
		}
	}
	_, err := w.segment.file.WriteAt(p, at)
	return err
}

// pad makes the last bytes of an extent a whole unit: what follows them has no meaning.
func pad(p []byte, last bool) ([]byte, bool) {
	n := (len(p) + Unit - 1) &^ (Unit - 1)
	if n == len(p) {
		return p, true
	}
	if !last || n > cap(p) {
		return nil, false
	}
	clear(p[len(p):n])
	return p[:n], true
}

// unhead removes the header. The next extent at this place may be shorter, and gets its own header
// later: until then, this one would hide what is behind it.
func (w *Writer) unhead() error {
	if !w.headed {
		return nil
	}
	at, none := w.place.Offset()-headerSize, make([]byte, Unit)
	if w.past != nil {
		if _, err := w.past.WriteAt(none, at); !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	_, err := w.segment.file.WriteAt(none[:headerSize], at)
	return err
}

// Copy copies a whole blob.
func (w *Writer) Copy(from blob.Reader) error {
	if from.Size() != w.size {
		return errLength
	}
	buf := append(make([]byte, 0, copyBuffer), w.Front()...)
	for at := int64(0); ; {
		n, err := from.ReadAt(buf[len(buf):min(int64(copyBuffer), int64(len(buf))+w.size-at)], at)
		at, buf = at+int64(n), buf[:len(buf)+n]
		if n == 0 && err != nil && at < w.size {
			return err
		}
		if at < w.size && len(buf) < copyBuffer {
			continue
		}
		if _, err := w.Write(buf); err != nil || at == w.size {
			return err
		}
		buf = buf[:0]
	}
}
