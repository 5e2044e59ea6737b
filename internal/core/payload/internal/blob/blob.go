// Package blob defines the interface of engines that store sealed bytes. An engine sees
// ciphertext under random names; it must never know a key or an object.
package blob

import (
	"errors"
	"io"
	"iter"
	"time"
)

// ErrNotExist is the error that Open wraps if no blob has the name.
var ErrNotExist = errors.New("blob: does not exist")

// Engine keeps blobs. It is safe for concurrent use.
type Engine interface {
	// Create starts a blob. It fails if one with this name exists. size is the expected
	// length in bytes, or -1; it reserves no space.
	Create(name string, size int64) (Writer, error)
	// Open opens a committed blob.
	Open(name string) (Reader, error)
	// Remove removes a blob. It is not an error if the blob does not exist.
	Remove(name string) error
	// List yields the names of all blobs, including unfinished ones.
	List() iter.Seq2[string, error]
	// SetAside moves a blob to where Open doesn't find it, and records the time. It is not
	// an error if the blob does not exist. PutBack undoes it.
	SetAside(name string, now time.Time) error
	PutBack(name string) error
	// Aside yields the blobs that were set aside, with the times.
	Aside() iter.Seq2[Aside, error]
	// Forget removes a blob that was set aside.
	Forget(name string) error
	// Retire moves a blob to where Open doesn't find it; Purge then removes it. It is not
	// an error if the blob does not exist. After a crash, opening the engine purges.
	Retire(name string) error
	Purge() error
	// Quarantine moves a damaged blob, or what is left of it, to where Open doesn't find it
	// and nothing removes it. Release undoes it. The error is ErrNotExist if the blob does
	// not exist.
	Quarantine(name string) error
	Release(name string) error
	// OpenQuarantined opens a blob in quarantine.
	OpenQuarantined(name string) (Reader, error)
	// Quarantined yields the names of the blobs in quarantine.
	Quarantined() iter.Seq2[string, error]
	// Syncs counts the syncs of all commits.
	Syncs() uint64
	Close() error
}

// Aside is a blob that was set aside, with the time.
type Aside struct {
	Name  string
	Since time.Time
}

// Writer writes a blob sequentially.
type Writer interface {
	io.Writer
	// Front returns bytes that must be written before those of the blob, so that writes of
	// whole units of the disk are at whole units of a file. After it, the memory of a write
	// must have room up to the end of its last unit. Without a call there are none.
	Front() []byte
	// Commit makes the blob and its name durable. After an error, the blob is removed.
	Commit() error
	// Abort removes the blob.
	Abort()
}

// Reader reads a blob at any offset.
type Reader interface {
	io.ReaderAt
	io.Closer
	Size() int64
	// Uncache makes later reads read from the disk again, if the system supports that.
	Uncache()
}

// Room is the free space of the disk. It is safe for concurrent use.
type Room interface {
	// Take takes space for bytes that are about to be written. It returns false if there is
	// not enough.
	Take(n int64) bool
}

// CheckName refuses every name that is not 32 lower-case hex digits, so that
// no name can be a path. The first one may be an s instead: such a blob was in a segment.
func CheckName(name string) error {
	if len(name) != 32 {
		return errors.New("blob: not a name")
	}
	for i := range len(name) {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c != 's' || i > 0) {
			return errors.New("blob: not a name")
		}
	}
	return nil
}
