package payload

import (
	"context"
	"crypto/rand"

	"watertight/internal/access/authz"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// What needs a customer's key keeps its checksum sealed under its data key: a
// checksum of the plaintext, short ones above all, would let whoever holds the
// server's keys try out what the plaintext might be.

const sumPurpose = "watertight checksum"

// sealSum seals a checksum; none stays none. The nonce is random, for a checksum
// may be sealed more than once: a transaction that seals it may run again.
func sealSum(key seal.Key, sum []byte) []byte {
	if sum == nil {
		return nil
	}
	aead := key.Derive(sumPurpose).AEAD()
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(sum)+aead.Overhead())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, sum, nil)
}

func openSum(key seal.Key, sealed []byte) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	aead := key.Derive(sumPurpose).AEAD()
	if len(sealed) < aead.NonceSize() {
		return nil, fault.Internal(seal.ErrCorrupt)
	}
	sum, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return nil, fault.Internal(seal.ErrCorrupt)
	}
	return sum, nil
}

// Lock makes a location without bytes, that Unlock opens with the customer's
// key alone: for what has no bytes of its own.
func (s *Store) Lock(ctx context.Context, g authz.Grant, customer *seal.Key, binding []byte) (Location, error) {
	_, wrapped, err := s.keys.Generate(ctx, g, customer, binding)
	return Location{Key: wrapped}, err
}

// Unlock judges the customer's key and opens the checksum of a location, nil
// where it has none.
func (s *Store) Unlock(ctx context.Context, g authz.Grant, at Location, customer *seal.Key, binding []byte) (sum []byte, err error) {
	key, err := s.keys.Open(ctx, g, customer, at.Key, binding)
	if err != nil {
		return nil, err
	}
	return openSum(key, at.Sum)
}

// SealSum returns the location with a checksum of its own.
func (s *Store) SealSum(ctx context.Context, g authz.Grant, at Location, customer *seal.Key, sum, binding []byte) (Location, error) {
	key, err := s.keys.Open(ctx, g, customer, at.Key, binding)
	if err != nil {
		return Location{}, err
	}
	at.Sum = sealSum(key, sum)
	return at, nil
}
