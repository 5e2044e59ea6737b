package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// OS returns the machine's file system.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) OpenFile(path string, flag int, mode fs.FileMode) (File, error) {
	reads := flag&(os.O_WRONLY|os.O_RDWR) == 0
	if reads {
		flag |= unix.O_NONBLOCK // so that opening a pipe does not wait for its writer
	}
	f, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err // a nil *os.File would not be a nil File
	}
	if reads {
		info, err := f.Stat()
		if err == nil {
			err = Storable(path, info)
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return osFile{f}, nil
}

var errNotRegular = errors.New("it is not a regular file")

// Storable refuses what is neither a file nor a folder, such as a pipe, from which a read may
// never return.
func Storable(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() && !info.IsDir() {
		return &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	return nil
}

func (osFS) Mkdir(path string, mode fs.FileMode) error { return os.Mkdir(path, mode) }
func (osFS) Remove(path string) error                  { return os.Remove(path) }
func (osFS) RemoveAll(path string) error               { return os.RemoveAll(path) }
func (osFS) Rename(from, to string) error              { return os.Rename(from, to) }
func (osFS) Link(from, to string) error                { return os.Link(from, to) }
func (osFS) Stat(path string) (fs.FileInfo, error)     { return os.Stat(path) }
func (osFS) Lstat(path string) (fs.FileInfo, error)    { return os.Lstat(path) }
func (osFS) EvalSymlinks(path string) (string, error)  { return filepath.EvalSymlinks(path) }
func (osFS) Chmod(path string, mode fs.FileMode) error { return os.Chmod(path, mode) }

func (osFS) Chtimes(path string, accessed, modified time.Time) error {
	return os.Chtimes(path, accessed, modified)
}

func (osFS) Space(path string) (total, free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	bytes := func(blocks uint64) int64 { return int64(min(blocks*uint64(st.Bsize), math.MaxInt64)) }
	return bytes(st.Blocks), bytes(st.Bavail), nil
}

// osFile is a file of the machine's file system.
type osFile struct{ *os.File }

func (f osFile) SyncData() error {
	if err := ignoringEINTR(func() error { return unix.Fdatasync(int(f.Fd())) }); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}

func (f osFile) Allocate(at, n int64) error {
	err := ignoringEINTR(func() error { return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, at, n) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return &fs.PathError{Op: "fallocate", Path: f.Name(), Err: err}
}

// Punch implements Puncher.
func (f osFile) Punch(at, n int64) error {
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	err := ignoringEINTR(func() error { return unix.Fallocate(int(f.Fd()), mode, at, n) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return &fs.PathError{Op: "fallocate", Path: f.Name(), Err: err}
}

// SetDirect implements Direct.
func (f osFile) SetDirect(on bool) error {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err == nil {
		if flags &^= unix.O_DIRECT; on {
			flags |= unix.O_DIRECT
		}
		_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags)
	}
	if errors.Is(err, unix.EINVAL) {
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if err != nil {
		return &fs.PathError{Op: "fcntl", Path: f.Name(), Err: err}
	}
	return nil
}

func (f osFile) Uncache() { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }

func (f osFile) Lock() error {
	err := ignoringEINTR(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EWOULDBLOCK):
		err = ErrLocked
	}
	return &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
}

// ignoringEINTR calls do again as long as a signal interrupts it.
func ignoringEINTR(do func() error) error {
	for {
		if err := do(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
