package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // hashes for signatures
	_ "crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"watertight/internal/limit"
	"watertight/internal/strictjson"
)

// key is a public key of an issuer.
type key struct {
	id, algorithm string // either may be empty
	public        any    // *rsa.PublicKey or *ecdsa.PublicKey
}

// hashOf returns the hash of a signature algorithm (RFC 7518, 3.1), or 0 if the algorithm
// is not accepted. Only algorithms with public keys are accepted: a shared secret, or no
// signature, would prove nothing.
func hashOf(algorithm string) crypto.Hash {
	switch algorithm {
	case "RS256", "ES256":
		return crypto.SHA256
	case "RS384", "ES384":
		return crypto.SHA384
	case "RS512", "ES512":
		return crypto.SHA512
	}
	return 0
}

func known(algorithm string) bool { return hashOf(algorithm) != 0 }

// algorithmsOf returns the algorithms that a key can verify, or none if it is not a public
// key, or too weak.
func algorithmsOf(public any) []string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits >= minRSA && bits <= maxRSA && k.E >= 3 {
			return []string{"RS256", "RS384", "RS512"}
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		case elliptic.P521():
			return []string{"ES512"}
		}
	}
	return nil
}

// signedBy reports whether a key verifies the token's signature. The key must fit the
// token's algorithm.
func (t *Token) signedBy(k *key) bool {
	hash := hashOf(t.algorithm)
	if hash == 0 {
		return false
	}
	h := hash.New()
	h.Write([]byte(t.signed))
	digest := h.Sum(nil)
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, hash, digest, t.signature) == nil
	case *ecdsa.PublicKey:
		// The signature is two numbers of the curve's size (RFC 7518, 3.4).
		size := (public.Curve.Params().BitSize + 7) / 8
		if len(t.signature) != 2*size {
			return false
		}
		return ecdsa.Verify(public, digest, new(big.Int).SetBytes(t.signature[:size]),
			new(big.Int).SetBytes(t.signature[size:]))
	}
	return false
}

// parseKeys decodes a set of keys (RFC 7517, section 5). It leaves out keys that can't
// verify a token.
func parseKeys(b []byte) ([]key, error) {
	set, err := strictjson.Read(b, maxDepth)
	if err != nil {
		return nil, unreachable(fmt.Errorf("oidc: keys: %w", err))
	}
	items, err := strictjson.Items(set["keys"])
	if err != nil {
		return nil, unreachable(fmt.Errorf("oidc: keys: %w", err))
	}
	if len(items) > maxKeys {
		return nil, unreachable(fmt.Errorf("oidc: %d keys", len(items)))
	}
	var keys []key
	for _, item := range items {
		if k, err := parseKey(item); err == nil && algorithmsOf(k.public) != nil {
			keys = append(keys, k)
		}
	}
	if n := limit.Footprint(keys); n > maxHeld {
		return nil, unreachable(fmt.Errorf("oidc: %d bytes of keys", n))
	}
	return keys, nil
}

// parseKey decodes a public key (RFC 7518, 6.2 and 6.3). It ignores certificates (x5c,
// x5t): the key is trusted because it came from the issuer's address.
func parseKey(v strictjson.Value) (key, error) {
	o, err := strictjson.Members(v)
	if err != nil {
		return key{}, err
	}
	var k key
	var kind, use string
	for name, to := range map[string]*string{"kid": &k.id, "alg": &k.algorithm, "kty": &kind, "use": &use} {
		if *to, err = o.Text(name); err != nil {
			return key{}, err
		}
	}
	if use != "" && use != "sig" {
		return key{}, errors.New("oidc: a key that signs nothing")
	}
	if operations, ok := o["key_ops"]; ok {
		if all, err := texts(operations); err != nil || !slices.Contains(all, "verify") {
			return key{}, errors.New("oidc: a key that verifies nothing")
		}
	}
	// A private key that was published proves nothing.
	for _, name := range [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, private := o[name]; private {
			return key{}, errors.New("oidc: a private key")
		}
	}
	switch kind {
	case "RSA":
		k.public, err = rsaKey(o)
	case "EC":
		k.public, err = ecKey(o)
	default:
		err = fmt.Errorf("oidc: a key of kind %.32q", kind)
	}
	return k, err
}

func rsaKey(o strictjson.Object) (*rsa.PublicKey, error) {
	n, err := number(o, "n")
	if err != nil {
		return nil, err
	}
	e, err := number(o, "e")
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(e)
	if !exponent.IsInt64() || exponent.Int64() > 1<<31-1 {
		return nil, errors.New("oidc: an exponent that is too large")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}

func ecKey(o strictjson.Object) (*ecdsa.PublicKey, error) {
	name, err := o.Text("crv")
	if err != nil {
		return nil, err
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		if curve.Params().Name != name {
			continue
		}
		x, err := number(o, "x")
		if err != nil {
			return nil, err
		}
		y, err := number(o, "y")
		if err != nil {
			return nil, err
		}
		if size := (curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size {
			return nil, errors.New("oidc: a point of another size than its curve")
		}
		// returns an error if the point is not on the curve
		return ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	}
	return nil, fmt.Errorf("oidc: a key on %.32q", name)
}

// number decodes a member in base64url with at most as many bytes as the largest key.
func number(o strictjson.Object, name string) ([]byte, error) {
	text, err := o.Text(name)
	if err != nil {
		return nil, err
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil && (len(b) == 0 || len(b) > maxRSA/8+1) {
		err = fmt.Errorf("oidc: %s has %d bytes", name, len(b))
	}
	return b, err
}
