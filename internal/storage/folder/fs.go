package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// FS is the file system that holds a data directory. OS returns the machine's; tests have
// one that loses what was not synced. Its errors are those of package os: errors.Is knows
// fs.ErrNotExist, fs.ErrExist and the numbers of the operating system. Its methods may be
// called concurrently.
type FS interface {
	// OpenFile opens a file as os.OpenFile does. A folder can be opened for reading: Sync
	// makes the names in it durable, ReadDir lists them, and Lock locks it.
	OpenFile(path string, flag int, mode fs.FileMode) (File, error)
	Mkdir(path string, mode fs.FileMode) error
	Remove(path string) error
	RemoveAll(path string) error
	// Rename replaces to if it is a file, or an empty folder and from is a folder.
	Rename(from, to string) error
	Link(from, to string) error
	Stat(path string) (fs.FileInfo, error)
	// Lstat describes a link itself.
	Lstat(path string) (fs.FileInfo, error)
	// EvalSymlinks returns the path without links.
	EvalSymlinks(path string) (string, error)
	Chmod(path string, mode fs.FileMode) error
	Chtimes(path string, accessed, modified time.Time) error
	// Space returns the size of the disk that holds path, and how much of it this process may
	// still fill, both in bytes.
	Space(path string) (total, free int64, err error)
}

// File is an open file or folder. The methods of io.ReaderAt and io.WriterAt may be called
// concurrently.
type File interface {
	io.Reader
	io.Writer
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	// ReadDir lists a folder as os.File.ReadDir does, in no order.
	ReadDir(n int) ([]fs.DirEntry, error)
	Truncate(size int64) error
	// Sync makes content and attributes of a file durable, but not its name: that is in its
	// folder.
	Sync() error
	// SyncData is Sync without the attributes that reading the content does not need.
	SyncData() error
	// Allocate reserves space on the disk for the bytes from at to at+n and does not change
	// the file's size. The error is errors.ErrUnsupported if the file system can't.
	Allocate(at, n int64) error
	// Uncache advises the system to forget the file's pages. It may do nothing.
	Uncache()
	// Lock locks the file or folder until it is closed, or the process ends. The error is
	// ErrLocked if another open file has locked it.
	Lock() error
}

// Puncher is implemented by files that can give back the room of bytes in their middle.
type Puncher interface {
	// Punch gives back the room of the bytes from at to at+n, which read as zeros from then
	// on. The error is errors.ErrUnsupported if the file system can't.
	Punch(at, n int64) error
}

// Direct is implemented by files whose writes can go past the system's cache.
type Direct interface {
	// SetDirect lets writes go past the system's cache, or through it again. Past it, the
	// offset, the length and the memory of a write must be multiples of DirectUnit: a write
	// fails with EINVAL otherwise, or if the file system needs larger ones. The error is
	// errors.ErrUnsupported if the file system can't. Sync is as necessary as without it.
	SetDirect(on bool) error
}

// DirectUnit is in bytes.
const DirectUnit = 4096

// ErrLocked is the error of File.Lock for a file that is locked already.
var ErrLocked = errors.New("it is locked by another process")

// Or returns fsys, or the machine's file system if fsys is nil.
func Or(fsys FS) FS {
	if fsys == nil {
		return OS()
	}
	return fsys
}

// Open opens a file or folder for reading.
func Open(fsys FS, path string) (File, error) { return fsys.OpenFile(path, os.O_RDONLY, 0) }

// ReadDir lists a folder in the order of the names.
func ReadDir(fsys FS, dir string) ([]fs.DirEntry, error) {
	f, err := Open(fsys, dir)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, errors.Join(err, f.Close())
}

// wholeMost is the size of the largest file that ReadFile reads, in bytes.
const wholeMost = 16 << 20

// ReadFile reads a whole file, which must be small.
func ReadFile(fsys FS, path string) ([]byte, error) { return ReadAtMost(fsys, path, wholeMost) }

// ErrTooLong means that a file is longer than any file of its kind.
var ErrTooLong = errors.New("is damaged: it is longer than any file of its kind")

// ReadAtMost reads a whole file of at most so many bytes, or returns ErrTooLong.
func ReadAtMost(fsys FS, path string, most int64) ([]byte, error) {
	f, err := Open(fsys, path)
	if err != nil {
		return nil, err
	}
	var b []byte
	info, err := f.Stat()
	if err == nil && info.Size() <= most { // a longer one is not read at all
		b, err = io.ReadAll(io.LimitReader(f, most+1))
	}
	if err == nil && max(info.Size(), int64(len(b))) > most {
		b, err = nil, fmt.Errorf("%s %w", path, ErrTooLong)
	}
	return b, errors.Join(err, f.Close())
}
