//go:build !linux

package audit

import "errors"

// Allocate implements file.
func (f osFile) Allocate(at, n int64) error { return errors.ErrUnsupported }
