package kms

import (
	"crypto/rand"
	"encoding/binary"
	"slices"

	"watertight/internal/storage/seal"
)

// Ciphertext, as Encrypt returns it and as a wrapped data key is stored:
//
//	version (1 byte, 1), purpose (1), id of the key (16), id of its material (32),
//	salt (16 random bytes), AES-256-GCM ciphertext and tag (16)
//
// Each message has its own key: HKDF-Expand-SHA256 (RFC 5869; the material is uniform) of
// the material over the purpose's text and the salt, or for forDataKeys seal.Key.OneStep of
// the material over the salt. So the nonce is zero and no counter is needed. Everything
// before the ciphertext is authenticated together with the encryption context or binding.
const (
	blobVersion = 1
	saltSize    = 16
	headerSize  = 1 + 1 + 16 + 32 + saltSize
	tagSize     = 16
	maxBlob     = 6144 // bytes; KMS API reference, Decrypt
)

// purpose separates ciphertext of the API from data keys of services. The numbers are stored.
type purpose byte

const (
	forCallers  purpose = 1 // Encrypt, GenerateDataKey
	forServices purpose = 2 // data keys of services, as Wrap sealed them before forDataKeys
	forDataKeys purpose = 3 // Wrap
)

// isService reports whether ciphertext is a data key of a service.
func (p purpose) isService() bool { return p == forServices || p == forDataKeys }

func (p purpose) text() string {
	if p == forServices {
		return "watertight kms data key"
	}
	return "watertight kms ciphertext"
}

// blob is decoded ciphertext. Its slices share memory with the encoded form.
type blob struct {
	purpose  purpose
	key      keyID
	material MaterialID
	salt     []byte
	header   []byte // all fields above, encoded
	sealed   []byte
}

// parseBlob decodes ciphertext; ok is false if b is not ciphertext.
func parseBlob(b []byte) (p blob, ok bool) {
	if len(b) < headerSize+tagSize || len(b) > maxBlob || b[0] != blobVersion {
		return p, false
	}
	p = blob{
		purpose: purpose(b[1]), key: keyID(b[2:18]), material: MaterialID(b[18:50]), salt: b[50:headerSize],
		header: b[:headerSize], sealed: b[headerSize:],
	}
	return p, p.purpose == forCallers || p.purpose.isService()
}

// KeyOf returns the key and the material that a ciphertext or a wrapped data key names. The
// names are not authenticated. ok is false if it is neither.
func KeyOf(wrapped []byte) (id string, material [32]byte, ok bool) {
	p, ok := parseBlob(wrapped)
	if !ok {
		return "", material, false
	}
	return p.key.String(), p.material, true
}

// sealBlob encrypts a message under a material of a key.
func sealBlob(p purpose, key keyID, id MaterialID, material seal.Key, plain, bound []byte) []byte {
	return sealIn(nil, p, key, id, material, plain, bound)
}

// sealIn is sealBlob with room for what is authenticated besides, which may be nil.
func sealIn(room []byte, p purpose, key keyID, id MaterialID, material seal.Key, plain, bound []byte) []byte {
	var salt [saltSize]byte
	rand.Read(salt[:])
	return sealSalted(room, p, key, id, material, salt, plain, bound)
}

func sealSalted(
	room []byte, p purpose, key keyID, id MaterialID, material seal.Key, salt [saltSize]byte, plain, bound []byte,
) []byte {
	b := append(make([]byte, 0, headerSize+len(plain)+tagSize), blobVersion, byte(p))
	b = append(append(append(b, key[:]...), id[:]...), salt[:]...)
	nonce, bound := additional(room, b, bound, 0)
	return messageKey(material, p, salt[:]).AEAD().Seal(b, nonce, plain, bound)
}

// open decrypts a message with its material.
func (p *blob) open(material seal.Key, bound []byte) ([]byte, error) {
	return p.openIn(nil, material, bound)
}

// openIn is open with room for the message and for what is authenticated besides, which may
// be nil.
func (p *blob) openIn(room []byte, material seal.Key, bound []byte) ([]byte, error) {
	nonce, bound := additional(room, p.header, bound, len(p.sealed))
	plain, err := messageKey(material, p.purpose, p.salt).AEAD().Open(bound[len(bound):], nonce, p.sealed, bound)
	if err != nil {
		return nil, seal.ErrCorrupt
	}
	return plain, nil
}

// messageKey returns the key of the only message with this salt.
func messageKey(material seal.Key, p purpose, salt []byte) seal.Key {
	if p == forDataKeys {
		return material.OneStep(seal.Label{'k', 'm', 's'}, [saltSize]byte(salt))
	}
	return material.Expand(p.text(), salt)
}

// additional returns the nonce of zeros and the data that is authenticated besides, with
// more room behind it, in one piece of memory: in room, if that is large enough.
func additional(room, header, bound []byte, more int) (nonce, all []byte) {
	const size = 12
	if n := size + len(header) + len(bound) + more; cap(room) < n {
		room = make([]byte, 0, n)
	}
	b := room[:size]
	clear(b)
	all = append(append(b, header...), bound...)[size:]
	return b[:size:size], all
}

// Canonical returns the encoding of an encryption context to which ciphertext is bound: the
// number of pairs; then, in the byte order of their names, the length of each name, the
// name, the length of its value, the value. Lengths have 4 bytes, big-endian.
func Canonical(context map[string]string) []byte {
	size := 4
	for name, value := range context {
		size += 8 + len(name) + len(value)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, size), uint32(len(context)))
	names := make([]string, 0, 8) // enough for most contexts
	for name := range context {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b = appendText(appendText(b, name), context[name])
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}
