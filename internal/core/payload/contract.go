// Package payload is the room where plaintext meets ciphertext. Bytes go in and
// out through it alone; blob engines see ciphertext under random names. It must
// never know HTTP, buckets or policy.
package payload

import (
	"context"
	"io"

	"watertight/internal/access/authz"
)

// Digests are what one pass over the plaintext found.
type Digests struct {
	Size int64
	MD5  [16]byte
	Sum  []byte // checksum of the algorithm asked for, big-endian; nil if none
}

// Location says where sealed bytes lie: exactly one of Inline and Blob is set,
// and neither for no bytes at all. It is stored in a version's record.
type Location struct {
	Inline []byte // the sealed bytes; the caller stores them in a value of their own
	Blob   string // random name of a blob
	Size   int64  // plaintext bytes
	Key    []byte // data key, wrapped; bound to Context
}

// Keys gives and opens data keys; met by core/keys. The context binds a data
// key to its object.
type Keys interface {
	Generate(ctx context.Context, g authz.Grant, binding []byte) (plain [32]byte, wrapped []byte, err error)
	Open(ctx context.Context, g authz.Grant, wrapped, binding []byte) (plain [32]byte, err error)
}

// Source is a body to store. Size is the decoded length, or -1 where unknown.
type Source struct {
	Body     io.Reader
	Size     int64
	Checksum string // "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256" or ""
	Binding  []byte
}
