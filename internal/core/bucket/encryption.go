package bucket

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// CustomerKeys says whether new objects may be encrypted with customer-provided
// keys (SSE-C).
type CustomerKeys uint8

// A bucket's settings for customers' keys (S3 API reference, BlockedEncryptionTypes).
// The numbers are stored.
const (
	CustomerKeysUnset   CustomerKeys = 0 // allowed
	CustomerKeysBlocked CustomerKeys = 1 // SSE-C
	CustomerKeysAllowed CustomerKeys = 2 // NONE
)

// DefaultEncryption is a bucket's encryption configuration beside its
// algorithm, which is AES256. BucketKey has no effect under AES256; it is stored
// and returned as by AWS.
type DefaultEncryption struct {
	BucketKey bool
	Customer  CustomerKeys

	kept string // unknown fields of the record, see record.Fields.Keep
}

// encryption is the record s/ID/encryption.
func encryption() setting[DefaultEncryption] {
	return setting[DefaultEncryption]{
		name: "encryption", put: "s3:PutEncryptionConfiguration", get: "s3:GetEncryptionConfiguration",
		encode: encodeEncryption, decode: decodeEncryption,
	}
}

// CustomerKeysIn returns a bucket's setting for customers' keys as r sees it, for
// callers that already have a transaction.
func CustomerKeysIn(r kv.Reader, b *Bucket) (CustomerKeys, error) {
	e, _, err := encryption().in(r, b)
	return e.Customer, err
}

// PutEncryption replaces a bucket's encryption configuration. One that does not
// mention customers' keys leaves their setting unchanged: only an explicit request
// ends a block. It needs s3:PutEncryptionConfiguration.
func (s *Store) PutEncryption(ctx context.Context, g authz.Grant, name string, e DefaultEncryption) error {
	return encryption().change(ctx, s, g, name, func(old DefaultEncryption) (DefaultEncryption, error) {
		next := e
		next.kept = old.kept
		if next.Customer == CustomerKeysUnset {
			next.Customer = old.Customer
		}
		if next == old {
			return next, change.ErrUnchanged
		}
		return next, nil
	})
}

// GetEncryption returns a bucket's encryption configuration. It needs
// s3:GetEncryptionConfiguration. Errors: NoSuchBucket.
func (s *Store) GetEncryption(ctx context.Context, g authz.Grant, name string) (DefaultEncryption, error) {
	return encryption().read(ctx, s, g, name)
}

// BlocksCustomerKeys is the refusal of a write with a customer's key, in AWS's
// words; who is the caller's ARN.
func BlocksCustomerKeys(who string, object arn.ARN) error {
	return fault.New(fault.AccessDenied,
		"User: "+who+` is not authorized to perform: s3:PutObject on resource: "`+object.String()+
			`" because this bucket has blocked upload requests that specify Server Side Encryption with Customer `+
			`provided keys (SSE-C). Please specify a different server-side encryption type`)
}

// Fields of the record s/ID/encryption.
const (
	fieldBucketKey    = 1
	fieldCustomerKeys = 2
)

func encodeEncryption(e DefaultEncryption) []byte {
	r := record.Bool(record.Start(nil), fieldBucketKey, e.BucketKey)
	r = record.Uint(r, fieldCustomerKeys, uint64(e.Customer))
	return append(r, e.kept...)
}

func decodeEncryption(value []byte) (e DefaultEncryption, err error) {
	var kept []byte
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldBucketKey:
			e.BucketKey = f.Uint != 0
		case fieldCustomerKeys:
			if f.Uint > uint64(CustomerKeysAllowed) {
				return e, record.ErrUnknown
			}
			e.Customer = CustomerKeys(f.Uint)
		default:
			kept = f.Keep(kept)
		}
	}
	e.kept = string(kept)
	return e, f.Err()
}
