// Package folder gives packages with durable files the file system. It exists so that a test
// can lose what was not synced, on a file system of its own. It creates folders and small files that survive a power
// failure: a name is durable only after the folder that contains it was synced. It must
// never know what the files are for.
package folder

import (
	"crypto/rand"
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
func Replace(fsys FS, path string, text []byte, mode fs.FileMode) error {
	next := path + ".new"
	if err := write(fsys, next, os.O_TRUNC, text, mode); err != nil {
		return err
	}
	if err := fsys.Rename(next, path); err != nil {
		fsys.Remove(next)
		return err
	}
	return Sync(fsys, filepath.Dir(path))
}

// Create makes a file at path, which must not exist: after a crash it has all of text, or does not
// exist. A crash may leave a file whose name begins with path and ".new-". The error is fs.ErrExist if
// there is a file.
func Create(fsys FS, path string, text []byte, mode fs.FileMode) error {
	next := path + ".new-" + rand.Text() // of this call alone
	if err := write(fsys, next, os.O_EXCL, text, mode); err != nil {
		return err
	}
	err := link(fsys, next, path)
	if removed := fsys.Remove(next); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	if err != nil {
		return err
	}
	if err := Sync(fsys, filepath.Dir(path)); err != nil {
		fsys.Remove(path)
		return err
	}
	return nil
}

// link gives a file a second name, which must not exist. Where there are no links, it renames the file.
func link(fsys FS, from, to string) error {
	err := fsys.Link(from, to)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		switch _, missing := fsys.Lstat(to); {
		case missing == nil:
			return &fs.PathError{Op: "link", Path: to, Err: fs.ErrExist}
		case errors.Is(missing, fs.ErrNotExist):
			return fsys.Rename(from, to)
		}
	}
	return err
}

// write writes a whole file and makes its content durable, not its name. After an error there is no
// file that it has made.
func write(fsys FS, path string, flag int, text []byte, mode fs.FileMode) error {
	f, err := fsys.OpenFile(path, os.O_WRONLY|os.O_CREATE|flag, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		fsys.Remove(path)
	}
	return err
}
