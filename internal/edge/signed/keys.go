package signed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// Keys are the public keys that a cache behavior trusts, by their ids. The zero value
// trusts nobody.
type Keys struct{ byID map[string]publicKey }

// Add makes a public key trusted. It is a SubjectPublicKeyInfo in PEM: RSA with 2048 bits,
// or ECDSA with P-256.
func (k *Keys) Add(id, encoded string) error {
	block, rest := pem.Decode([]byte(encoded))
	if block == nil || block.Type != "PUBLIC KEY" || len(trimSpace(rest)) != 0 {
		return errors.New("signed: not exactly one public key in PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	switch p := parsed.(type) {
	case *rsa.PublicKey:
		if p.N.BitLen() != 2048 {
			return errors.New("signed: an RSA key must have 2048 bits")
		}
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return errors.New("signed: an ECDSA key must be on P-256")
		}
	default:
		return errors.New("signed: a key must be RSA or ECDSA")
	}
	if k.byID == nil {
		k.byID = map[string]publicKey{}
	}
	k.byID[id] = publicKey{parsed}
	return nil
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\n' || b[0] == '\r' || b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

type publicKey struct{ key crypto.PublicKey }

// verify reports whether the key signed a document. The algorithm is SHA1 or SHA256; ""
// is SHA1 ("Create a signed URL using a canned policy", Hash-Algorithm).
func (k publicKey) verify(algorithm string, document, signature []byte) bool {
	var hash crypto.Hash
	var digest []byte
	switch algorithm {
	case "", "SHA1":
		sum := sha1.Sum(document)
		hash, digest = crypto.SHA1, sum[:]
	case "SHA256":
		sum := sha256.Sum256(document)
		hash, digest = crypto.SHA256, sum[:]
	default:
		return false
	}
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	}
	return false
}
