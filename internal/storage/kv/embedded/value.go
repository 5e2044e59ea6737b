package embedded

import (
	"encoding/binary"

	"watertight/internal/storage/kv/embedded/internal/engine"
	"watertight/internal/storage/seal"
)

// A stored value: format, commit number, value. It has no seal of its own: the engine's
// files are sealed as a whole, and a store in memory has none. The numbers are stored.
const (
	valueFormat = 2
	commitAt    = 1
	valueAt     = commitAt + 8
)

// setValue puts a value into b and returns it as it is stored.
func setValue(b engine.Batch, commit uint64, key, value []byte) (stored []byte) {
	stored = b.Set(key, valueAt+len(value))
	stored[0] = valueFormat
	binary.BigEndian.PutUint64(stored[commitAt:], commit)
	copy(stored[valueAt:], value)
	return stored
}

// storedValue returns the value in what setValue stored no later than commit newest. The
// value shares the memory of stored.
func storedValue(stored []byte, newest uint64) (value []byte, commit uint64, err error) {
	if len(stored) < valueAt || stored[0] != valueFormat {
		return nil, 0, seal.ErrCorrupt
	}
	if commit = binary.BigEndian.Uint64(stored[commitAt:]); commit > newest {
		return nil, 0, seal.ErrCorrupt
	}
	return stored[valueAt:len(stored):len(stored)], commit, nil
}

// value returns the value of key in what the engine stores for it. It may share the memory
// of stored, and of scratch, which is reused between calls.
func (s *store) value(key, stored []byte, newest uint64, scratch *[]byte) (value []byte, commit uint64, err error) {
	if s.legacy != nil {
		return s.legacy.open(key, stored, newest, scratch)
	}
	return storedValue(stored, newest)
}
