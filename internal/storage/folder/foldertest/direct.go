package foldertest

import (
	"errors"
	"os"
	"reflect"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"watertight/internal/storage/folder"
)

// DirectFS is a file system whose files can be written past the cache, and that fails writes
// as strictly as a disk with sectors of folder.DirectUnit bytes.
type DirectFS struct {
	folder.FS
	NoMode   bool         // like a file system that can't
	NoWrites bool         // like one that only says so at a write
	Past     atomic.Int64 // bytes that were written past the cache
	Through  atomic.Int64 // and through it
}

type directFile struct {
	folder.File
	fs   *DirectFS
	past bool
	at   int64
}

// OpenFile implements folder.FS.
func (d *DirectFS) OpenFile(path string, flag int, mode os.FileMode) (folder.File, error) {
	f, err := d.FS.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	return &directFile{File: f, fs: d}, nil
}

// SetDirect implements folder.Direct.
func (f *directFile) SetDirect(on bool) error {
	if on && f.fs.NoMode {
		return errors.ErrUnsupported
	}
	f.past = on
	return nil
}

func (f *directFile) Write(p []byte) (int, error) {
	n, err := f.put(p, f.at, f.File.Write)
	f.at += int64(n)
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *directFile) WriteAt(p []byte, at int64) (int, error) {
	return f.put(p, at, func(p []byte) (int, error) { return f.File.WriteAt(p, at) })
}

func (f *directFile) put(p []byte, at int64, write func([]byte) (int, error)) (int, error) {
	count := &f.fs.Through
	if f.past {
		count = &f.fs.Past
		memory := int64(reflect.ValueOf(p).Pointer())
		if f.fs.NoWrites || (memory|int64(len(p))|at)%folder.DirectUnit != 0 {
			return 0, &os.PathError{Op: "write", Path: f.Name(), Err: unix.EINVAL}
		}
	}
	n, err := write(p)
	count.Add(int64(n))
	return n, err
}
