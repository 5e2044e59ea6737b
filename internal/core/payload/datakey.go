package payload

import (
	"context"
	"crypto/rand"

	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// DataKey is an opened data key, or the two of bytes in two layers. Opening one may take a request to another
// server; all other work with it stays in this process. So a key is opened before a
// transaction or a view, or after it, and is only used inside. It is never printed.
type DataKey struct{ key seal.StreamKey }

// String keeps the key out of logs.
func (DataKey) String() string { return "payload.DataKey(hidden)" }

// GoString keeps the key out of logs.
func (k DataKey) GoString() string { return k.String() }

// NewKey makes a data key that seals no bytes, and returns it as a location and opened:
// for an upload, which has no bytes itself but whose key is checked, and seals the
// checksum of the whole.
func (s *Store) NewKey(
	ctx context.Context, g authz.Grant, choice keys.Choice, binding []byte,
) (Location, DataKey, error) {
	key, wrapped, err := s.keys.Generate(ctx, g, choice, binding)
	return Location{Key: wrapped}, DataKey{key}, err
}

// WrapKey wraps an opened data key anew under another choice, bound to the same
// binding. The bytes that it seals stay as they are.
func (s *Store) WrapKey(
	ctx context.Context, g authz.Grant, k DataKey, choice keys.Choice, binding []byte,
) (wrapped []byte, err error) {
	return s.keys.Wrap(ctx, g, choice, k.key, binding)
}

// OpenKey opens the data key of a location. Errors are those of Keys, such as
// AccessDenied for another customer's key than the one it was made with.
func (s *Store) OpenKey(
	ctx context.Context, g authz.Grant, at Location, choice keys.Choice, binding []byte,
) (DataKey, error) {
	key, err := s.keys.Open(ctx, g, choice, at.Key, binding)
	return DataKey{key}, err
}

// Where digests of the plaintext are hidden (see keys.Choice), the checksum is
// kept sealed under the data key.

const sumPurpose = "watertight checksum"

// sumKey seals the checksum. It takes both data keys where there are two.
func (k DataKey) sumKey() seal.Key {
	if k.key.Outer != nil {
		return k.key.Key.DeriveSalted(k.key.Outer[:], sumPurpose)
	}
	return k.key.Key.Derive(sumPurpose)
}

// SealSum returns the location with a checksum; nil stays nil. The nonce is
// random, for a checksum may be sealed more than once: a transaction that seals
// it may run again.
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

// OpenSum opens the checksum of a location, nil where it has none.
func (k DataKey) OpenSum(at Location) ([]byte, error) {
	if at.Sum == nil {
		return nil, nil
	}
	aead := k.sumKey().AEAD()
	if len(at.Sum) < aead.NonceSize() {
		return nil, fault.Internal(seal.ErrCorrupt)
	}
	sum, err := aead.Open(nil, at.Sum[:aead.NonceSize()], at.Sum[aead.NonceSize():], nil)
	if err != nil {
		return nil, fault.Internal(seal.ErrCorrupt)
	}
	return sum, nil
}
