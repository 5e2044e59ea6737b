package embedded

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"watertight/internal/storage/kv/embedded/internal/engine"
	"watertight/internal/storage/seal"
)

// A sealed value: format, commit number, epoch, counter, then AES-256-GCM's
// ciphertext and tag. Epoch and counter are the nonce; the header and the key
// are authenticated, so that a value can't pass for another key's. An attacker who can
// change the engine's files can still put back an older value of the same key, or
// remove a record; the chain only detects the loss of the newest commits.
const (
	sealFormat  = 1
	commitAt    = 1
	nonceAt     = commitAt + 8
	headerSize  = nonceAt + 12
	tagSize     = 16
	sealedExtra = headerSize + tagSize

	// valuesPerEpoch keeps a key far below the number of blocks at which GCM becomes unsafe
	// (NIST SP 800-38D).
	valuesPerEpoch = 1 << 30
)

// sealer seals values under epoch keys: random, made at each open and after
// valuesPerEpoch values, so that a counter is a safe nonce even when the newest
// commits, and the counters they used, are lost in a crash.
type sealer struct {
	wrap   seal.Purpose // wraps epoch keys
	id     [32]byte     // the store's own, so that epochs of another store are refused
	epochs atomic.Pointer[[]cipher.AEAD]
	copies atomic.Pointer[[][]byte] // the wrapped keys of the epochs from 1, for Marker

	// The rest belongs to the committer.
	epoch uint32
	aead  cipher.AEAD
	used  uint64
	aad   []byte
}

func epochKey(n uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{reserved, 'e'}, n)
}

func (s *sealer) context(epoch uint32) []byte {
	return binary.BigEndian.AppendUint32(slices.Clone(s.id[:]), epoch)
}

// load reads the epochs of a store.
func (s *sealer) load(i engine.Iterator) error {
	epochs := make([]cipher.AEAD, 1) // epoch 0 is not used
	var copies [][]byte
	for ok := i.Seek(epochKey(0), []byte{reserved, 'e' + 1}); ok; ok = i.Next() {
		v, err := i.Value()
		if err != nil {
			return err
		}
		n := uint32(len(epochs))
		if !slices.Equal(i.Key(), epochKey(n)) {
			return fmt.Errorf("kv: the key of epoch %d is missing: %w", n, seal.ErrCorrupt)
		}
		k, err := s.wrap.Unwrap(v, s.context(n))
		if err != nil {
			return fmt.Errorf("kv: the key of epoch %d: %w", n, err)
		}
		epochs = append(epochs, k.AEAD())
		copies = append(copies, bytes.Clone(v))
	}
	s.epochs.Store(&epochs)
	s.copies.Store(&copies)
	s.epoch = uint32(len(epochs) - 1)
	return i.Err()
}

// begin starts the next epoch; its wrapped key becomes durable with b.
func (s *sealer) begin(b engine.Batch) {
	s.epoch++
	k := seal.NewKey()
	wrapped := s.wrap.Wrap(k, s.context(s.epoch))
	copy(b.Set(epochKey(s.epoch), len(wrapped)), wrapped)
	s.aead, s.used = k.AEAD(), 0
	epochs := append(slices.Clone(*s.epochs.Load()), s.aead)
	s.epochs.Store(&epochs)
	copies := append(slices.Clone(*s.copies.Load()), wrapped)
	s.copies.Store(&copies)
}

// set seals value into b.
func (s *sealer) set(b engine.Batch, commit uint64, key, value []byte) (sealed []byte) {
	if s.used == valuesPerEpoch {
		s.begin(b)
	}
	s.used++
	sealed = b.Set(key, len(value)+sealedExtra)
	sealed[0] = sealFormat
	binary.BigEndian.PutUint64(sealed[commitAt:], commit)
	binary.BigEndian.PutUint32(sealed[nonceAt:], s.epoch)
	binary.BigEndian.PutUint64(sealed[nonceAt+4:], s.used)
	s.aad = append(append(s.aad[:0], sealed[:headerSize]...), key...)
	s.aead.Seal(sealed[:headerSize], sealed[nonceAt:headerSize], value, s.aad)
	return sealed
}

// open opens what set made for key no later than commit newest, appending to
// dst. scratch is reused between calls.
func (s *sealer) open(dst, key, sealed []byte, newest uint64, scratch *[]byte) ([]byte, uint64, error) {
	if len(sealed) < sealedExtra || sealed[0] != sealFormat {
		return nil, 0, seal.ErrCorrupt
	}
	epochs := *s.epochs.Load()
	epoch := binary.BigEndian.Uint32(sealed[nonceAt:])
	commit := binary.BigEndian.Uint64(sealed[commitAt:])
	if epoch == 0 || uint64(epoch) >= uint64(len(epochs)) || commit > newest {
		return nil, 0, seal.ErrCorrupt
	}
	*scratch = append(append((*scratch)[:0], sealed[:headerSize]...), key...)
	plain, err := epochs[epoch].Open(dst, sealed[nonceAt:headerSize], sealed[headerSize:], *scratch)
	if err != nil {
		return nil, 0, seal.ErrCorrupt
	}
	return plain, commit, nil
}
