// Package folder creates folders and small files that survive a power failure: a name is
// durable only after the folder that contains it was synced. It must never know what the
// files are for.
package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Make creates path and every missing folder above it, and syncs each folder that got a new
// name. It is not an error if path exists.
func Make(path string, mode fs.FileMode) error {
	return maker{os.Mkdir, Sync}.make(filepath.Clean(path), mode)
}

// maker holds the file system calls that Make needs.
type maker struct {
	mkdir func(path string, mode fs.FileMode) error
	sync  func(dir string) error
}

func (m maker) make(path string, mode fs.FileMode) error {
	err := m.mkdir(path, mode)
	parent := filepath.Dir(path)
	if errors.Is(err, fs.ErrNotExist) && parent != path {
		if err := m.make(parent, mode); err != nil {
			return err
		}
		err = m.mkdir(path, mode)
	}
	if errors.Is(err, fs.ErrExist) {
		info, serr := os.Stat(path)
		if serr == nil && info.IsDir() {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	return m.sync(parent)
}

// Sync makes the names in dir durable.
func Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Replace replaces the content of the file at path with text: after a crash it is
// the old or the new content, never a part.
func Replace(path string, text []byte, mode fs.FileMode) (err error) {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		os.Remove(next)
		return err
	}
	return Sync(filepath.Dir(path))
}
