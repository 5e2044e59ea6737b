//go:build unix

package audit

import (
	"errors"
	"os"
	"syscall"
)

// lock prevents a second process from cutting what this one is writing. The kernel releases
// it when the process ends, even after a crash.
func lock(folder *os.File) error {
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return errors.New("another process is writing this log")
		}
		return err
	}
	return nil
}
