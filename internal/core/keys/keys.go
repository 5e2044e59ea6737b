// Package keys generates and opens data keys. It exists so that no other package holds a
// key that is used for more than one object. It must never know what a data key seals.
package keys

import (
	"context"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"maps"
	"sync"
	"sync/atomic"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// A stored data key is: a scheme, the generation of the service key (4 bytes, big-endian),
// a random salt, and AES-256-GCM's ciphertext and tag of the data key. Scheme, generation
// and salt are authenticated together with the binding.
//
// Each data key has its own wrapping key: HKDF-Expand (RFC 5869, section 3.3 allows it
// without Extract, because the service key is uniform) of the service key over the scheme's
// purpose and the salt. A wrapping key seals one message, so the nonce is zero and no
// counter is needed. The number of data keys under a service key is limited only by the
// chance of two equal salts, which is below 2^-32 for 2^48 data keys.
//
// With a customer's key (SSE-C), the data key is wrapped twice: first in the same way under
// HKDF (RFC 5869, with the salt) of the customer's key, then under the service key. Both
// the server's keys and the customer's are needed to open it. Only the inner tag tells
// whether a customer's key is the right one. The tag is salted, and can't be read without
// the server's keys.
const (
	schemeService  = 1 // SSE-S3; see schemeKMS for others
	schemeCustomer = 2 // SSE-C
	saltSize       = 16
	headerSize     = 1 + 4 + saltSize
	tagSize        = 16
	innerSize      = seal.KeySize + tagSize // a data key wrapped under a customer's key

	servicePurpose  = "watertight sse-s3 wrap"
	customerPurpose = "watertight sse-c outer wrap" // under the service key
	innerPurpose    = "watertight sse-c inner wrap" // under the customer's key
)

// Ring holds the service keys of SSE-S3, one for each generation of the root key. It asks
// KMS to open data keys under keys of KMS. It is safe for concurrent use.
type Ring struct {
	root    *seal.Ring
	kms     KMS                                  // nil: no data key is under a key of KMS
	service atomic.Pointer[map[uint32]*expander] // by generation; only those that were used
	// bindings has memory for what data keys under keys of KMS are bound to, of *[]byte. Nothing in it is a secret.
	bindings sync.Pool
}

// New returns a Ring for the root key; kms may be nil.
func New(root *seal.Ring, kms KMS) *Ring {
	r := &Ring{root: root, kms: kms, bindings: sync.Pool{New: func() any { return new([]byte) }}}
	r.service.Store(&map[uint32]*expander{})
	return r
}

// of returns the service key of a generation, or nil if the root key does not have it.
func (r *Ring) of(generation uint32) *expander {
	all := r.service.Load()
	if e := (*all)[generation]; e != nil {
		return e
	}
	key, ok := r.root.Of(generation)
	if !ok {
		return nil
	}
	more := maps.Clone(*all)
	more[generation] = newExpander(serviceKey(key, generation))
	r.service.CompareAndSwap(all, &more) // if another call was faster, the next call derives this key again
	return more[generation]
}

func serviceKey(root seal.Key, generation uint32) seal.Key {
	return root.Derive(fmt.Sprintf("watertight sse-s3 service key %d", generation))
}

// expander derives wrapping keys. It keeps keyed hashes in a pool, because keying a hash
// costs more than using it.
type expander struct{ hashes sync.Pool }

func newExpander(service seal.Key) *expander {
	return &expander{sync.Pool{New: func() any { return hmac.New(sha256.New, service[:]) }}}
}

// key returns the first block of HKDF-Expand: HMAC-SHA256 over info and the byte 1.
func (e *expander) key(purpose string, salt []byte) (k seal.Key) {
	h := e.hashes.Get().(hash.Hash)
	defer e.hashes.Put(h)
	h.Reset()
	info := append(make([]byte, 0, 64), purpose...)
	info = append(info, salt...)
	h.Write(append(info, 1))
	h.Sum(k[:0])
	return k
}

// once seals and opens the only message of a key.
type once struct{ cipher.AEAD }

func (o once) seal(dst, message, context []byte) []byte {
	var nonce [12]byte
	return o.Seal(dst, nonce[:], message, context)
}

func (o once) open(dst, sealed, context []byte) ([]byte, error) {
	var nonce [12]byte
	b, err := o.Open(dst, nonce[:], sealed, context)
	if err != nil {
		return nil, seal.ErrCorrupt
	}
	return b, nil
}

// Generate generates a data key and wraps it, bound to binding; the same choice opens it
// again. A key of KMS needs kms:GenerateDataKey. Neither SSE-S3 nor SSE-C needs a separate
// permission (S3 user guide, "Using server-side encryption with Amazon S3 managed keys",
// "... with customer-provided keys"), but a zero grant is refused. Errors: those of KMS.
func (r *Ring) Generate(
	ctx context.Context, g authz.Grant, choice Choice, binding []byte,
) (plain seal.StreamKey, wrapped []byte, err error) {
	if g.Caller().Kind() == policy.Nobody {
		return plain, nil, fault.Of(fault.AccessDenied)
	}
	if choice.kms != nil {
		return r.generateUnderKMS(ctx, g, choice.kms, binding)
	}
	var salt [saltSize]byte
	rand.Read(salt[:])
	rand.Read(plain.Key[:])
	return plain, r.wrap(plain.Key, choice, salt, binding), nil
}

// Wrap wraps a data key, which Open has opened, under another choice. The bytes that it
// seals stay as they are. It needs the same permissions as Generate. The new choice must be
// one of KMS with the same number of layers.
func (r *Ring) Wrap(
	ctx context.Context, g authz.Grant, choice Choice, plain seal.StreamKey, binding []byte,
) ([]byte, error) {
	if choice.kms == nil || choice.kms.two != (plain.Outer != nil) {
		return nil, fault.Internal(errors.New("keys: a data key of another kind"))
	}
	return r.wrapUnderKMS(ctx, g, choice.kms, plain, binding)
}

func (r *Ring) wrap(plain seal.Key, choice Choice, salt [saltSize]byte, binding []byte) []byte {
	customer := choice.customer
	wrapped := make([]byte, headerSize, headerSize+innerSize+tagSize)
	wrapped[0] = schemeService
	if customer != nil {
		wrapped[0] = schemeCustomer
	}
	generation := r.root.Current().Number
	binary.BigEndian.PutUint32(wrapped[1:], generation)
	copy(wrapped[5:], salt[:])
	context := bound(wrapped, binding)
	message, purpose := plain[:], servicePurpose
	if customer != nil {
		inner := customer.DeriveSalted(salt[:], innerPurpose)
		message, purpose = once{inner.AEAD()}.seal(make([]byte, 0, innerSize), plain[:], context), customerPurpose
	}
	return once{r.of(generation).key(purpose, salt[:]).AEAD()}.seal(wrapped, message, context)
}

// Open opens a data key that Generate wrapped with the same choice and binding. A key of
// KMS needs kms:Decrypt; without a key of KMS, a caller who may read an object may also
// open its data key. A zero grant is refused. Open may take as long as a request to another
// server, so it must not be called inside a transaction or a view. Errors: AccessDenied for
// a wrong customer's key, or if one is needed and none is given, and those of KMS.
func (r *Ring) Open(
	ctx context.Context, g authz.Grant, choice Choice, wrapped, binding []byte,
) (plain seal.StreamKey, err error) {
	if g.Caller().Kind() == policy.Nobody {
		return plain, fault.Of(fault.AccessDenied)
	}
	if choice.kms != nil {
		return r.openUnderKMS(ctx, g, choice.kms, wrapped, binding)
	}
	plain.Key, err = r.open(choice, wrapped, binding)
	return plain, err
}

// Recover opens a data key with only the root key, without a server. It can't open one that
// needs a customer's key.
func Recover(root *seal.Ring, wrapped, binding []byte) (seal.Key, error) {
	return New(root, nil).open(Choice{}, wrapped, binding)
}

// Own reports whether the server's keys alone open a data key, without a key of SSE-C or of KMS.
func Own(wrapped []byte) bool { return len(wrapped) > 0 && wrapped[0] == schemeService }

// Layers reports whether the bytes under a data key have two layers.
func Layers(wrapped []byte) bool { return len(wrapped) > 0 && wrapped[0] == schemeLayers }

func (r *Ring) open(choice Choice, wrapped, binding []byte) (plain [32]byte, err error) {
	customer := choice.customer
	s, ok := parse(wrapped)
	if !ok {
		return plain, fault.Internal(seal.ErrCorrupt)
	}
	message, err := r.outer(s, binding)
	if err != nil {
		return plain, fault.Internal(err)
	}
	switch {
	case s.inner == nil && customer != nil:
		return plain, fault.Internal(errors.New("keys: a customer's key for a data key without one"))
	case s.inner == nil:
		return [32]byte(message), nil
	case customer == nil:
		return plain, wrongCustomerKey()
	}
	inner := customer.DeriveSalted(s.header[5:headerSize], innerPurpose)
	if _, err := (once{inner.AEAD()}).open(plain[:0], message, bound(s.inner, binding)); err != nil {
		return [32]byte{}, wrongCustomerKey()
	}
	return plain, nil
}

func wrongCustomerKey() error {
	return fault.New(fault.AccessDenied,
		"Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key.")
}

func bound(header, binding []byte) []byte {
	return append(append(make([]byte, 0, len(header)+len(binding)), header...), binding...)
}
