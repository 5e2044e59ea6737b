package disk

import (
	"errors"

	"golang.org/x/sys/unix"

	"watertight/internal/storage/folder"
)

// Space is reserved in advance: twice what was written so far, within these bounds and the
// announced size, in bytes.
const (
	minAhead = 1 << 20
	maxAhead = 16 << 20
)

// minDirect is the announced size, in bytes, from which a file is written past the system's
// cache: it would fill the cache with bytes that are seldom read soon, at the cost of a copy.
const minDirect = 4 << 20

type writer struct {
	engine   *Engine
	file     folder.File
	folder   folder.File
	size     int64 // announced size, or -1
	n        int64
	reserved int64 // end of the reserved space; never less than n

	direct   folder.Direct // nil if the file is written through the cache
	bypasses bool          // the next write goes past the cache
}

// Front implements blob.Writer: a file has nothing before the blob.
func (w *writer) Front() []byte { return nil }

func (w *writer) Write(p []byte) (int, error) {
	if end := w.n + int64(len(p)); end > w.reserved {
		if err := w.reserve(end); err != nil {
			return 0, err
		}
	}
	past := 0 // bytes that go past the cache
	if w.direct != nil && w.n%folder.DirectUnit == 0 {
		past = len(p) &^ (folder.DirectUnit - 1)
	}
	n, err := w.put(p[:past], true)
	if err == nil {
		var m int
		m, err = w.put(p[n:], false)
		n += m
	}
	return n, err
}

// put writes bytes past the cache, or through it. If these bytes can't go past it, put writes
// none or a part of them, and the file goes through the cache from then on.
func (w *writer) put(p []byte, past bool) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	if past != w.bypasses {
		if err = w.direct.SetDirect(past); past && errors.Is(err, errors.ErrUnsupported) {
			w.direct = nil
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		w.bypasses = past
	}
	n, err = w.file.Write(p)
	w.n += int64(n)
	if past && errors.Is(err, unix.EINVAL) { // of this alignment
		err = w.direct.SetDirect(false)
		w.direct, w.bypasses = nil, false
	}
	return n, err
}

// reserve reserves space up to end and some more. A full disk then fails before the bytes
// are written, and the bytes are contiguous. A file system that can't reserve space is not
// an error.
func (w *writer) reserve(end int64) error {
	to := max(end, w.n+min(max(2*w.n, minAhead), maxAhead))
	if w.size >= 0 && to > w.size-minAhead/4 {
		to = max(end, w.size)
	}
	if !w.engine.room.Take(to - w.reserved) {
		return unix.ENOSPC
	}
	if w.size >= 0 {
		err := w.file.Allocate(w.reserved, to-w.reserved)
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			return err
		}
	}
	w.reserved = to
	return nil
}

// Commit syncs the file, and then its folder, so that the name is durable, too.
func (w *writer) Commit() error {
	err := w.file.Truncate(w.n) // gives back space that was reserved and not written
	if err == nil {
		err = w.file.SyncData()
	}
	if err == nil {
		err = w.folder.Sync()
	}
	w.engine.syncs.Add(2)
	if err != nil {
		w.Abort()
		return err
	}
	return w.file.Close()
}

func (w *writer) Abort() {
	w.file.Close()
	w.engine.files.Remove(w.file.Name())
}
