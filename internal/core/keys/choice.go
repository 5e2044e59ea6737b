package keys

import (
	"watertight/internal/access/arn"
	"watertight/internal/storage/seal"
)

// Choice says which key, in addition to the server's own, opens a data key. The zero Choice
// is that of SSE-S3: the server's keys are enough. A caller makes the Choice from the
// request or from the object's record, and other code passes it on without reading it: a
// new scheme adds fields here and changes no signature.
type Choice struct {
	customer *seal.Key // SSE-C
	kms      *kmsKey   // SSE-KMS, DSSE-KMS
}

// kmsKey is a key of KMS and how it is used.
type kmsKey struct {
	key     arn.ARN
	context []byte   // the encryption context, encoded by kms.Canonical
	two     bool     // two layers, each under its own data key
	room    [96]byte // of context, for most keys
}

// Customer returns the choice of a key that the client keeps (SSE-C).
func Customer(key seal.Key) Choice { return Choice{customer: &key} }

// UnderKMS returns the choice of a key of KMS (SSE-KMS) with an encryption context, encoded
// by kms.Canonical, which is copied. With two, the bytes are sealed in two layers (DSSE-KMS).
func UnderKMS(key arn.ARN, context []byte, two bool) Choice {
	k := &kmsKey{key: key, two: two}
	k.context = append(k.room[:0], context...)
	return Choice{kms: k}
}

// IsCustomer reports whether the key is one that the client keeps.
func (c Choice) IsCustomer() bool { return c.customer != nil }

// IsKMS reports whether the key is one of KMS.
func (c Choice) IsKMS() bool { return c.kms != nil }

// HidesDigests reports whether digests of the plaintext must not be stored or shown in
// plaintext: a holder of the server's keys, or a reader of the record, could use them to
// check guesses of the object's content.
func (c Choice) HidesDigests() bool { return c.IsCustomer() || c.IsKMS() }
