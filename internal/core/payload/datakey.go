package payload

import (
	"context"
	"crypto/rand"

	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// DataKey is an opened data key, or two for bytes in two layers. Opening one may need a
// request to another server; using it does not. So a data key is opened before a
// transaction or a view, or after it, and is only used inside. It is never printed.
type DataKey struct{ key seal.StreamKey }

// String keeps the key out of logs.
func (DataKey) String() string { return "payload.DataKey(hidden)" }

// GoString keeps the key out of logs.
func (k DataKey) GoString() string { return k.String() }

// NewKey generates a data key that seals no bytes, and returns it as a location and opened.
// It is for uploads: an upload has no bytes of its own, but its key is used to check the
// keys of its parts, and to seal the checksum of the whole object.
func (s *Store) NewKey(
	ctx context.Context, g authz.Grant, choice keys.Choice, binding []byte,
) (Location, DataKey, error) {
	key, wrapped, err := s.keys.Generate(ctx, g, choice, binding)
	return Location{Key: wrapped}, DataKey{key}, err
}

// WrapKey wraps an opened data key again under another choice, with the same binding. The
// bytes that it seals stay as they are.
func (s *Store) WrapKey(
	ctx context.Context, g authz.Grant, k DataKey, choice keys.Choice, binding []byte,
) (wrapped []byte, err error) {
	return s.keys.Wrap(ctx, g, choice, k.key, binding)
}

// Renew returns a data key as the current generation of the root key wraps it, which may
// be as it is, for a record that is going to hold it. It is never called inside a
// transaction or a view.
func (s *Store) Renew(wrapped, binding []byte) ([]byte, error) {
	again, _, err := s.keys.Rewrap(wrapped, binding)
	return again, err
}

// OpenKey opens the data key of a location. Errors are those of Keys, such as AccessDenied
// for a wrong customer's key.
func (s *Store) OpenKey(
	ctx context.Context, g authz.Grant, at Location, choice keys.Choice, binding []byte,
) (DataKey, error) {
	key, err := s.keys.Open(ctx, g, choice, at.Key, binding)
	return DataKey{key}, err
}

// If digests of the plaintext are hidden (see keys.Choice), the checksum is stored sealed
// under the data key.

const sumPurpose = "watertight checksum"

// sumKey returns the key that seals the checksum. If there are two data keys, it depends on both.
func (k DataKey) sumKey() seal.Key {
	if k.key.Outer != nil {
		return k.key.Key.DeriveSalted(k.key.Outer[:], sumPurpose)
	}
	return k.key.Key.OneStep(seal.Label{'s', 'u', 'm'}, [16]byte{})
}

// olderSumKey returns the key that sealed the checksum in older programs, if that was another one.
func (k DataKey) olderSumKey() (older seal.Key, ok bool) {
	if k.key.Outer != nil {
		return older, false
	}
	return k.key.Key.Derive(sumPurpose), true
}

// SealSum returns the location with a sealed checksum; a nil sum stays nil. The nonce is
// random, because a checksum may be sealed more than once: the transaction that seals it
// may be repeated.
func (k DataKey) SealSum(at Location, sum []byte) Location {
	at.Sum = nil
	if sum == nil {
		return at
	}
	aead := k.sumKey().AEAD()
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(sum)+aead.Overhead())
	rand.Read(nonce)
	at.Sum = aead.Seal(nonce, nonce, sum, nil)
	return at
}

// OpenSum opens the checksum of a location. It returns nil if there is none. Nothing stored says
// which of the two keys sealed it; the tag shows which one is right.
func (k DataKey) OpenSum(at Location) ([]byte, error) {
	if at.Sum == nil {
		return nil, nil
	}
	sum, err := openSum(k.sumKey(), at.Sum)
	if err == nil {
		return sum, nil
	}
	if older, ok := k.olderSumKey(); ok {
		sum, err = openSum(older, at.Sum)
	}
	return sum, err
}

func openSum(key seal.Key, sealed []byte) ([]byte, error) {
	aead := key.AEAD()
	if len(sealed) < aead.NonceSize() {
		return nil, fault.Internal(seal.ErrCorrupt)
	}
	sum, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return nil, fault.Internal(seal.ErrCorrupt)
	}
	return sum, nil
}
