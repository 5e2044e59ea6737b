package space

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"watertight/internal/storage/folder"
)

// reserve holds free space of the disk, bytes and names, while there is plenty: deletions,
// their audit events and the engine's own work need space before they can free any. The
// first half is released as soon as the disk is nearly full. The second half is kept until
// it is needed, because any other process that fills the disk can take released space.
type reserve struct {
	dir  string
	size int64
	held int // number of halves that are held
}

const (
	// reserveNames is the number of names that the reserve holds in addition to its bytes.
	reserveNames = 32
	// reserveLeast and reserveMost bound the reserve, which is otherwise a quarter of
	// --min-free. The minimum is what opening an engine and its logs needs. On a small
	// disk, the reserve is at most a sixteenth of the disk.
	reserveLeast = 16 << 20
	reserveMost  = 64 << 20
)

func newReserve(data string, minimum, disk int64) *reserve {
	r := &reserve{dir: filepath.Join(data, "reserve"), size: min(max(minimum/4, reserveLeast), reserveMost, disk/16)}
	if _, err := os.Stat(r.dir); err == nil {
		r.held = 2
	}
	return r
}

func (r *reserve) name(i int) string { return filepath.Join(r.dir, fmt.Sprintf("%02d", i)) }

// take takes the reserve. If the file system can't reserve bytes, it takes only names.
func (r *reserve) take() error {
	if r.held == 2 {
		return nil
	}
	r.held = 2 // so that everything that was reserved is released together
	if err := folder.Make(folder.OS(), r.dir, 0o700); err != nil {
		return err
	}
	for i := range reserveNames {
		f, err := os.OpenFile(r.name(i), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if i%(reserveNames/2) == 0 {
			err = unix.Fallocate(int(f.Fd()), 0, 0, r.size/2)
			if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
				err = nil
			}
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// lend releases the first half.
func (r *reserve) lend() error {
	if r.held < 2 {
		return nil
	}
	r.held = 1
	for i := range reserveNames / 2 {
		if err := os.Remove(r.name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// release releases the whole reserve.
func (r *reserve) release() error {
	if r.held == 0 {
		return nil
	}
	r.held = 0
	return os.RemoveAll(r.dir)
}
