// Package folder makes folders and small files that last through a power cut:
// a name lasts only once the folder that holds it was synced. It must never
// know what the files are for.
package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Make makes path and every folder above it that is missing, and syncs each
// one that got a new name in it. A path that is there already is no error.
func Make(path string, mode fs.FileMode) error {
	return maker{os.Mkdir, Sync}.make(filepath.Clean(path), mode)
}

// maker is what Make asks of the file system.
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

// Sync makes the names in dir last.
func Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Replace makes the file at path hold text: after a crash it is the old one or
// the new one, never a part.
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
