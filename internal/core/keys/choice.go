package keys

import (
	"watertight/internal/access/arn"
	"watertight/internal/storage/seal"
)

// Choice says which key opens a data key besides the server's own. The zero
// Choice is S3's (SSE-S3): the server's keys are enough. It is a value that the
// caller makes once from the request, or from what the record of an object says,
// and that other code passes on without reading it: a scheme that needs more adds
// fields here and changes no signature.
type Choice struct {
	customer *seal.Key // SSE-C
	kms      *kmsKey   // SSE-KMS, DSSE-KMS
}

// kmsKey is a key of KMS and how it is used.
type kmsKey struct {
	key     arn.ARN
	context []byte // the encryption context, as kms.Canonical writes it
	two     bool   // layers, each under a data key of its own
}

// Customer is the choice of a key that the client keeps (SSE-C).
func Customer(key seal.Key) Choice { return Choice{customer: &key} }

// UnderKMS is the choice of a key of KMS (SSE-KMS) with an encryption context, as
// kms.Canonical writes it. With two, the bytes are sealed in two layers (DSSE-KMS).
func UnderKMS(key arn.ARN, context []byte, two bool) Choice {
	return Choice{kms: &kmsKey{key, context, two}}
}

// IsCustomer reports a key that the client keeps.
func (c Choice) IsCustomer() bool { return c.customer != nil }

// IsKMS reports a key of KMS.
func (c Choice) IsKMS() bool { return c.kms != nil }

// HidesDigests reports that digests of the plaintext must not be stored or shown
// in plain: they would let a holder of the server's keys, or a reader of the
// record, try out what the plaintext might be.
func (c Choice) HidesDigests() bool { return c.IsCustomer() || c.IsKMS() }
