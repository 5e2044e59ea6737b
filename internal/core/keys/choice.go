package keys

import "watertight/internal/storage/seal"

// Choice says which key opens a data key besides the server's own. The zero
// Choice is S3's (SSE-S3): the server's keys are enough. It is a value that the
// caller makes once from the request, or from what the record of an object says,
// and that other code passes on without reading it: a scheme that needs more, such as
// a KMS key's id, its encryption context and whether a bucket key is used, adds fields
// here and changes no signature.
type Choice struct {
	customer *seal.Key // SSE-C
}

// Customer is the choice of a key that the client keeps (SSE-C).
func Customer(key seal.Key) Choice { return Choice{customer: &key} }

// IsCustomer reports a key that the client keeps.
func (c Choice) IsCustomer() bool { return c.customer != nil }

// HidesDigests reports that digests of the plaintext must not be stored or shown
// in plain: they would let a holder of the server's keys, or a reader of the
// record, try out what the plaintext might be.
func (c Choice) HidesDigests() bool { return c.IsCustomer() }
