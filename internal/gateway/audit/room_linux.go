package audit

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Allocate implements file.
func (f osFile) Allocate(at, n int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, at, n)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return err
}
