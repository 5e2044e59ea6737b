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

// CustomerKeys says whether new objects may be encrypted with keys that clients
// keep (SSE-C).
type CustomerKeys uint8

// What a bucket says of customers' keys (S3 API reference, BlockedEncryptionTypes).
const (
	CustomerKeysUnset   CustomerKeys = iota // allowed
	CustomerKeysBlocked                     // SSE-C
	CustomerKeysAllowed                     // NONE
)

// DefaultEncryption is a bucket's encryption configuration beside its
// algorithm, which is AES256. BucketKey changes nothing under AES256; it is kept
// for who asks, as AWS keeps it.
type DefaultEncryption struct {
	BucketKey bool
	Customer  CustomerKeys
}

// Fields of the record s/ID/encryption.
const (
	fieldBucketKey    = 1
	fieldCustomerKeys = 2
)

func encryptionKey(id ID) []byte { return record.Key("s/", string(id[:]), "/encryption") }

func readEncryption(r kv.Reader, b *Bucket) (e DefaultEncryption, err error) {
	v, err := r.Get(encryptionKey(b.ID))
	if err != nil || v == nil {
		return e, err
	}
	f := record.Read(v)
	for f.Next() {
		switch f.Number {
		case fieldBucketKey:
			e.BucketKey = f.Uint != 0
		case fieldCustomerKeys:
			if f.Uint > uint64(CustomerKeysAllowed) {
				return e, malformed(b.Name)
			}
			e.Customer = CustomerKeys(f.Uint)
		default:
			f.Unknown()
		}
	}
	if f.Err() != nil {
		return e, malformed(b.Name)
	}
	return e, nil
}

// CustomerKeysIn returns what a bucket says of customers' keys as r sees it, for
// whoever works inside a transaction of their own.
func CustomerKeysIn(r kv.Reader, b *Bucket) (CustomerKeys, error) {
	e, err := readEncryption(r, b)
	return e.Customer, err
}

// PutEncryption replaces a bucket's encryption configuration. One that does not
// speak of customers' keys leaves them as they were: a block ends only where
// somebody says so. It needs s3:PutEncryptionConfiguration.
func (s *Store) PutEncryption(ctx context.Context, g authz.Grant, name string, e DefaultEncryption) error {
	return s.configure(ctx, g, "s3:PutEncryptionConfiguration", name, func(tx kv.Tx, b *Bucket) error {
		old, err := readEncryption(tx, b)
		if err != nil {
			return err
		}
		next := e
		if next.Customer == CustomerKeysUnset {
			next.Customer = old.Customer
		}
		if next == old {
			return change.ErrUnchanged
		}
		r := record.Bool(record.Start(nil), fieldBucketKey, next.BucketKey)
		tx.Set(encryptionKey(b.ID), record.Uint(r, fieldCustomerKeys, uint64(next.Customer)))
		return nil
	})
}

// GetEncryption returns a bucket's encryption configuration. It needs
// s3:GetEncryptionConfiguration. Errors: NoSuchBucket.
func (s *Store) GetEncryption(ctx context.Context, g authz.Grant, name string) (e DefaultEncryption, err error) {
	if err := g.Demand("s3:GetEncryptionConfiguration", arn.Bucket(name)); err != nil {
		return e, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := Read(r, name)
		if err == nil {
			e, err = readEncryption(r, &b)
		}
		return err
	})
	return e, err
}

// BlocksCustomerKeys is the refusal of a write with a customer's key, in AWS's
// words; who is the caller's ARN.
func BlocksCustomerKeys(who string, object arn.ARN) error {
	return fault.New(fault.AccessDenied, "User: "+who+` is not authorized to perform: s3:PutObject on resource: "`+object.String()+
		`" because this bucket has blocked upload requests that specify Server Side Encryption with Customer provided keys (SSE-C). Please specify a different server-side encryption type`)
}
