// Package keys gives and opens data keys. It exists so that no other room holds
// a key that outlives one object. It must never know what a data key seals.
package keys

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// A data key of SSE-S3 as it is stored: scheme 1, the generation of the service
// key (4 bytes, big-endian), a random salt, and AES-256-GCM's ciphertext and
// tag of the data key.
//
// The key that wraps is made for this one data key: HKDF-Expand (RFC 5869,
// section 3.3 allows it alone, since the service key is uniform) of the service
// key over "watertight sse-s3 wrap" and the salt. As each wrapping key seals
// one message, the nonce is zero, nothing has to be counted, and the number of
// data keys under a service key has no bound short of two equal salts: 2^48 of
// them meet with a chance below 2^-32. Scheme, generation and salt are
// authenticated together with the binding.
const (
	schemeService = 1 // later schemes, such as a KMS key, have other numbers
	saltSize      = 16
	headerSize    = 1 + 4 + saltSize
	tagSize       = 16
	wrappedSize   = headerSize + seal.KeySize + tagSize
	wrapPurpose   = "watertight sse-s3 wrap"
)

// generation is the service key's in use.
const generation = 1

// Ring holds the service keys of SSE-S3 by their generation. It is safe for
// concurrent use.
type Ring struct{ service map[uint32]*expander }

// New returns the ring under the root key.
func New(root seal.Key) *Ring {
	return &Ring{service: map[uint32]*expander{generation: newExpander(serviceKey(root, generation))}}
}

func serviceKey(root seal.Key, generation uint32) seal.Key {
	return root.Derive(fmt.Sprintf("watertight sse-s3 service key %d", generation))
}

// expander makes wrapping keys. It keeps keyed hashes, as keying one costs more
// than the hash.
type expander struct{ hashes sync.Pool }

func newExpander(service seal.Key) *expander {
	return &expander{sync.Pool{New: func() any { return hmac.New(sha256.New, service[:]) }}}
}

// key is HKDF-Expand for one block: HMAC-SHA256 over info and the byte 1.
func (e *expander) key(salt []byte) (k seal.Key) {
	h := e.hashes.Get().(hash.Hash)
	defer e.hashes.Put(h)
	h.Reset()
	var info [len(wrapPurpose) + saltSize + 1]byte
	copy(info[:], wrapPurpose)
	copy(info[len(wrapPurpose):], salt)
	info[len(info)-1] = 1
	h.Write(info[:])
	h.Sum(k[:0])
	return k
}

// Generate makes a data key and wraps it, bound to binding. SSE-S3 asks no
// permission of its own (S3 user guide, "Using server-side encryption with
// Amazon S3 managed keys"); a zero grant is refused all the same.
func (r *Ring) Generate(_ context.Context, g authz.Grant, binding []byte) (plain [32]byte, wrapped []byte, err error) {
	if g.Caller().Principal().Kind == policy.Nobody {
		return plain, nil, fault.AccessDenied()
	}
	var salt [saltSize]byte
	rand.Read(salt[:])
	rand.Read(plain[:])
	return plain, r.wrap(plain, salt, binding), nil
}

func (r *Ring) wrap(plain seal.Key, salt [saltSize]byte, binding []byte) []byte {
	wrapped := make([]byte, headerSize, wrappedSize)
	wrapped[0] = schemeService
	binary.BigEndian.PutUint32(wrapped[1:], generation)
	copy(wrapped[5:], salt[:])
	k := r.service[generation].key(wrapped[5:headerSize])
	var nonce [12]byte
	return k.AEAD().Seal(wrapped, nonce[:], plain[:], bound(wrapped[:headerSize], binding))
}

// Open opens a data key that Generate wrapped under the same binding. Whoever
// may read an object may open its data key; a zero grant is refused.
func (r *Ring) Open(_ context.Context, g authz.Grant, wrapped, binding []byte) (plain [32]byte, err error) {
	if g.Caller().Principal().Kind == policy.Nobody {
		return plain, fault.AccessDenied()
	}
	if len(wrapped) != wrappedSize || wrapped[0] != schemeService {
		return plain, fault.InternalError(seal.ErrCorrupt)
	}
	service, ok := r.service[binary.BigEndian.Uint32(wrapped[1:])]
	if !ok {
		return plain, fault.InternalError(seal.ErrCorrupt)
	}
	k := service.key(wrapped[5:headerSize])
	var nonce [12]byte
	if _, err := k.AEAD().Open(plain[:0], nonce[:], wrapped[headerSize:], bound(wrapped[:headerSize], binding)); err != nil {
		return [32]byte{}, fault.InternalError(seal.ErrCorrupt)
	}
	return plain, nil
}

func bound(header, binding []byte) []byte {
	return append(append(make([]byte, 0, len(header)+len(binding)), header...), binding...)
}
