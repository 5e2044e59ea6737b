package object

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/keys"
	"watertight/internal/core/kms"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// KMS decides which keys of KMS the caller of a request may use; kms.Store implements it.
// Each method resolves the key of a use, refuses a key in the wrong state, and returns a
// grant that also covers the key. The request commits with that grant, so a key that is
// disabled in the meantime refuses the commit.
type KMS interface {
	ExtendToGenerate(ctx context.Context, g authz.Grant, u kms.Use) (authz.Grant, kms.Key, error)
	ExtendToDecrypt(ctx context.Context, g authz.Grant, u kms.Use) (authz.Grant, kms.Key, error)
	// ExtendToBoth is for parts of uploads: they need both permissions.
	ExtendToBoth(ctx context.Context, g authz.Grant, u kms.Use) (authz.Grant, kms.Key, error)
}

// underKMS says how a version, an upload and its parts use a key of KMS. It is part of
// their records.
type underKMS struct {
	key       string            // ARN
	bucketKey bool              // the encryption context names the bucket, not the object
	pairs     map[string]string // the caller's own pairs of the encryption context
}

// managedKey is the key that S3 uses if neither the request nor the bucket names one: that
// of the account that writes (S3 user guide, "Using server-side encryption with AWS KMS
// keys").
const managedKey = "alias/aws/s3"

// context returns the whole encryption context.
func (u *underKMS) context(k slot) kms.Context {
	c := kms.Context{Name: "aws:s3:arn", Own: u.pairs}
	if u.bucketKey {
		c.Before, c.Value = "arn:aws:s3:::", k.b.Name
	} else {
		c.Value = arn.Object(k.b.Name, k.key).String()
	}
	return c
}

// use returns the use of the key on which the decision is made.
func (u *underKMS) use(k slot) kms.Use {
	return kms.Use{Key: u.key, Context: u.context(k), Via: "s3"}
}

// choice returns the choice of keys for a version with this encryption.
func (u *underKMS) choice(k slot, e bucket.Encryption) (keys.Choice, error) {
	key, err := arn.Parse(u.key)
	if err != nil {
		return keys.Choice{}, unreadable(err)
	}
	return chosen(key, u.context(k), e), nil
}

// chosen returns the choice of a key with a whole encryption context.
func chosen(key arn.ARN, context kms.Context, e bucket.Encryption) keys.Choice {
	var room [128]byte
	return keys.UnderKMS(key, context.Canonical(room[:0]), e == bucket.DSSE)
}

// mayUseKMS refuses callers that can't use a key of KMS, whatever its policy says: those
// that did not sign their request, and those whose connection others can read (S3 user
// guide, "Protecting data with SSE-KMS").
func (s *Store) mayUseKMS(g authz.Grant) error {
	switch c := g.Caller(); {
	case s.kms == nil:
		return fault.Of(fault.NotImplemented).With("Header", encryptionHeader)
	case c.Kind() == policy.Nobody, c.Anonymous():
		return fault.Of(fault.AccessDenied)
	case !c.SecureChannel():
		return fault.New(fault.InvalidRequest,
			"Requests for objects under AWS KMS keys must be made over a secure connection.")
	}
	return nil
}

// sealing says how the bytes of a write will be encrypted.
type sealing struct {
	encryption bucket.Encryption
	choice     keys.Choice
	kms        *underKMS
	key        arn.ARN // of kms
	// followed is the bucket's setting on which this decision depends, if follows is set:
	// the request names no encryption. The transaction that commits compares it with the
	// setting then.
	followed bucket.DefaultEncryption
	follows  bool
}

