package audit

import (
	"errors"

	"watertight/internal/storage/folder"
)

// The log reserves space on the disk, so that it can record requests that were answered
// even if other data has filled the disk: reserveMost bytes, or a share of a small disk.
const (
	reserveMost  = 16 << 20
	reserveLeast = 1 << 20
	reserveShare = 16
)

// reserveOf returns how much space a log in dir reserves.
func reserveOf(fsys folder.FS, dir string) int64 {
	total, _, err := fsys.Space(dir)
	if err != nil {
		return reserveLeast
	}
	return min(max(total/reserveShare, reserveLeast), reserveMost)
}

// room returns how many bytes of frames the disk is known to have space for.
func (j *journal) room() int64 { return max(0, j.reserved-j.size) }

// low reports whether the disk has no more space than the log has reserved. The rest of the
// reserve is then only for the events of reads: changes are safe in the store, and refusals
// can be counted.
func (j *journal) low() bool { return j.ready && j.room() < j.reserve/2 }

// hold reserves space for the next frames if less than three quarters of the reserve are
// left. It takes as much as there is.
func (j *journal) hold() {
	if !j.ready || j.file == nil || j.room() >= j.reserve/4*3 {
		return
	}
	for n := j.reserve; n >= 64<<10 && n > j.room(); n /= 2 {
		err := j.file.Allocate(j.size, n)
		if err == nil || errors.Is(err, errors.ErrUnsupported) { // if unsupported, only a write can tell
			j.reserved = j.size + n
			return
		}
	}
}
