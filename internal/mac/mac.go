// Package mac computes HMAC-SHA256 of short messages. It exists so that signatures and
// derived keys, of which each request needs several, allocate no memory and share one
// implementation. It is pure: only the standard library. It must never know what a key or a
// message is for.
package mac

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// room is the maximum length of a message without allocation, in bytes.
const room = 256

// SHA256 returns HMAC-SHA256 (RFC 2104). It gives the same result as crypto/hmac, without
// its allocations for keys of up to 64 and messages of up to 256 bytes.
func SHA256[T string | []byte](key []byte, data T) [sha256.Size]byte {
	const size = sha256.BlockSize
	if len(key) > size || len(data) > room {
		h := hmac.New(sha256.New, bytes.Clone(key)) // a copy, so that the keys of short messages stay on the stack
		h.Write(bytes.Clone([]byte(data)))
		return [sha256.Size]byte(h.Sum(nil))
	}
	var inner [size + room]byte
	var outer [size + sha256.Size]byte
	copy(inner[:], key)
	for i := 0; i < size; i += 8 {
		word := binary.NativeEndian.Uint64(inner[i:])
		binary.NativeEndian.PutUint64(inner[i:], word^0x3636363636363636)
		binary.NativeEndian.PutUint64(outer[i:], word^0x5c5c5c5c5c5c5c5c)
	}
	sum := sha256.Sum256(inner[:size+copy(inner[size:], data)])
	copy(outer[size:], sum[:])
	return sha256.Sum256(outer[:])
}