// seal decides how a write is encrypted: as the request says, else as the bucket's setting
// says. It returns a grant that also covers the use of the KMS key. Errors: those of KMS.
func (s *Store) seal(
	ctx context.Context, g authz.Grant, k slot, a *asked, d bucket.DefaultEncryption,
) (sealing, authz.Grant, error) {
	if a.customer.IsCustomer() {
		return sealing{encryption: customerKey, choice: a.customer}, g, nil
	}
	how := sealing{encryption: a.algorithm, followed: d, follows: a.algorithm == ""}
	name := a.key
	if how.encryption == "" {
		how.encryption, name = d.Algorithm, d.KeyID
	}
	if !how.encryption.UsesKMS() {
		return how, g, nil
	}
	how.kms = &underKMS{pairs: a.pairs, bucketKey: d.BucketKey}
	if a.bucketKey != nil {
		how.kms.bucketKey = *a.bucketKey
	}
	if how.encryption == bucket.DSSE {
		how.kms.bucketKey = false // DSSE-KMS has no bucket keys
	}
	if how.kms.key = name; name == "" {
		how.kms.key = managedKey
	}
	if err := s.mayUseKMS(g); err != nil {
		return how, g, err
	}
	use := how.kms.use(k)
	wider, key, err := s.kms.ExtendToGenerate(ctx, g, use)
	if err != nil {
		return how, g, err
	}
	how.key, how.kms.key = key.ARN, key.Name
	how.choice = chosen(key.ARN, use.Context, how.encryption)
	wider.Note(encryptionHeader, string(how.encryption))
	return how, wider, nil
}

// encryption returns the bucket's default encryption if the request leaves anything to it.
// It refuses a customer's key if the bucket blocks such keys. A request that names aws:kms
// may leave it to the bucket whether to use a bucket key.
func (s slot) encryption(r kv.Reader, g authz.Grant, a *asked) (bucket.DefaultEncryption, error) {
	if a.customer.IsCustomer() || a.algorithm == bucket.AES256 || a.algorithm != "" && a.bucketKey != nil {
		return bucket.DefaultEncryption{}, s.mayUse(r, g, a.customer)
	}
	return bucket.EncryptionIn(r, s.b)
}

// check refuses a write if, since the decision, the bucket has blocked its kind of key or
// changed the default encryption that it followed, or if the grant no longer covers its
// key.
func (how *sealing) check(r kv.Reader, k slot, g authz.Grant) error {
	if err := k.mayUse(r, g, how.choice); err != nil {
		return err
	}
	if how.choice.IsKMS() {
		if err := g.Demand("kms:GenerateDataKey", how.key); err != nil {
			return err
		}
	}
	if !how.follows {
		return nil
	}
	now, err := bucket.EncryptionIn(r, k.b)
	if err == nil && now != how.followed {
		err = fault.Of(fault.OperationAborted)
	}
	return err
}

// openFor decides whether the caller may read a version or an upload's parts. It returns
// the choice of keys that opens them, and a grant that covers that key. customer is the
// choice that the request brings. Errors: those of checkChoice, and of KMS.
func (s *Store) openFor(
	ctx context.Context, g authz.Grant, k slot, v *version, customer keys.Choice,
) (keys.Choice, authz.Grant, error) {
	if err := v.checkChoice(customer); err != nil || v.kms == nil {
		return customer, g, err
	}
	if err := s.mayUseKMS(g); err != nil {
		return keys.Choice{}, g, err
	}
	use := v.kms.use(k)
	wider, key, err := s.kms.ExtendToDecrypt(ctx, g, use)
	if err != nil {
		return keys.Choice{}, g, err
	}
	return chosen(key.ARN, use.Context, v.encryption), wider, nil
}

// sealPart returns the encryption of a part, which is that of its upload. Who sends a part
// needs both permissions on a key of KMS (S3 API reference, UploadPart).
func (s *Store) sealPart(
	ctx context.Context, g authz.Grant, k slot, u *upload, customer keys.Choice,
) (sealing, authz.Grant, error) {
	how := sealing{encryption: u.encryption, choice: customer, kms: u.kms}
	if u.kms == nil {
		_, err := s.openUpload(ctx, g, k, u, customer)
		return how, g, err
	}
	if err := u.checkChoice(customer); err != nil {
		return how, g, err
	}
	if err := s.mayUseKMS(g); err != nil {
		return how, g, err
	}
	use := u.kms.use(k)
	wider, key, err := s.kms.ExtendToBoth(ctx, g, use)
	if err != nil {
		return how, g, err
	}
	how.key = key.ARN
	how.choice = chosen(key.ARN, use.Context, u.encryption)
	wider.Note(encryptionHeader, string(how.encryption))
	return how, wider, nil
}
