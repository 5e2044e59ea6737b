// Package seal turns plaintext into ciphertext that cannot be truncated, swapped, extended
// or changed without being noticed. It is pure: it uses only the standard library, package
// mac and the Go project's ChaCha20-Poly1305. It must never know what it seals, where that
// is stored or who asked for it.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"

	"watertight/internal/mac"
)

// KeySize is the size of every key, in bytes.
const KeySize = 32

// Key is an AES-256 key. It is never printed.
type Key [KeySize]byte

// ErrCorrupt is returned whenever opening fails, whatever the reason.
var ErrCorrupt = errors.New("seal: data is corrupt or not what it claims to be")

// NewKey returns a random key.
func NewKey() Key {
	var k Key
	rand.Read(k[:])
	return k
}

// String keeps a key out of logs.
func (k Key) String() string { return "seal.Key(hidden)" }

// GoString keeps a key out of logs.
func (k Key) GoString() string { return k.String() }

// MarshalText keeps a key out of JSON.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Derive returns the key for one purpose under k (HKDF-SHA256, RFC 5869).
func (k Key) Derive(purpose string) Key {
	return k.DeriveSalted(nil, purpose)
}

// DeriveSalted is Derive with a salt. It is for keys that were not generated here and may
// not be uniform.
func (k Key) DeriveSalted(salt []byte, purpose string) Key {
	extracted := mac.SHA256(salt, k[:]) // no salt is the same as a salt of zeros, because HMAC pads its key with zeros
	return Key(extracted).Expand(purpose, nil)
}

// Expand returns the key for one purpose and salt under k (HKDF-Expand, RFC 5869). It is
// for uniform keys, for which section 3.3 allows Extract to be left out.
func (k Key) Expand(purpose string, salt []byte) Key {
	var room [128]byte
	info := append(append(room[:0], purpose...), salt...)
	return k.MAC(append(info, 1))
}

// Label is a purpose of OneStep.
type Label [3]byte

// OneStep returns the key for one purpose and salt under k: SHA-256 of the number 1 (4 bytes,
// big-endian), k, the label and the salt, which is the one-step key derivation of NIST SP
// 800-56C Rev. 2, section 4.1, option 1. It is for uniform keys. Label and salt have fixed
// lengths, so that all of it is exactly one block of SHA-256, where Expand takes four: no two
// inputs are the same text, and nothing can be appended to one.
func (k Key) OneStep(purpose Label, salt [16]byte) Key {
	var block [4 + KeySize + len(purpose) + len(salt)]byte
	block[3] = 1
	copy(block[4:], k[:])
	copy(block[4+KeySize:], purpose[:])
	copy(block[4+KeySize+len(purpose):], salt[:])
	return sha256.Sum256(block[:])
}

// Tag returns HMAC-SHA256 under k of a purpose, followed by data.
func (k Key) Tag(purpose string, data []byte) [sha256.Size]byte {
	var room [128]byte
	return k.MAC(append(append(room[:0], purpose...), data...))
}

// MAC returns HMAC-SHA256 of a message under k.
func (k Key) MAC(message []byte) [sha256.Size]byte { return mac.SHA256(k[:], message) }

// AEAD returns AES-256-GCM with 12-byte nonces under k.
func (k Key) AEAD() cipher.AEAD {
	b, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // happens only for wrong key lengths
	}
	a, err := cipher.NewGCM(b)
	if err != nil {
		panic(err)
	}
	return a
}

// WrappedSize is the size of a wrapped key in bytes: nonce, key, tag.
const WrappedSize = 12 + KeySize + 16

// Wrap is Wrapper.Wrap under k.
func (k Key) Wrap(key Key, context []byte) []byte { return k.Wrapper().Wrap(key, context) }

// Unwrap opens what Wrap sealed under the same key and context.
func (k Key) Unwrap(wrapped, context []byte) (Key, error) {
	return k.Wrapper().Unwrap(wrapped, context)
}

// Wrapper wraps keys under one key. It is for a key that is used often. It is safe for
// concurrent use.
type Wrapper struct{ aead cipher.AEAD }

// Wrapper returns a Wrapper for k.
func (k Key) Wrapper() *Wrapper { return &Wrapper{k.AEAD()} }

// Wrap seals key, bound to context, with a random nonce. It is for keys that wrap few
// keys: a random nonce repeats after about 2^32 of them.
func (w *Wrapper) Wrap(key Key, context []byte) []byte {
	nonce := make([]byte, 12, WrappedSize)
	rand.Read(nonce)
	return w.aead.Seal(nonce, nonce, key[:], context)
}

// Unwrap opens what Wrap sealed under the same key and context.
func (w *Wrapper) Unwrap(wrapped, context []byte) (k Key, err error) {
	err = w.UnwrapTo(&k, wrapped, context)
	return k, err
}

// UnwrapTo is Unwrap to k. If it fails, k is zero.
func (w *Wrapper) UnwrapTo(k *Key, wrapped, context []byte) error {
	if len(wrapped) == WrappedSize {
		if _, err := w.aead.Open(k[:0], wrapped[:12], wrapped[12:], context); err == nil {
			return nil
		}
	}
	*k = Key{}
	return ErrCorrupt
}
