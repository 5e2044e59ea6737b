package embedded

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"watertight/internal/storage/kv/embedded/internal/engine"
	"watertight/internal/storage/seal"
)

// legacy reads a store of format 1, 2 or 3, whose files were plain and whose values were
// sealed one by one. Nothing writes these formats any more: such a store is migrated when
// it is opened (migrate.go).
//
// Its own records are \0v, the format and the store's id, wrapped; \0e and a number,
// the wrapped key of an epoch; and \0c, the chain. A value is: format 1, commit number,
// epoch, counter, then AES-256-GCM's ciphertext and tag. Epoch and counter are the nonce;
// the header and the record's key are authenticated.
type legacy struct {
	wrap   seal.Purpose // wraps epoch keys
	format byte         // of the store
	id     seal.Key     // the store's own, so that epochs of another store are refused
	record []byte       // the version record
	epochs []cipher.AEAD
	copies [][]byte // the wrapped keys of the epochs from 1, for Marker
}

const (
	legacyValue   = 1
	legacyNonceAt = commitAt + 8
	legacyHeader  = legacyNonceAt + 12
	legacyTag     = 16

	legacyEpochPurpose = "watertight kv epoch"
)

func versionKey() []byte { return []byte{reserved, 'v'} }

func epochKey(n uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{reserved, 'e'}, n)
}

func (l *legacy) context(epoch uint32) []byte {
	return binary.BigEndian.AppendUint32(slices.Clone(l.id[:]), epoch)
}

// readLegacy reads what a store of an older format keeps about itself.
func readLegacy(root *seal.Ring, snap engine.Snapshot) (*legacy, error) {
	v, done, err := snap.Get(versionKey())
	if err != nil {
		return nil, err
	}
	if done != nil {
		defer done.Close()
	}
	l := &legacy{wrap: root.For(legacyEpochPurpose)}
	switch {
	case len(v) == 0:
		return nil, errors.New("kv: the directory holds records, but not this program's version record")
	case v[0] < oldest || v[0] > newestLegacy:
		return nil, errFormat(v[0])
	}
	if l.id, err = root.For(storePurpose).Unwrap(v[1:], versionKey()); err != nil {
		return nil, fmt.Errorf("kv: the root key is not this store's, or its version record is damaged: %w", err)
	}
	l.record, l.format = bytes.Clone(v), v[0]
	i, err := snap.Iterator()
	if err != nil {
		return nil, err
	}
	return l, errors.Join(l.load(i), i.Close())
}

// load reads the epochs of a store.
func (l *legacy) load(i engine.Iterator) error {
	l.epochs = make([]cipher.AEAD, 1) // epoch 0 is not used
	for ok := i.Seek(epochKey(0), []byte{reserved, 'e' + 1}); ok; ok = i.Next() {
		v, err := i.Value()
		if err != nil {
			return err
		}
		n := uint32(len(l.epochs))
		if !slices.Equal(i.Key(), epochKey(n)) {
			return fmt.Errorf("kv: the key of epoch %d is missing: %w", n, seal.ErrCorrupt)
		}
		k, err := l.wrap.Unwrap(v, l.context(n))
		if err != nil {
			return fmt.Errorf("kv: the key of epoch %d: %w", n, err)
		}
		l.epochs = append(l.epochs, k.AEAD())
		l.copies = append(l.copies, bytes.Clone(v))
	}
	return i.Err()
}

// open opens a value of key that was sealed no later than commit newest.
func (l *legacy) open(key, sealed []byte, newest uint64, scratch *[]byte) ([]byte, uint64, error) {
	if len(sealed) < legacyHeader+legacyTag || sealed[0] != legacyValue {
		return nil, 0, seal.ErrCorrupt
	}
	epoch := binary.BigEndian.Uint32(sealed[legacyNonceAt:])
	commit := binary.BigEndian.Uint64(sealed[commitAt:])
	if epoch == 0 || uint64(epoch) >= uint64(len(l.epochs)) || commit > newest {
		return nil, 0, seal.ErrCorrupt
	}
	*scratch = append(append((*scratch)[:0], sealed[:legacyHeader]...), key...)
	plain, err := l.epochs[epoch].Open([]byte{}, sealed[legacyNonceAt:legacyHeader], sealed[legacyHeader:], *scratch)
	if err != nil {
		return nil, 0, seal.ErrCorrupt
	}
	return plain, commit, nil
}

// legacyAdd adds a change to the chain of an older format: a value was represented by its
// header and tag.
func (c *chain) legacyAdd(key, sealed []byte) {
	if len(sealed) < legacyHeader+legacyTag { // nil is a deletion; anything else can't follow the chain
		c.add(key, sealed)
		return
	}
	c.add(key, sealed[:legacyHeader], sealed[len(sealed)-legacyTag:])
}
