package distribution

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"watertight/internal/fault"
)

// Limits of keys and invalidations ("Quotas" in the developer guide).
const (
	maxGroupKeys   = 5
	maxPaths       = 3000
	maxWildcards   = 15
	maxEncodedKey  = 4096 // bytes
	maxBatchLength = 1 << 20
)

// Complete checks a public key: PEM with one SubjectPublicKeyInfo, RSA with 2048 bits or ECDSA
// on P-256 ("Create key pairs for your signers" in the developer guide). Error:
// InvalidArgument.
func (k *PublicKeyConfig) Complete() error {
	if err := first(checkReference(k.CallerReference), named(k.Name, k.Comment)); err != nil {
		return err
	}
	if _, err := ParseKey(k.EncodedKey); err != nil {
		return invalid("EncodedKey is not a public key in PEM, of RSA with 2048 bits or ECDSA on P-256.")
	}
	return nil
}

// ParseKey decodes a public key: *rsa.PublicKey or *ecdsa.PublicKey. Error: InvalidArgument.
func ParseKey(encoded string) (any, error) {
	if len(encoded) > maxEncodedKey {
		return nil, invalid("The key is too long.")
	}
	block, rest := pem.Decode([]byte(encoded))
	if block == nil || block.Type != "PUBLIC KEY" || strings.TrimSpace(string(rest)) != "" {
		return nil, invalid("The key is not one PEM block of type PUBLIC KEY.")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, invalid("The key is not a SubjectPublicKeyInfo.")
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() == 2048 && k.E > 1 {
			return k, nil
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return k, nil
		}
	}
	return nil, invalid("The key is neither RSA with 2048 bits nor ECDSA on P-256.")
}

// Complete checks a key group. Whether the keys exist is not looked up. Errors:
// InvalidArgument, TooManyPublicKeysInKeyGroup.
func (g *KeyGroupConfig) Complete() error {
	if err := named(g.Name, g.Comment); err != nil {
		return err
	}
	if len(g.Items) > maxGroupKeys {
		return fault.Of(fault.TooManyPublicKeysInKeyGroup)
	}
	if len(g.Items) == 0 {
		return invalid("A key group has at least one public key.")
	}
	if id, twice := repeated(g.Items, false); twice {
		return invalid("The public key %.64q is named twice.", id)
	}
	return nil
}

// Complete checks the paths of an invalidation. Errors: InvalidArgument,
// InconsistentQuantities, BatchTooLarge, TooManyInvalidationsInProgress.
func (b *InvalidationBatch) Complete() error {
	if err := first(consistent(b), checkReference(b.CallerReference)); err != nil {
		return err
	}
	if b.Paths.Quantity == 0 {
		return invalid("An invalidation has at least one path.")
	}
	length := 0
	for _, p := range b.Paths.Items {
		if !strings.HasPrefix(p, "/") || len(p) > maxPath || !isInvalidationPath(p) {
			return invalid("%.255q is not a path of an invalidation: a path begins with a slash, is URL-encoded and "+
				"has at most %d characters.", p, maxPath)
		}
		length += len(p)
	}
	if b.Paths.Quantity > maxPaths || length > maxBatchLength {
		return fault.Of(fault.BatchTooLarge)
	}
	return CheckInProgress(b.Paths.Items)
}

// CheckInProgress checks the paths of all invalidations of a distribution that are in progress.
// Source: "Quotas" in the developer guide. Error: TooManyInvalidationsInProgress.
func CheckInProgress(paths []string) error {
	wildcards := 0
	for _, p := range paths {
		if strings.HasSuffix(p, "*") {
			wildcards++
		}
	}
	if wildcards > maxWildcards || len(paths)-wildcards > maxPaths {
		return fault.Of(fault.TooManyInvalidationsInProgress)
	}
	return nil
}

// isInvalidationPath reports whether s is printable ASCII without spaces.
func isInvalidationPath(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
