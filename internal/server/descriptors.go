package server

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

const (
	// ownFiles is the number of files that a server holds open in addition to its
	// connections: folders of blobs, the engine's files, the log and listeners.
	ownFiles = 288
	// filesEach is the number of files that a connection needs: itself and the blob that it
	// reads or writes.
	filesEach = 2
	leastDoor = 4 // the fewest connections with which a server is useful
)

// openFiles returns how many files this process may have open.
func openFiles() uint64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return math.MaxUint64
	}
	return l.Cur
}

// places returns the number of connections to accept: the configured number, but not more
// than there are descriptors for. Without a free descriptor, the process can't accept a
// connection, and so can't make place for it by closing another.
func places(maximum int, files uint64) (int, error) {
	least := ownFiles + filesEach*uint64(min(leastDoor, maximum))
	if files < least {
		return 0, fmt.Errorf(
			"this process may have %d files open, and needs %d at least; raise the limit (ulimit -n, LimitNOFILE)",
			files, least,
		)
	}
	return int(min(uint64(maximum), (files-ownFiles)/filesEach)), nil
}
