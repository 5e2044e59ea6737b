package sealedfs

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"

	"watertight/internal/storage/seal"
)

// A file begins with a header: magic, kind, number, id and a MAC of these. The MAC's key is
// the same for all files of a store. What follows is sealed under a key of the file's own,
// which is derived from kind, number and id.
const (
	magic      = "WTFILE1\n"
	idSize     = 16
	macAt      = len(magic) + 1 + 8 + idSize
	headerSize = 64
)

// Purposes of the store's key.
const (
	headerPurpose = "watertight kv file header"
	filePurpose   = "watertight kv file"
	checkPurpose  = "watertight kv frame header" // under the file's key
)

// name is what the manifest calls a file.
type name struct {
	kind   kind
	number uint64
}

// header identifies a file.
type header struct {
	name
	id [idSize]byte
}

func newHeader(k kind, number uint64) header {
	h := header{name: name{k, number}}
	rand.Read(h.id[:])
	return h
}

// append appends kind, number and id.
func (h header) append(b []byte) []byte {
	b = append(b, byte(h.kind))
	b = binary.BigEndian.AppendUint64(b, h.number)
	return append(b, h.id[:]...)
}

const entrySize = 1 + 8 + idSize

// parseEntry is the inverse of append. b has entrySize bytes.
func parseEntry(b []byte) header {
	return header{name{kind(b[0]), binary.BigEndian.Uint64(b[1:])}, [idSize]byte(b[9:])}
}

// keys are what is derived from the store's key.
type keys struct{ store, header seal.Key }

func newKeys(k seal.Key) keys { return keys{k, k.Expand(headerPurpose, nil)} }

// seal returns the bytes of a header.
func (k *keys) seal(h header) []byte {
	b := h.append(append(make([]byte, 0, headerSize), magic...))
	sum := k.header.MAC(b)
	return append(b, sum[:headerSize-macAt]...)
}

// open returns the header that b contains, if the store's key made it.
func (k *keys) open(b []byte) (header, bool) {
	if len(b) != headerSize || string(b[:len(magic)]) != magic {
		return header{}, false
	}
	sum := k.header.MAC(b[:macAt])
	return parseEntry(b[len(magic):macAt]), hmac.Equal(sum[:headerSize-macAt], b[macAt:])
}

// file returns the key of a file.
func (k *keys) file(h header) seal.Key {
	var room [entrySize]byte
	return k.store.Expand(filePurpose, h.append(room[:0]))
}

// ciphers are the keys of a file of frames.
type ciphers struct{ frame, check cipher.AEAD }

func (k *keys) ciphers(h header) ciphers {
	f := k.file(h)
	return ciphers{f.AEAD(), f.Expand(checkPurpose, nil).AEAD()}
}
