package embedded

import (
	"errors"
	"fmt"
	"syscall"

	"watertight/internal/fault"
	"watertight/internal/storage/kv/embedded/internal/sealedfs"
	"watertight/internal/storage/seal"
)

// Damaged reports whether an error says that a file of the engine was changed or damaged.
func Damaged(err error) bool {
	return errors.Is(err, sealedfs.ErrDamaged) || errors.Is(err, seal.ErrCorrupt)
}

var errClosed = errors.New("kv: the store is closed")

var errReserved = errors.New("kv: a key must not be empty or start with a zero byte")

var errEnded = errors.New("kv: used after its transaction ended")

var errTooLarge = errors.New("kv: a transaction takes at most 64 MiB")

var errReplaced = errors.New("kv: the engine was replaced meanwhile")

var errWitness = errors.New("kv: a witness of another store")

var errWitnesses = errors.New("kv: a transaction relies on one witness")

func noRoom() *fault.Error {
	return fault.New(fault.InsufficientStorage, "There is not enough free space to complete the request.")
}

func unavailable(cause error) *fault.Error {
	if errors.Is(cause, syscall.ENOSPC) || errors.Is(cause, syscall.EDQUOT) {
		return noRoom().Because(cause)
	}
	return fault.New(fault.ServiceUnavailable, "Service is unable to handle request.").Because(cause)
}

// broken is the error for a record that can't be read.
func broken(key []byte, err error) error {
	return fault.Internal(fmt.Errorf("kv: record %q: %w", key, err))
}

func misuse(err error) error { return fault.Internal(err) }

func checkKey(key []byte) error {
	if len(key) == 0 || key[0] == reserved {
		return misuse(errReserved)
	}
	return nil
}
