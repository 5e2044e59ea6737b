// Package disk keeps blobs as files: one file a blob, under its random name,
// in one of 256 folders. There are no temporary files and no renames: nothing
// points at a file until its record commits, and a file that no record points
// at is removed by the sweeper.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"watertight/internal/core/payload/internal/blob"
)

// Engine is a folder of blobs.
type Engine struct {
	dir     string
	room    blob.Room
	folders [256]*os.File
	syncs   atomic.Uint64
}

// Open makes the folders where they are missing.
func Open(dir string, room blob.Room) (_ *Engine, err error) {
	e := &Engine{dir: dir, room: room}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for i := range e.folders {
		path := filepath.Join(dir, fmt.Sprintf("%02x", i))
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if e.folders[i], err = os.Open(path); err != nil {
			return nil, err
		}
	}
	root, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return e, root.Sync()
}

// Close lets go of the folders.
func (e *Engine) Close() error {
	var errs []error
	for _, f := range e.folders {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Syncs implements blob.Engine.
func (e *Engine) Syncs() uint64 { return e.syncs.Load() }

func (e *Engine) path(name string) (string, error) {
	if err := blob.CheckName(name); err != nil {
		return "", err
	}
	return filepath.Join(e.dir, name[:2], name), nil
}

func (e *Engine) folder(name string) *os.File {
	var n int
	fmt.Sscanf(name[:2], "%02x", &n)
	return e.folders[n]
}

// Create implements blob.Engine.
func (e *Engine) Create(name string, size int64) (blob.Writer, error) {
	path, err := e.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &writer{engine: e, file: f, folder: e.folder(name), size: size}, nil
}

// Room is reserved ahead of what is written: twice what came so far, within
// these bounds and the announced size, in bytes.
const (
	minAhead = 1 << 20
	maxAhead = 16 << 20
)

type writer struct {
	engine   *Engine
	file     *os.File
	folder   *os.File
	size     int64 // announced, or -1
	n        int64
	reserved int64 // from the beginning; never less than n
}

func (w *writer) Write(p []byte) (int, error) {
	if end := w.n + int64(len(p)); end > w.reserved {
		if err := w.reserve(end); err != nil {
			return 0, err
		}
	}
	n, err := w.file.Write(p)
	w.n += int64(n)
	return n, err
}

// reserve takes room up to end and some more. What is reserved fails before it
// is written, and lies together; a file system that can't is no reason to refuse.
func (w *writer) reserve(end int64) error {
	to := max(end, w.n+min(max(2*w.n, minAhead), maxAhead))
	if w.size >= 0 && to > w.size-minAhead/4 {
		to = max(end, w.size)
	}
	if !w.engine.room.Take(to - w.reserved) {
		return unix.ENOSPC
	}
	if w.size >= 0 {
		if err := unix.Fallocate(int(w.file.Fd()), 0, w.reserved, to-w.reserved); errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			return err
		}
	}
	w.reserved = to
	return nil
}

// Commit syncs the file, then its folder, so that the name lasts too.
func (w *writer) Commit() error {
	err := w.file.Truncate(w.n) // what was reserved and not written
	if err == nil {
		err = unix.Fdatasync(int(w.file.Fd()))
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
	os.Remove(w.file.Name())
}

// Open implements blob.Engine.
func (e *Engine) Open(name string) (blob.Reader, error) {
	path, err := e.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", blob.ErrNotExist, err)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &reader{f, info.Size()}, nil
}

type reader struct {
	*os.File
	size int64
}

func (r *reader) Size() int64 { return r.size }

// Remove implements blob.Engine.
func (e *Engine) Remove(name string) error {
	path, err := e.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// List implements blob.Engine. Files that are not blobs are passed over.
func (e *Engine) List() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range e.folders {
			entries, err := os.ReadDir(filepath.Join(e.dir, fmt.Sprintf("%02x", i)))
			if err != nil {
				yield("", err)
				return
			}
			for _, f := range entries {
				if blob.CheckName(f.Name()) == nil && !yield(f.Name(), nil) {
					return
				}
			}
		}
	}
}
