// Package disk keeps blobs as files: each blob is a file under its random name, in one of
// 256 folders. There are no temporary files: no record refers to a file before it is
// complete. A file that no record refers to is first moved to a separate folder, from where
// it can be put back, before it is removed.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/storage/folder"
)

// Engine stores blobs in a folder.
type Engine struct {
	files   folder.FS
	dir     string
	room    blob.Room
	folders [256]folder.File
	syncs   atomic.Uint64
}

// Open opens the engine and creates missing folders.
func Open(files folder.FS, dir string, room blob.Room) (_ *Engine, err error) {
	e := &Engine{files: files, dir: dir, room: room}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if err := errors.Join(Prepare(files, dir), e.Purge()); err != nil {
		return nil, err
	}
	for i := range e.folders {
		if e.folders[i], err = folder.Open(files, filepath.Join(dir, folderName(i))); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func folderName(i int) string { return fmt.Sprintf("%02x", i) }

// AsideFolder holds blobs that were set aside, QuarantineFolder damaged ones, and
// RetiredFolder those that are removed as soon as no backup is running.
const (
	AsideFolder      = "orphans"
	QuarantineFolder = "quarantine"
	RetiredFolder    = "retired"
)

// Prepare creates missing folders.
func Prepare(files folder.FS, dir string) error {
	if err := folder.Make(files, dir, 0o700); err != nil {
		return err
	}
	for i := range 256 {
		if err := files.Mkdir(filepath.Join(dir, folderName(i)), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return folder.Sync(files, dir)
}

// Settle makes the names of all blobs in dir durable.
func Settle(files folder.FS, dir string) error {
	for i := range 256 {
		if err := folder.Sync(files, filepath.Join(dir, folderName(i))); err != nil {
			return err
		}
	}
	return nil
}

// Look reports what is in dir and changes nothing: whether every folder exists, and whether
// any blob does.
func Look(files folder.FS, dir string) (whole, used bool, err error) {
	whole = true
	names := []string{AsideFolder, QuarantineFolder, RetiredFolder}
	for i := range 256 {
		names = append(names, folderName(i))
	}
	for i, name := range names {
		f, err := folder.Open(files, filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			whole = whole && i < 3
			continue
		}
		if err != nil {
			return false, false, err
		}
		_, err = f.ReadDir(1)
		f.Close()
		if err != nil && err != io.EOF {
			return false, false, err
		}
		used = used || err == nil
	}
	return whole, used, nil
}

// Close closes the folders.
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

func (e *Engine) path(name string) (string, error) { return Path(e.dir, name) }

// Path returns the path of a blob below dir.
func Path(dir, name string) (string, error) {
	if err := blob.CheckName(name); err != nil {
		return "", err
	}
	return filepath.Join(dir, folderOf(name), name), nil
}

// folderOf returns the name of a blob's folder. The names of blobs that were in segments
// begin with no hex digit, and end with random ones.
func folderOf(name string) string {
	if name[0] == 's' {
		return name[len(name)-2:]
	}
	return name[:2]
}

func (e *Engine) folder(name string) folder.File {
	var n int
	fmt.Sscanf(folderOf(name), "%02x", &n)
	return e.folders[n]
}

// Create implements blob.Engine.
func (e *Engine) Create(name string, size int64) (blob.Writer, error) {
	path, err := e.path(name)
	if err != nil {
		return nil, err
	}
	f, err := e.files.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	w := &writer{engine: e, file: f, folder: e.folder(name), size: size}
	if size >= minDirect {
		w.direct, _ = f.(folder.Direct)
	}
	return w, nil
}

// Open implements blob.Engine.
func (e *Engine) Open(name string) (blob.Reader, error) {
	path, err := e.path(name)
	if err != nil {
		return nil, err
	}
	return e.open(path)
}

func (e *Engine) open(path string) (blob.Reader, error) {
	f, err := folder.Open(e.files, path)
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
	folder.File
	size int64
}

func (r *reader) Size() int64 { return r.size }

// Remove implements blob.Engine.
func (e *Engine) Remove(name string) error {
	path, err := e.path(name)
	if err != nil {
		return err
	}
	if err := e.files.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// List implements blob.Engine. It skips files that are not blobs.
func (e *Engine) List() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range e.folders {
			entries, err := folder.ReadDir(e.files, filepath.Join(e.dir, fmt.Sprintf("%02x", i)))
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

func (e *Engine) asidePath(name string) string { return filepath.Join(e.dir, AsideFolder, name) }

// SetAside implements blob.Engine. It needs no sync: a blob that is back after a power
// failure is set aside again.
func (e *Engine) SetAside(name string, now time.Time) error {
	path, err := e.path(name)
	if err != nil {
		return err
	}
	if err := folder.Make(e.files, filepath.Join(e.dir, AsideFolder), 0o700); err != nil {
		return err
	}
	if err := e.files.Chtimes(path, now, now); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return e.files.Rename(path, e.asidePath(name))
}

// PutBack implements blob.Engine.
func (e *Engine) PutBack(name string) error {
	path, err := e.path(name)
	if err != nil {
		return err
	}
	if err := e.move(e.asidePath(name), path); err != nil {
		return err
	}
	return e.folder(name).Sync()
}

// move renames a blob. The error is blob.ErrNotExist if it does not exist.
func (e *Engine) move(from, to string) error {
	err := e.files.Rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", blob.ErrNotExist, err)
	}
	return err
}

// Retire implements blob.Engine. It needs no sync: a name that is back after a power
// failure has no record, and is set aside.
func (e *Engine) Retire(name string) error {
	path, err := e.path(name)
	if err != nil {
		return err
	}
	to := filepath.Join(e.dir, RetiredFolder)
	if err := folder.Make(e.files, to, 0o700); err != nil {
		return err
	}
	if err := e.move(path, filepath.Join(to, name)); !errors.Is(err, blob.ErrNotExist) {
		return err
	}
	return nil
}

// Purge implements blob.Engine.
func (e *Engine) Purge() error { return e.files.RemoveAll(filepath.Join(e.dir, RetiredFolder)) }

func (e *Engine) quarantinePath(name string) string {
	return filepath.Join(e.dir, QuarantineFolder, name)
}

// Quarantine implements blob.Engine.
func (e *Engine) Quarantine(name string) error {
	path, err := e.path(name)
	if err != nil {
		return err
	}
	to := filepath.Join(e.dir, QuarantineFolder)
	if err := folder.Make(e.files, to, 0o700); err != nil {
		return err
	}
	if err := e.move(path, e.quarantinePath(name)); err != nil {
		return err
	}
	return errors.Join(folder.Sync(e.files, to), e.folder(name).Sync())
}

// Release implements blob.Engine.
func (e *Engine) Release(name string) error {
	path, err := e.path(name)
	if err != nil {
		return err
	}
	if err := e.move(e.quarantinePath(name), path); err != nil {
		return err
	}
	return errors.Join(e.folder(name).Sync(), folder.Sync(e.files, filepath.Join(e.dir, QuarantineFolder)))
}

// OpenQuarantined implements blob.Engine.
func (e *Engine) OpenQuarantined(name string) (blob.Reader, error) {
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	return e.open(e.quarantinePath(name))
}

// Quarantined implements blob.Engine.
func (e *Engine) Quarantined() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		entries, err := folder.ReadDir(e.files, filepath.Join(e.dir, QuarantineFolder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
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

// QuarantineCopy puts a copy of a blob that is elsewhere into quarantine.
func (e *Engine) QuarantineCopy(name string, from blob.Reader) (err error) {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	to := filepath.Join(e.dir, QuarantineFolder)
	if err := folder.Make(e.files, to, 0o700); err != nil {
		return err
	}
	f, err := e.files.OpenFile(e.quarantinePath(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.NewSectionReader(from, 0, from.Size()))
	return errors.Join(err, f.Sync(), f.Close(), folder.Sync(e.files, to))
}

// Unquarantine removes a blob from quarantine whose bytes are elsewhere.
func (e *Engine) Unquarantine(name string) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	return e.files.Remove(e.quarantinePath(name))
}

// Forget implements blob.Engine.
func (e *Engine) Forget(name string) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	if err := e.files.Remove(e.asidePath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Aside implements blob.Engine.
func (e *Engine) Aside() iter.Seq2[blob.Aside, error] {
	return func(yield func(blob.Aside, error) bool) {
		entries, err := folder.ReadDir(e.files, filepath.Join(e.dir, AsideFolder))
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				yield(blob.Aside{}, err)
			}
			return
		}
		for _, f := range entries {
			if blob.CheckName(f.Name()) != nil {
				continue
			}
			info, err := f.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				yield(blob.Aside{}, err)
				return
			}
			if !yield(blob.Aside{Name: f.Name(), Since: info.ModTime()}, nil) {
				return
			}
		}
	}
}
