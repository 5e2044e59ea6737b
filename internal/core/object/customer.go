package object

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// CustomerKey is a key that the client keeps (SSE-C), as its headers carry it
// (S3 user guide, "Using server-side encryption with customer-provided keys").
// The zero CustomerKey is none. It is never printed.
type CustomerKey struct {
	Algorithm, Key, MD5 string
	Beside              string // x-amz-server-side-encryption of the same write
}

// customerKey is the encryption of versions that need a customer's key. It is
// no value of x-amz-server-side-encryption.
const customerKey bucket.Encryption = "SSE-C"

// String keeps the key out of logs.
func (CustomerKey) String() string { return "object.CustomerKey(hidden)" }

// GoString keeps the key out of logs.
func (k CustomerKey) GoString() string { return k.String() }

// MarshalText keeps the key out of JSON.
func (k CustomerKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Given reports that the client sent a key, or a part of what belongs to one.
func (k CustomerKey) Given() bool { return k.Algorithm+k.Key+k.MD5 != "" }

// forWriting returns the key to write with, nil where the client sent none.
func (k CustomerKey) forWriting(g authz.Grant) (*seal.Key, error) {
	if !k.Given() {
		return nil, nil
	}
	return k.open(g, badCustomerKey("The secret key was invalid for the specified algorithm."),
		badCustomerKey("Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key."))
}

// forReading returns the key to read with, nil where the client sent none. One
// that can't be a key is another key than the object's, and so is one that
// comes without its MD5, as AWS was seen to answer.
func (k CustomerKey) forReading(g authz.Grant) (*seal.Key, error) {
	if !k.Given() {
		return nil, nil
	}
	wrong := fault.New(fault.AccessDenied, "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key.")
	return k.open(g, wrong, wrong)
}

// open judges what was sent, in the order of AWS. No refusal repeats the key.
func (k CustomerKey) open(g authz.Grant, badLength, noMD5 error) (*seal.Key, error) {
	if !g.Caller().SecureChannel() {
		return nil, fault.New(fault.InvalidRequest, "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.")
	}
	switch {
	case k.Beside != "":
		return nil, badCustomerKey("Server Side Encryption with Customer provided key is incompatible with the encryption method specified").With("ArgumentValue", k.Beside)
	case k.Algorithm == "":
		return nil, badCustomerKey("Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.")
	case k.Key == "":
		return nil, badCustomerKey("Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.")
	case k.Algorithm != "AES256":
		return nil, fault.New(fault.InvalidEncryptionAlgorithmError, "The Encryption request you specified is not valid. Supported value: AES256.").
			With("ArgumentName", "x-amz-server-side-encryption").With("ArgumentValue", k.Algorithm)
	case k.MD5 == "":
		return nil, noMD5
	}
	raw, err := base64.StdEncoding.DecodeString(k.Key)
	if err != nil {
		return nil, badLength
	}
	sum := md5.Sum(raw)
	if said, err := base64.StdEncoding.DecodeString(k.MD5); err != nil || subtle.ConstantTimeCompare(said, sum[:]) != 1 {
		return nil, badCustomerKey("The calculated MD5 hash of the key did not match the hash that was provided.")
	}
	if len(raw) != seal.KeySize {
		return nil, badLength
	}
	key := seal.Key(raw)
	return &key, nil
}

func badCustomerKey(message string) *fault.Error {
	return fault.New(fault.InvalidArgument, message).With("ArgumentName", "x-amz-server-side-encryption").With("ArgumentValue", "null")
}

// mayUse refuses a customer's key in a bucket that blocks them.
func mayUse(r kv.Reader, g authz.Grant, b *bucket.Bucket, key string, customer *seal.Key) error {
	if customer == nil {
		return nil
	}
	state, err := bucket.CustomerKeysIn(r, b)
	if err == nil && state == bucket.CustomerKeysBlocked {
		err = bucket.BlocksCustomerKeys(g.Caller().Principal().ARN.String(), arn.Object(b.Name, key))
	}
	return err
}

// encryptionWith is the encryption of what is written with a key.
func encryptionWith(customer *seal.Key) bucket.Encryption {
	if customer != nil {
		return customerKey
	}
	return bucket.AES256
}

// tagFor is the MD5 of an ETag: random under a customer's key, since that of
// the plaintext would tell what it is (S3 API reference, Object, ETag).
func tagFor(customer *seal.Key, sum [16]byte) [16]byte {
	if customer != nil {
		rand.Read(sum[:])
	}
	return sum
}

// shown is how a caller is told of the encryption.
func (v *version) shown() (e bucket.Encryption, customer bool) {
	if v.encryption == customerKey {
		return "", true
	}
	return v.encryption, false
}

// unlock refuses a version to whoever has not its customer's key, and opens its
// checksum. A key for a version without one is refused, too.
func (s *Store) unlock(ctx context.Context, g authz.Grant, b *bucket.Bucket, v *version, key string, customer *seal.Key) (err error) {
	switch {
	case v.encryption != customerKey && customer == nil:
		return nil
	case v.encryption != customerKey:
		return fault.New(fault.InvalidRequest, "The encryption parameters are not applicable to this object.")
	case customer == nil:
		return fault.New(fault.InvalidRequest, "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	}
	v.checksum.Sum, err = s.payloads.Unlock(ctx, g, v.location(), customer, binding(b.ID, v.unique, key))
	return err
}

// unlockPart opens the checksum of a part of a version or upload. Without a
// customer's key it stays as it is.
func (s *Store) unlockPart(ctx context.Context, g authz.Grant, b *bucket.Bucket, of unique, p *part, key string, customer *seal.Key) (err error) {
	if customer == nil {
		return nil
	}
	p.checksum.Sum, err = s.payloads.Unlock(ctx, g, p.location(), customer, partBinding(b.ID, of, p.number, key))
	return err
}

// unlockUpload refuses another key than the upload began with. A key for an
// upload without one is refused with the words AWS has for the reverse.
func (s *Store) unlockUpload(ctx context.Context, g authz.Grant, b *bucket.Bucket, u *upload, key string, customer *seal.Key) error {
	if (u.encryption == customerKey) != (customer != nil) {
		return customerKeyMissing()
	}
	err := s.unlock(ctx, g, b, &u.version, key, customer)
	if fault.Is(err, fault.AccessDenied) {
		return fault.New(fault.InvalidRequest, "The provided encryption parameters did not match the ones used originally.")
	}
	return err
}

func customerKeyMissing() error {
	return fault.New(fault.InvalidRequest, "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.")
}

// unlockCompletion judges the key of a completion. It may be left out where no
// checksum has to be judged or made: the client chose no algorithm and sends
// none (S3 API reference, CompleteMultipartUpload); the object has none then.
func (s *Store) unlockCompletion(ctx context.Context, g authz.Grant, b *bucket.Bucket, u *upload, in *CompleteInput) error {
	if u.encryption == customerKey && in.customer == nil {
		needed := u.checksum.Algorithm != digest.None || len(in.Sums) > 0
		for _, p := range in.Parts {
			needed = needed || p.Algorithm != digest.None
		}
		if needed {
			return customerKeyMissing()
		}
		return nil
	}
	return s.unlockUpload(ctx, g, b, u, in.Key, in.customer)
}

// unlockDone is unlockCompletion for an upload that was completed before.
func (s *Store) unlockDone(ctx context.Context, g authz.Grant, k slot, v *version, in *CompleteInput) error {
	if in.customer == nil {
		return nil
	}
	u := &upload{version: *v}
	err := s.unlockUpload(ctx, g, k.b, u, k.key, in.customer)
	v.checksum = u.checksum
	return err
}

// sealSum seals the checksum that a version got from its parts.
func (s *Store) sealSum(ctx context.Context, g authz.Grant, k slot, v *version, customer *seal.Key) error {
	if customer == nil || v.checksum.Sum == nil {
		return nil
	}
	at, err := s.payloads.SealSum(ctx, g, v.location(), customer, v.checksum.Sum, binding(k.b.ID, v.unique, k.key))
	v.sealedSum = at.Sum
	return err
}
