package kms

import (
	"crypto/aes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"

	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// unwrapMaterial unwraps material for an import. Every error of the wrapped bytes is the
// same, so that it discloses nothing. Errors: InvalidCiphertextException, and
// IncorrectKeyMaterialException for material of a wrong size.
func unwrapMaterial(private *rsa.PrivateKey, w Wrapping, wrapped []byte) (k seal.Key, err error) {
	size := private.Size()
	var plain []byte
	ok := false
	switch {
	case len(wrapped) > maxBlob:
	case w == RSAESOAEPSHA256:
		plain, err = rsa.DecryptOAEP(sha256.New(), nil, private, wrapped, nil)
		ok = err == nil
	case w == RSAAESKeyWrapSHA256 && len(wrapped) > size:
		// PKCS #11, CKM_RSA_AES_KEY_WRAP: an AES key under RSA, then the material under it.
		var kek []byte
		kek, err = rsa.DecryptOAEP(sha256.New(), nil, private, wrapped[:size], nil)
		if err == nil && len(kek) == seal.KeySize {
			plain, ok = unwrapKWP(kek, wrapped[size:])
		}
	}
	if !ok {
		return k, invalidCiphertext()
	}
	if len(plain) != seal.KeySize {
		return k, fault.Of(fault.IncorrectKeyMaterialException)
	}
	return seal.Key(plain), nil
}

// kwpPrefix begins the block that is verified (RFC 5649, section 3; the length follows).
const kwpPrefix = 0xA65959A6

// unwrapKWP unwraps AES Key Wrap with Padding (RFC 5649, section 4.2).
func unwrapKWP(kek, wrapped []byte) ([]byte, bool) {
	if len(wrapped) < 16 || len(wrapped)%8 != 0 || len(wrapped) > maxBlob {
		return nil, false
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, false
	}
	plain := make([]byte, len(wrapped))
	if len(wrapped) == 16 {
		block.Decrypt(plain, wrapped)
	} else {
		unwrapBlocks(block.Decrypt, plain, wrapped)
	}
	head, body := plain[:8], plain[8:]
	size := int(binary.BigEndian.Uint32(head[4:]))
	if binary.BigEndian.Uint32(head) != kwpPrefix || size > len(body) || size <= len(body)-8 {
		return nil, false
	}
	var zero [8]byte
	if subtle.ConstantTimeCompare(body[size:], zero[:len(body)-size]) != 1 {
		return nil, false
	}
	return body[:size], true
}

// unwrapBlocks is the indexed algorithm of RFC 3394, section 2.2.2.
func unwrapBlocks(decrypt func(dst, src []byte), plain, wrapped []byte) {
	copy(plain, wrapped)
	n := len(wrapped)/8 - 1
	var b [16]byte
	copy(b[:8], plain[:8])
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			t := uint64(n*j + i)
			binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^t)
			copy(b[8:], plain[8*i:8*i+8])
			decrypt(b[:], b[:])
			copy(plain[8*i:], b[8:])
		}
	}
	copy(plain, b[:8])
}
