package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"watertight/internal/storage/folder"
)

// reserve is room on the disk, bytes and names, that is held while there is
// plenty and given up when the disk is nearly full: deletions, their audit
// events and the engine's own work need room to make room.
type reserve struct {
	dir  string
	size int64
	held bool
}

// reserveNames is how many names the reserve holds, beside its bytes.
const reserveNames = 32

// reserveMost bounds the reserve; it is at most a quarter of --min-free and a
// sixteenth of the disk.
const reserveMost = 64 << 20

func newReserve(data string, minimum, disk int64) *reserve {
	r := &reserve{dir: filepath.Join(data, "reserve"), size: min(reserveMost, minimum/4, disk/16)}
	_, err := os.Stat(r.dir)
	r.held = err == nil
	return r
}

// take holds the reserve. A file system that can't set bytes aside holds names.
func (r *reserve) take() error {
	if r.held {
		return nil
	}
	r.held = true // what is there of it is given up as a whole
	if err := folder.Make(r.dir, 0o700); err != nil {
		return err
	}
	for i := range reserveNames {
		f, err := os.OpenFile(filepath.Join(r.dir, fmt.Sprintf("%02d", i)), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if i == 0 {
			err = unix.Fallocate(int(f.Fd()), 0, 0, r.size)
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

// release gives the room up.
func (r *reserve) release() error {
	if !r.held {
		return nil
	}
	r.held = false
	return os.RemoveAll(r.dir)
}
