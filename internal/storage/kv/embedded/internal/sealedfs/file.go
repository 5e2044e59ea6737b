package sealedfs

import (
	"github.com/cockroachdb/pebble/v2/vfs"
)

// noDescriptor is the descriptor that files show: none, so that nobody reads or writes past
// this package. It isn't vfs.InvalidFd, because Pebble then neither preallocates nor syncs
// parts of files, but syncs the whole file each time. Every system call with it fails.
const noDescriptor = vfs.InvalidFd - 1

// sealedFile has the methods that files of all kinds refuse. Pebble's interface is implemented
// method by method, so that a method that a later Pebble adds cannot go past this package.
type sealedFile struct {
	inner vfs.File
	path  string
}

func (sealedFile) Fd() uintptr                          { return noDescriptor }
func (sealedFile) Read([]byte) (int, error)             { return 0, errUnsupported }
func (sealedFile) ReadAt([]byte, int64) (int, error)    { return 0, errUnsupported }
func (sealedFile) Write([]byte) (int, error)            { return 0, errUnsupported }
func (sealedFile) WriteAt([]byte, int64) (int, error)   { return 0, errUnsupported }
func (sealedFile) Prefetch(int64, int64) error          { return nil }
func (f sealedFile) Preallocate(at, length int64) error { return f.inner.Preallocate(at, length) }
func (sealedFile) Sync() error                          { return nil }
func (sealedFile) SyncData() error                      { return nil }
func (sealedFile) SyncTo(int64) (bool, error)           { return false, nil }

// emptyFile is a marker.
type emptyFile struct{ sealedFile }

func (f emptyFile) Stat() (vfs.FileInfo, error) { return f.inner.Stat() }
func (f emptyFile) Sync() error                 { return f.inner.Sync() }
func (f emptyFile) SyncData() error             { return f.inner.SyncData() }
func (f emptyFile) Close() error                { return f.inner.Close() }

func (emptyFile) Write(p []byte) (int, error) {
	if len(p) > 0 {
		return 0, errEmpty
	}
	return 0, nil
}

// sized is a FileInfo with the size of the plaintext.
type sized struct {
	vfs.FileInfo
	size int64
}

func (s sized) Size() int64 { return s.size }
