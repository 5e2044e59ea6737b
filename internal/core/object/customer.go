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
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// CustomerKey is a key that the client keeps (SSE-C), as its headers carry it (S3 user
// guide, "Using server-side encryption with customer-provided keys"). The zero CustomerKey
// means no key. It is never printed.
type CustomerKey struct {
	Algorithm, Key, MD5 string
}

// customerKey is the encryption of versions that need a customer's key. It is not a value
// of x-amz-server-side-encryption.
const customerKey bucket.Encryption = "SSE-C"

// String keeps the key out of logs.
func (CustomerKey) String() string { return "object.CustomerKey(hidden)" }

// GoString keeps the key out of logs.
func (k CustomerKey) GoString() string { return k.String() }

// MarshalText keeps the key out of JSON.
func (k CustomerKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Given reports whether the client sent a key or any header that belongs to one.
func (k CustomerKey) Given() bool { return k.Algorithm+k.Key+k.MD5 != "" }

// forWriting returns the choice of the key to write with. beside is another encryption that
// the same request asks for, "" for none.
func (k CustomerKey) forWriting(g authz.Grant, beside string) (keys.Choice, error) {
	if !k.Given() {
		return keys.Choice{}, nil
	}
	if beside != "" && g.Caller().SecureChannel() {
		return keys.Choice{}, badCustomerKey("Server Side Encryption with Customer provided key is incompatible with "+
			"the encryption method specified").With("ArgumentValue", beside)
	}
	return k.open(g, badCustomerKey("The secret key was invalid for the specified algorithm."),
		badCustomerKey("Requests specifying Server Side Encryption with Customer provided keys must provide the "+
			"client calculated MD5 of the secret key."))
}

// forReading returns the choice of the key to read with. A value that can't be a key is
// answered like a wrong key, and so is a key without its MD5, as was observed at AWS.
func (k CustomerKey) forReading(g authz.Grant) (keys.Choice, error) {
	if !k.Given() {
		return keys.Choice{}, nil
	}
	wrong := fault.New(fault.AccessDenied,
		"Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key.")
	return k.open(g, wrong, wrong)
}

// open checks the headers in the same order as AWS. No error repeats the key.
func (k CustomerKey) open(g authz.Grant, badLength, noMD5 error) (none keys.Choice, err error) {
	if !g.Caller().SecureChannel() {
		return none, fault.New(fault.InvalidRequest,
			"Requests specifying Server Side Encryption with Customer provided keys must be made over a secure "+
				"connection.")
	}
	switch {
	case k.Algorithm == "":
		return none, badCustomerKey("Requests specifying Server Side Encryption with Customer provided keys must " +
			"provide a valid encryption algorithm.")
	case k.Key == "":
		return none, badCustomerKey("Requests specifying Server Side Encryption with Customer provided keys must " +
			"provide an appropriate secret key.")
	case k.Algorithm != "AES256":
		return none, fault.New(fault.InvalidEncryptionAlgorithmError,
			"The Encryption request you specified is not valid. Supported value: AES256.").
			With("ArgumentName", "x-amz-server-side-encryption").With("ArgumentValue", k.Algorithm)
	case k.MD5 == "":
		return none, noMD5
	}
	raw, err := base64.StdEncoding.DecodeString(k.Key)
	if err != nil {
		return none, badLength
	}
	sum := md5.Sum(raw)
	if sent, err := base64.StdEncoding.DecodeString(k.MD5); err != nil ||
		subtle.ConstantTimeCompare(sent, sum[:]) != 1 {
		return none, badCustomerKey("The calculated MD5 hash of the key did not match the hash that was provided.")
	}
	if len(raw) != seal.KeySize {
		return none, badLength
	}
	return keys.Customer(seal.Key(raw)), nil
}

func badCustomerKey(message string) *fault.Error {
	return fault.New(fault.InvalidArgument, message).With("ArgumentName", "x-amz-server-side-encryption").
		With("ArgumentValue", "null")
}

// mayUse refuses a customer's key if the bucket blocks such keys.
func (s slot) mayUse(r kv.Reader, g authz.Grant, choice keys.Choice) error {
	if !choice.IsCustomer() {
		return nil
	}
	state, err := bucket.CustomerKeysIn(r, s.b)
	if err == nil && state == bucket.CustomerKeysBlocked {
		err = bucket.BlocksCustomerKeys(g.Caller().Principal().ARN.String(), arn.Object(s.b.Name, s.key))
	}
	return err
}

// tagOf returns the MD5 for an ETag. If digests are hidden, it is random: the MD5 of the
// plaintext would help to guess it (S3 API reference, Object, ETag).
func tagOf(choice keys.Choice, sum [16]byte) [16]byte {
	if choice.HidesDigests() {
		rand.Read(sum[:])
	}
	return sum
}

// publicEncryption returns the encryption as callers see it.
func (v *version) publicEncryption() Encrypted {
	switch {
	case v.encryption == customerKey:
		return Encrypted{CustomerKey: true}
	case v.kms != nil:
		return Encrypted{Encryption: v.encryption, Key: v.kms.key, BucketKey: v.kms.bucketKey}
	}
	return Encrypted{Encryption: v.encryption}
}

// checkChoice refuses a choice of keys that does not fit the version: a missing customer's
// key, or one that the version does not use.
func (v *version) checkChoice(choice keys.Choice) error {
	switch needed := v.encryption == customerKey; {
	case needed == choice.IsCustomer():
		return nil
	case needed:
		return fault.New(fault.InvalidRequest,
			"The object was stored using a form of Server Side Encryption. The correct parameters must be provided "+
				"to retrieve the object.")
	default:
		return fault.New(fault.InvalidRequest, "The encryption parameters are not applicable to this object.")
	}
}

// openVersion checks the choice of keys for a version. If digests are hidden, it also opens
// the version's data key and its checksum; otherwise it returns the zero key. It must not
// be called inside a transaction or a view, because opening a key may take long.
func (s *Store) openVersion(
	ctx context.Context, g authz.Grant, k slot, v *version, choice keys.Choice,
) (key payload.DataKey, err error) {
	if !choice.IsKMS() { // a choice of KMS was made from the record itself
		if err := v.checkChoice(choice); err != nil || !choice.HidesDigests() {
			return key, err
		}
	}
	if key, err = s.payloads.OpenKey(ctx, g, v.location(), choice, k.binding(v)); err != nil {
		return key, err
	}
	v.checksum.Sum, err = key.OpenSum(v.location())
	return key, err
}

// openParts opens the checksums of parts of a version or an upload if digests are hidden;
// otherwise the parts have them already. It must not be called inside a transaction or a
// view.
func (s *Store) openParts(
	ctx context.Context, g authz.Grant, k slot, of unique, choice keys.Choice, parts ...*part,
) error {
	if !choice.HidesDigests() {
		return nil
	}
	for _, p := range parts {
		key, err := s.payloads.OpenKey(ctx, g, p.location(), choice, k.partBinding(of, p.number))
		if err != nil {
			return err
		}
		if p.checksum.Sum, err = key.OpenSum(p.location()); err != nil {
			return err
		}
	}
	return nil
}

// checkChoice refuses a choice of keys that is not of the upload's kind. Its error is AWS's
// for a missing key.
func (u *upload) checkChoice(choice keys.Choice) error {
	if (u.encryption == customerKey) != choice.IsCustomer() {
		return customerKeyMissing()
	}
	return nil
}

// openUpload refuses a key other than the one that the upload began with. It returns the
// upload's data key, as openVersion does.
func (s *Store) openUpload(
	ctx context.Context, g authz.Grant, k slot, u *upload, choice keys.Choice,
) (payload.DataKey, error) {
	if err := u.checkChoice(choice); err != nil {
		return payload.DataKey{}, err
	}
	key, err := s.openVersion(ctx, g, k, &u.version, choice)
	if choice.IsCustomer() && fault.Is(err, fault.AccessDenied) {
		err = fault.New(fault.InvalidRequest,
			"The provided encryption parameters did not match the ones used originally.")
	}
	return key, err
}

func customerKeyMissing() error {
	return fault.New(fault.InvalidRequest,
		"The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate "+
			"encryption parameters.")
}
