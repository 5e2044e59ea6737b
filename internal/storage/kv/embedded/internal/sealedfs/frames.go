package sealedfs

import (
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A frame is a header, the ciphertext and a tag. The header has the length of the plaintext,
// the frame's number, the number of frames that were durable when it was written, the
// position of its data in the file's plaintext, and a check. The check is keyed, so that a
// reader finds headers in bytes that are not frames; the frame's tag covers the header. The
// nonce is the number.
//
// The frames of a manifest begin with entries of the catalogue.
type frame struct {
	length, number, durable uint32
	offset                  uint64 // of the data, without entries
}

const (
	checkAt         = 4 + 4 + 4 + 8
	frameHeader     = checkAt + 4
	frameRoom       = frameHeader + tagSize // what a frame takes beside its payload
	maxPayload      = 64 << 10
	maxEntries      = 1000 // entries of the catalogue in one frame
	maxFrames       = 1<<32 - 1
	entriesSize     = 2 // the number of entries
	maxManifestData = maxPayload - entriesSize - maxEntries*entrySize
)

func (b *buffer) frameNonce(number uint32) []byte {
	b.nonce = [12]byte{}
	binary.BigEndian.PutUint32(b.nonce[8:], number)
	return b.nonce[:]
}

// put writes the header of a frame to dst.
func (c *ciphers) put(b *buffer, dst []byte, f frame) {
	binary.BigEndian.PutUint32(dst, f.length)
	binary.BigEndian.PutUint32(dst[4:], f.number)
	binary.BigEndian.PutUint32(dst[8:], f.durable)
	binary.BigEndian.PutUint64(dst[12:], f.offset)
	copy(dst[checkAt:frameHeader], c.check.Seal(b.check[:0], b.frameNonce(f.number), nil, dst[:checkAt]))
}

// parseFrame returns what a header says, before its check.
func parseFrame(h []byte) frame {
	return frame{
		length:  binary.BigEndian.Uint32(h),
		number:  binary.BigEndian.Uint32(h[4:]),
		durable: binary.BigEndian.Uint32(h[8:]),
		offset:  binary.BigEndian.Uint64(h[12:]),
	}
}

// possible reports whether a frame may have such a header.
func (f frame) possible() bool { return f.length <= maxPayload && f.durable <= f.number }

// right reports whether the check of a header is right.
func (c *ciphers) right(b *buffer, h []byte, number uint32) bool {
	sum := c.check.Seal(b.check[:0], b.frameNonce(number), nil, h[:checkAt])
	return binary.BigEndian.Uint32(sum) == binary.BigEndian.Uint32(h[checkAt:])
}

// frameWriter writes a file of frames.
type frameWriter struct {
	sealedFile
	fs      *FS
	kind    kind
	ciphers ciphers
	b       *buffer
	next    frame         // durable is only set as it is written
	written atomic.Uint32 // frames in the file
	durable atomic.Uint32 // of these
	entries *pending      // of a manifest
	size    int64         // bytes that were written
	filled  int64         // the file has contents, which need not be the writer's, up to here
	room    int64         // the disk has room for a log up to here
	err     error
}

// fillStep is how many zeros are written at once.
const fillStep = 1 << 20

// newFrameWriter continues a file after its header.
func (fs *FS) newFrameWriter(inner vfs.File, path string, h header, entries *pending) *frameWriter {
	return &frameWriter{
		sealedFile: sealedFile{inner, path}, fs: fs, kind: h.kind, ciphers: fs.keys.ciphers(h),
		b: fs.buffers.Get().(*buffer), entries: entries, size: headerSize, filled: headerSize,
	}
}

// fill writes zeros behind the end of a log for which there is room. A sync after a write into
// what is on the disk already has no new size and no new blocks to make durable, which takes a
// third of a sync's processor time. Zeros are what a log may end with, see isZero and search.
func (w *frameWriter) fill() {
	w.filled = max(w.filled, w.size)
	end := min(w.filled+fillStep, w.room)
	zeros := make([]byte, min(maxPayload, max(0, end-w.filled)))
	for w.filled < end {
		n, err := w.inner.WriteAt(zeros[:min(int64(len(zeros)), end-w.filled)], w.filled)
		w.filled += int64(n)
		if err != nil { // it was only to save time
			w.room = 0
			return
		}
	}
}

func (w *frameWriter) Write(p []byte) (n int, err error) {
	most := maxPayload
	if w.kind == manifest {
		most = maxManifestData
		for !w.entries.few() {
			if err := w.frame(nil); err != nil {
				return 0, err
			}
		}
	}
	for n < len(p) {
		piece := p[n:min(len(p), n+most)]
		if err := w.frame(piece); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}

// frame writes one frame. In a log it seals p from where it is, without copying it first.
func (w *frameWriter) frame(p []byte) error {
	if w.err != nil {
		return w.err
	}
	if w.next.number == maxFrames {
		return errFull
	}
	room := w.b.room[:]
	plain := p
	if w.kind == manifest {
		plain = append(w.entries.take(room[frameHeader:frameHeader]), p...)
	}
	w.next.length, w.next.durable = uint32(len(plain)), w.durable.Load()
	w.ciphers.put(w.b, room, w.next)
	nonce := w.b.frameNonce(w.next.number)
	sealed := w.ciphers.frame.Seal(room[frameHeader:frameHeader], nonce, plain, room[:frameHeader])
	if _, w.err = w.inner.Write(room[:frameHeader+len(sealed)]); w.err != nil {
		return w.err
	}
	w.size += int64(frameHeader + len(sealed))
	w.next.number++
	w.next.offset += uint64(len(p))
	w.written.Store(w.next.number)
	if w.size > w.filled && w.size < w.room {
		w.fill()
	}
	return nil
}

// synced calls sync, and notes that the frames up to number are durable.
func (w *frameWriter) synced(number uint32, sync func() error) error {
	err := sync()
	if err == nil {
		w.durable.Store(number)
	}
	return err
}

func (w *frameWriter) Sync() error     { return w.synced(w.written.Load(), w.inner.Sync) }
func (w *frameWriter) SyncData() error { return w.synced(w.written.Load(), w.inner.SyncData) }

func (w *frameWriter) SyncTo(n int64) (bool, error) {
	number := w.written.Load()
	full, err := w.inner.SyncTo(n)
	if full && err == nil {
		w.durable.Store(number)
	}
	return full, err
}

// Preallocate leaves room for the frames' headers and tags.
func (w *frameWriter) Preallocate(at, length int64) error {
	const share = 16
	at, length = at+at/share, length+length/share
	err := w.inner.Preallocate(at, length)
	if err == nil && w.kind == log {
		w.room = at + length
	}
	return err
}

// Close ends the file with a frame without data: it says that all frames before it were
// durable, so that the last of these can't be damaged unnoticed.
func (w *frameWriter) Close() error {
	if w.b == nil {
		return w.inner.Close()
	}
	var err error
	if n := w.next.number; n > 0 && w.durable.Load() == n && w.err == nil {
		err = w.frame(nil)
	}
	if w.entries != nil {
		w.entries.close()
	}
	w.fs.buffers.Put(w.b)
	w.b = nil
	return errors.Join(err, w.inner.Close())
}

func (w *frameWriter) Stat() (vfs.FileInfo, error) { return w.inner.Stat() }
