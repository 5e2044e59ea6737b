package bucket

import (
	"cmp"
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

// DefaultEncryption is a bucket's encryption configuration.
type DefaultEncryption struct {
	Algorithm Encryption   // "" is AES256
	KeyID     string       // KMS key as it was put: an id, ARN or alias; "" is alias/aws/s3 of the writing account
	BucketKey bool         // no effect under AES256
	Customer  CustomerKeys // in PutEncryption, CustomerKeysUnset keeps the old setting

	kept string // unknown fields of the record, see record.Fields.Keep
}

// encryption is the setting in the record s/ID/encryption. The algorithm is in the bucket's
// own record instead: a program that does not know the algorithm must not write into the
// bucket, and a write into a bucket without a key needs no further read.
func encryption() setting[DefaultEncryption] {
	return setting[DefaultEncryption]{
		name: "encryption", put: "s3:PutEncryptionConfiguration", get: "s3:GetEncryptionConfiguration",
		encode: encodeEncryption, decode: decodeEncryption,
	}
}

// CustomerKeysIn returns a bucket's setting for customers' keys as r sees it. It is for
// callers inside a transaction or view.
func CustomerKeysIn(r kv.Reader, b *Bucket) (CustomerKeys, error) {
	e, _, err := encryption().in(r, b)
	return e.Customer, err
}

// EncryptionIn returns the default encryption of a bucket as r sees it, for writes that do
// not choose one. Its Algorithm is never empty. It does not include the setting for
// customers' keys, see CustomerKeysIn.
func EncryptionIn(r kv.Reader, b *Bucket) (DefaultEncryption, error) {
	if !b.Encryption.UsesKMS() {
		return DefaultEncryption{Algorithm: AES256}, nil
	}
	e, _, err := encryption().in(r, b)
	e.Algorithm, e.Customer = b.Encryption, CustomerKeysUnset
	return e, err
}

// PutEncryption replaces a bucket's encryption configuration. A configuration that does not
// mention customers' keys leaves their setting unchanged: only an explicit request ends a
// block. Like AWS, it does not check whether the key exists. It needs
// s3:PutEncryptionConfiguration. Errors: NoSuchBucket, InvalidArgument.
func (s *Store) PutEncryption(ctx context.Context, g authz.Grant, name string, e DefaultEncryption) error {
	setting := encryption()
	return s.configure(ctx, g, setting.put, name, func(tx kv.Tx, b *Bucket) error {
		if err := e.check(); err != nil {
			return err
		}
		old, _, err := setting.in(tx, b)
		if err != nil {
			return err
		}
		next := e
		next.Algorithm, next.kept = "", old.kept
		if next.Customer == CustomerKeysUnset {
			next.Customer = old.Customer
		}
		algorithm := cmp.Or(e.Algorithm, AES256)
		if next == old && algorithm == cmp.Or(b.Encryption, AES256) {
			return change.ErrUnchanged
		}
		setting.set(tx, b.ID, next)
		if algorithm != cmp.Or(b.Encryption, AES256) {
			b.Encryption = algorithm
			b.write(tx)
		}
		return nil
	})
}

// maxKeyID bounds the name of a key, in bytes (KMS API reference, KeyId).
const maxKeyID = 2048

// check refuses contradictory configurations (S3 API reference,
// ServerSideEncryptionByDefault; S3 user guide, "Using dual-layer server-side encryption").
func (e *DefaultEncryption) check() error {
	switch {
	case e.KeyID != "" && !e.Algorithm.UsesKMS():
		return badEncryption(
			"a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
	case len(e.KeyID) > maxKeyID:
		return badEncryption("The KMSMasterKeyID is too long.")
	case e.BucketKey && e.Algorithm == DSSE:
		return badEncryption("BucketKeyEnabled is not applicable if the default sse algorithm is aws:kms:dsse")
	}
	return nil
}

func badEncryption(message string) error {
	return fault.New(fault.InvalidArgument, message).With("ArgumentName", "ApplyServerSideEncryptionByDefault")
}

// GetEncryption returns a bucket's encryption configuration, whose Algorithm is never
// empty. It needs s3:GetEncryptionConfiguration. Errors: NoSuchBucket.
func (s *Store) GetEncryption(ctx context.Context, g authz.Grant, name string) (e DefaultEncryption, err error) {
	setting := encryption()
	if err := g.Demand(setting.get, arn.Bucket(name)); err != nil {
		return e, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := Read(r, name)
		if err != nil {
			return err
		}
		e, _, err = setting.in(r, &b)
		e.Algorithm = cmp.Or(b.Encryption, AES256)
		return err
	})
	return e, err
}

// BlocksCustomerKeys is AWS's error for a write with a customer's key into a bucket that
// blocks them; who is the caller's ARN.
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
	fieldKeyID        = 3
)

func encodeEncryption(e DefaultEncryption) []byte {
	r := record.Bool(record.Start(nil), fieldBucketKey, e.BucketKey)
	r = record.Uint(r, fieldCustomerKeys, uint64(e.Customer))
	r = record.String(r, fieldKeyID, e.KeyID)
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
		case fieldKeyID:
			e.KeyID = string(f.Bytes)
		default:
			kept = f.Keep(kept)
		}
	}
	e.kept = string(kept)
	return e, f.Err()
}
