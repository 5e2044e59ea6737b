// Package folder gives packages with durable files the file system. It exists so that a test
// can lose what was not synced, on a file system of its own. It creates folders and small files that survive a power
// failure: a name is durable only after the folder that contains it was synced. It must
// never know what the files are for.
package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Make creates path and every missing folder above it, and syncs each folder that got a new
// name. It is not an error if path exists.
func Make(fsys FS, path string, mode fs.FileMode) error {
	path = filepath.Clean(path)
	err := fsys.Mkdir(path, mode)
	parent := filepath.Dir(path)
	if errors.Is(err, fs.ErrNotExist) && parent != path {
		if err := Make(fsys, parent, mode); err != nil {
			return err
		}
		err = fsys.Mkdir(path, mode)
	}
	if errors.Is(err, fs.ErrExist) {
		info, serr := fsys.Stat(path)
		if serr == nil && info.IsDir() {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	return Sync(fsys, parent)
}

// Sync makes the names in dir durable.
func Sync(fsys FS, dir string) error {
	d, err := Open(fsys, dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Replace replaces the content of the file at path with text: after a crash it is
// the old or the new content, never a part.
func Replace(fsys FS, path string, text []byte, mode fs.FileMode) (err error) {
	next := path + ".new"
	f, err := fsys.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fsys.Rename(next, path)
	}
	if err != nil {
		fsys.Remove(next)
		return err
	}
	return Sync(fsys, filepath.Dir(path))
}
