// Package foldervfs gives the engine the file system of storage/folder, so that a simulated
// power failure takes the engine's files together with all others. The machine's own file
// system is the engine's own: it may sync and read ahead as it likes. This package must
// never know what is in the files.
package foldervfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/folder"
)

// Of returns fsys as the engine sees it.
func Of(fsys folder.FS) vfs.FS {
	if fsys == nil || fsys == folder.OS() {
		return machine{vfs.Default}
	}
	return engineFS{fsys}
}

// machine is the engine's own file system. It opens files and folders only: opening a pipe
// would wait for its writer.
type machine struct{ vfs.FS }

// Open implements vfs.FS.
func (m machine) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	info, err := m.Stat(name)
	if err == nil {
		err = folder.Storable(name, info)
	}
	if err != nil {
		return nil, err
	}
	return m.FS.Open(name, options...)
}

type engineFS struct{ fsys folder.FS }

func (e engineFS) open(name string, flag int, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := e.fsys.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	for _, o := range options {
		o.Apply(file{f})
	}
	return file{f}, nil
}

// Create implements vfs.FS: a file of that name is removed first, because it may have other
// names, too.
func (e engineFS) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	if err := e.fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return e.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (e engineFS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	return e.open(name, os.O_RDONLY, options...)
}

func (e engineFS) OpenReadWrite(
	name string, _ vfs.DiskWriteCategory, options ...vfs.OpenOption,
) (vfs.File, error) {
	return e.open(name, os.O_RDWR|os.O_CREATE, options...)
}

func (e engineFS) OpenDir(name string) (vfs.File, error) { return e.open(name, os.O_RDONLY) }
func (e engineFS) Link(from, to string) error            { return e.fsys.Link(from, to) }
func (e engineFS) Remove(name string) error              { return e.fsys.Remove(name) }
func (e engineFS) RemoveAll(name string) error           { return e.fsys.RemoveAll(name) }
func (e engineFS) Rename(from, to string) error          { return e.fsys.Rename(from, to) }

func (e engineFS) ReuseForWrite(from, to string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	if err := e.fsys.Rename(from, to); err != nil {
		return nil, err
	}
	return e.open(to, os.O_RDWR)
}

// MkdirAll implements vfs.FS.
func (e engineFS) MkdirAll(dir string, mode os.FileMode) error {
	err := e.fsys.Mkdir(dir, mode)
	if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := e.MkdirAll(parent, mode); err != nil {
			return err
		}
		err = e.fsys.Mkdir(dir, mode)
	}
	if errors.Is(err, fs.ErrExist) {
		if info, serr := e.fsys.Stat(dir); serr == nil && info.IsDir() {
			return nil
		}
	}
	return err
}

// Lock implements vfs.FS.
func (e engineFS) Lock(name string) (io.Closer, error) {
	f, err := e.fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Lock(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// List implements vfs.FS.
func (e engineFS) List(dir string) ([]string, error) {
	entries, err := folder.ReadDir(e.fsys, dir)
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, err
}

// Stat implements vfs.FS.
func (e engineFS) Stat(name string) (vfs.FileInfo, error) { return described(e.fsys.Stat(name)) }

func (engineFS) PathBase(path string) string    { return filepath.Base(path) }
func (engineFS) PathJoin(elem ...string) string { return filepath.Join(elem...) }
func (engineFS) PathDir(path string) string     { return filepath.Dir(path) }
func (engineFS) Unwrap() vfs.FS                 { return nil }

// GetDiskUsage implements vfs.FS.
func (e engineFS) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	total, free, err := e.fsys.Space(path)
	return vfs.DiskUsage{
		AvailBytes: uint64(free), TotalBytes: uint64(total), UsedBytes: uint64(max(0, total-free)),
	}, err
}

// info is a description of a file on the only device.
type info struct{ os.FileInfo }

func (info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

func described(i fs.FileInfo, err error) (vfs.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	return info{i}, nil
}

type file struct{ folder.File }

func (f file) Stat() (vfs.FileInfo, error) { return described(f.File.Stat()) }

// Preallocate implements vfs.File. It may do nothing.
func (f file) Preallocate(at, n int64) error {
	if err := f.Allocate(at, n); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// SyncTo implements vfs.File. It promises nothing.
func (file) SyncTo(int64) (full bool, err error) { return false, nil }

func (file) Prefetch(int64, int64) error { return nil }
func (file) Fd() uintptr                 { return vfs.InvalidFd }
