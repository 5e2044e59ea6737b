// Package blob defines what an engine for sealed bytes must do. An engine sees
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
	// Create starts a blob. It fails where one of this name exists. size is
	// the expected length in bytes, or -1. Nothing is reserved for what was only
	// announced.
	Create(name string, size int64) (Writer, error)
	// Open opens a committed blob.
	Open(name string) (Reader, error)
	// Remove removes a blob; one that does not exist is not an error.
	Remove(name string) error
	// List yields the names of all blobs, unfinished ones included.
	List() iter.Seq2[string, error]
	// SetAside keeps a blob apart, from this instant on, where Open doesn't find
	// it; one that does not exist is not an error. PutBack undoes it.
	SetAside(name string, now time.Time) error
	PutBack(name string) error
	// Aside yields what was set aside, and when.
	Aside() iter.Seq2[Aside, error]
	// Forget removes a blob that was set aside.
	Forget(name string) error
	// Retire removes a blob once Purge is called; until then it is kept where Open
	// doesn't find it. One that does not exist is not an error. After a crash, the
	// next opening purges.
	Retire(name string) error
	Purge() error
	// Quarantine keeps a damaged blob, or what is left of it, apart, where Open
	// doesn't find it and nothing removes it. Release undoes it. One that does not
	// exist is ErrNotExist.
	Quarantine(name string) error
	Release(name string) error
	// OpenQuarantined opens a blob in quarantine.
	OpenQuarantined(name string) (Reader, error)
	// Quarantined yields the names of the blobs in quarantine.
	Quarantined() iter.Seq2[string, error]
	// Syncs counts the syncs that commits cost.
	Syncs() uint64
	Close() error
}

// Aside is a blob that was set aside.
type Aside struct {
	Name  string
	Since time.Time
}

// Writer writes a blob from its beginning to its end.
type Writer interface {
	io.Writer
	// Commit makes the blob and its name durable. After an error the blob is gone.
	Commit() error
	// Abort removes the blob.
	Abort()
}

// Reader reads a blob at any place.
type Reader interface {
	io.ReaderAt
	io.Closer
	Size() int64
	// Uncache asks for the bytes to be read from the disk again, where the system
	// can be asked that.
	Uncache()
}

// Room is what is left of the disk. It is safe for concurrent use.
type Room interface {
	// Take takes bytes that are about to be written, and reports false where they
	// are not to be had.
	Take(n int64) bool
}

// CheckName refuses every name that is not 32 lower-case hex digits, so that
// no name can be a path.
func CheckName(name string) error {
	if len(name) != 32 {
		return errors.New("blob: not a name")
	}
	for i := range len(name) {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return errors.New("blob: not a name")
		}
	}
	return nil
}
