package kms

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// Limits of the API (KMS API reference, Encrypt, GenerateDataKey, GenerateRandom;
// developer guide, "Encryption context").
const (
	maxPlaintext = 4096 // bytes
	maxGenerated = 1024 // bytes
	maxContext   = 8192 // bytes of names and values
)

// Secret is plaintext. It is never printed.
type Secret []byte

// String keeps plaintext out of logs.
func (Secret) String() string { return "kms.Secret(hidden)" }

// GoString keeps plaintext out of logs.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps plaintext out of JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Sealed is a ciphertext, and the key and material that sealed it.
type Sealed struct {
	Ciphertext []byte
	Key        arn.ARN
	Material   MaterialID
}

// Opened is a plaintext, and the key and material that had sealed it.
type Opened struct {
	Plaintext Secret
	Key       arn.ARN
	Material  MaterialID
}

// EncryptInput is the input of Encrypt.
type EncryptInput struct {
	Key       string // key id, key ARN, alias/name or alias ARN
	Plaintext Secret // 1 to 4096 bytes
	Context   map[string]string
	DryRun    bool // only check whether the operation would succeed: DryRunOperationException
}

// Encrypt seals a plaintext under a key's current material. It needs kms:Encrypt on the
// key. Errors: NotFoundException, InvalidArnException, DisabledException,
// KMSInvalidStateException, ValidationException, DryRunOperationException.
func (s *Store) Encrypt(ctx context.Context, g authz.Grant, in EncryptInput) (out Sealed, err error) {
	u, err := s.forCaller(ctx, g, in.Key, func(on arn.ARN) error { return g.Demand("kms:Encrypt", on) })
	if err == nil {
		err = mayCarryPlaintext(g)
	}
	if err != nil {
		return out, err
	}
	if err := checkSize("plaintext", len(in.Plaintext), maxPlaintext); err != nil {
		return out, err
	}
	return s.sealFor(u, usedToEncrypt, in.Plaintext, in.Context, in.DryRun)
}

// sealFor seals for a caller of the API.
func (s *Store) sealFor(
	u *usable, how usage, plain Secret, context map[string]string, dryRun bool,
) (out Sealed, err error) {
	if err := checkContext(context); err != nil {
		return out, err
	}
	if dryRun {
		return out, fault.Of(fault.DryRunOperationException)
	}
	b := sealBlob(forCallers, u.id, u.material.id, u.opened, plain, Canonical(context))
	s.used(u.key, how, u.at)
	return Sealed{Ciphertext: b, Key: u.key.arn(), Material: u.material.id}, nil
}

// DecryptInput is the input of Decrypt.
type DecryptInput struct {
	Ciphertext []byte
	Context    map[string]string // the same pairs as when it was sealed, in any order
	Key        string            // key that must have sealed it; "" is the key that the ciphertext names
	DryRun     bool
}

// Decrypt opens what Encrypt, GenerateDataKey or ReEncrypt sealed. It needs kms:Decrypt on
// the key. Errors: InvalidCiphertextException, also for a wrong context,
// IncorrectKeyException, AccessDenied if the ciphertext's key does not exist,
// NotFoundException, InvalidArnException, DisabledException, KMSInvalidStateException,
// DryRunOperationException.
func (s *Store) Decrypt(ctx context.Context, g authz.Grant, in DecryptInput) (out Opened, err error) {
	u, plain, err := s.openFor(ctx, g, in, func(on arn.ARN) error { return g.Demand("kms:Decrypt", on) })
	if err == nil {
		err = mayCarryPlaintext(g)
	}
	if err != nil {
		return out, err
	}
	if in.DryRun {
		return out, fault.Of(fault.DryRunOperationException)
	}
	s.used(u.key, usedToDecrypt, u.at)
	return Opened{Plaintext: plain, Key: u.key.arn(), Material: u.material.id}, nil
}

// openFor opens for a caller of the API.
func (s *Store) openFor(
	ctx context.Context, g authz.Grant, in DecryptInput, may func(arn.ARN) error,
) (*usable, Secret, error) {
	owner, err := account(g)
	if err != nil {
		return nil, nil, err
	}
	p, ok := parseBlob(in.Ciphertext)
	if !ok || p.purpose != forCallers {
		return nil, nil, invalidCiphertext()
	}
	at := g.Caller().At()
	u, err := s.use(ctx, &opening{
		at: at, may: may, sealer: &p.key, sealed: true, material: p.material,
		find: func(r kv.Reader) (*keyRecord, error) { return s.findSealer(r, owner, in.Key, &p, at) },
	})
	if err != nil {
		return nil, nil, err
	}
	plain, err := p.open(u.opened, Canonical(in.Context))
	if err != nil {
		return nil, nil, invalidCiphertext()
	}
	return u, plain, nil
}

// findSealer returns the key that a caller names or, without a name, the key that a
// ciphertext names.
func (s *Store) findSealer(r kv.Reader, owner, name string, p *blob, at time.Time) (*keyRecord, error) {
	if name != "" {
		k, _, err := s.find(r, owner, name, at)
		return k, err
	}
	k, err := s.decoded.key(r, p.key.String())
	if err == nil && (k == nil || k.isDestroyed(at)) {
		err = NoSealer()
	}
	return k, err
}

// NoSealer is the error for a ciphertext in a request without a key's name. It is the same
// if the key does not exist and if the caller may not use it.
func NoSealer() error {
	return fault.New(fault.AccessDenied, "The ciphertext refers to a customer master key that does not exist, does "+
		"not exist in this region, or you are not allowed to access.")
}

// SubjectOf is Subject for the key of a Decrypt: the one with the name or, if the name is
// "", the one that the ciphertext names. Errors: InvalidCiphertextException, AccessDenied
// if the ciphertext's key does not exist.
func (s *Store) SubjectOf(
	ctx context.Context, account, name string, ciphertext []byte, at time.Time,
) (out Subject, err error) {
	if name != "" {
		return s.Subject(ctx, account, name, at)
	}
	p, ok := parseBlob(ciphertext)
	if !ok || p.purpose != forCallers {
		return out, invalidCiphertext()
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		k, err := s.findSealer(r, account, "", &p, at)
		if err == nil {
			out, err = k.subject(r, "", at)
		}
		return err
	})
	return out, err
}

// ReEncryptInput is the input of ReEncrypt.
type ReEncryptInput struct {
	Ciphertext    []byte
	SourceContext map[string]string
	SourceKey     string // see DecryptInput.Key
	Key           string // the new key
	Context       map[string]string
	DryRun        bool
}

// ReEncrypted is a ciphertext under another key.
type ReEncrypted struct {
	Sealed
	Source         arn.ARN
	SourceMaterial MaterialID
}

// ReEncrypt opens a ciphertext and seals its plaintext under another key or context,
// without returning the plaintext. It needs kms:ReEncryptFrom on the key that sealed it and
// kms:ReEncryptTo on the new key. Errors: those of Decrypt and Encrypt.
func (s *Store) ReEncrypt(ctx context.Context, g authz.Grant, in ReEncryptInput) (out ReEncrypted, err error) {
	from, plain, err := s.openFor(ctx, g,
		DecryptInput{Ciphertext: in.Ciphertext, Context: in.SourceContext, Key: in.SourceKey},
		func(on arn.ARN) error { return g.Demand("kms:ReEncryptFrom", on) })
	if err != nil {
		return out, err
	}
	to, err := s.forCaller(ctx, g, in.Key, func(on arn.ARN) error { return g.Demand("kms:ReEncryptTo", on) })
	if err != nil {
		return out, err
	}
	sealed, err := s.sealFor(to, usedToReEncrypt, plain, in.Context, in.DryRun)
	if err != nil {
		return out, err
	}
	s.used(from.key, usedToReEncrypt, from.at)
	return ReEncrypted{Sealed: sealed, Source: from.key.arn(), SourceMaterial: from.material.id}, nil
}

// GenerateInput asks for a data key.
type GenerateInput struct {
	Key     string // key id, key ARN, alias/name or alias ARN
	Bytes   int    // 1 to 1024; the API's AES_256 is 32, AES_128 is 16
	Context map[string]string
	DryRun  bool
}

// DataKey is a random key, in plaintext and sealed under a key of KMS.
type DataKey struct {
	Sealed
	Plaintext Secret // nil if the request asked for the sealed form only
}

// GenerateDataKey generates a data key. It needs kms:GenerateDataKey on the key. Errors:
// those of Encrypt.
func (s *Store) GenerateDataKey(ctx context.Context, g authz.Grant, in GenerateInput) (DataKey, error) {
	return s.generate(ctx, g, in, usedToGenerate, func(on arn.ARN) error {
		if err := g.Demand("kms:GenerateDataKey", on); err != nil {
			return err
		}
		return mayCarryPlaintext(g)
	})
}

// GenerateDataKeyWithoutPlaintext generates a data key and returns it only in sealed form.
// It needs kms:GenerateDataKeyWithoutPlaintext on the key. Errors: those of Encrypt.
func (s *Store) GenerateDataKeyWithoutPlaintext(
	ctx context.Context, g authz.Grant, in GenerateInput,
) (DataKey, error) {
	out, err := s.generate(ctx, g, in, usedToGenerateWithout,
		func(on arn.ARN) error { return g.Demand("kms:GenerateDataKeyWithoutPlaintext", on) })
	out.Plaintext = nil
	return out, err
}

func (s *Store) generate(
	ctx context.Context, g authz.Grant, in GenerateInput, how usage, may func(arn.ARN) error,
) (out DataKey, err error) {
	u, err := s.forCaller(ctx, g, in.Key, may)
	if err != nil {
		return out, err
	}
	if err := checkSize("numberOfBytes", in.Bytes, maxGenerated); err != nil {
		return out, err
	}
	out.Plaintext = make(Secret, in.Bytes)
	rand.Read(out.Plaintext)
	if out.Sealed, err = s.sealFor(u, how, out.Plaintext, in.Context, in.DryRun); err != nil {
		return DataKey{}, err
	}
	return out, nil
}

// GenerateRandom returns 1 to 1024 random bytes. It needs kms:GenerateRandom on every
// resource. Errors: ValidationException.
func (s *Store) GenerateRandom(_ context.Context, g authz.Grant, bytes int) (Secret, error) {
	if err := g.Demand("kms:GenerateRandom", arn.Any()); err != nil {
		return nil, err
	}
	if err := mayCarryPlaintext(g); err != nil {
		return nil, err
	}
	if err := checkSize("numberOfBytes", bytes, maxGenerated); err != nil {
		return nil, err
	}
	b := make(Secret, bytes)
	rand.Read(b)
	return b, nil
}

// mayCarryPlaintext refuses requests with plaintext on a connection that others can read.
// AWS has no KMS endpoint without TLS.
func mayCarryPlaintext(g authz.Grant) error {
	if g.Caller().SecureChannel() {
		return nil
	}
	return fault.New(fault.AccessDeniedException,
		"Requests that carry plaintext must be made over a secure connection.")
}

func checkSize(what string, n, limit int) error {
	if n < 1 || n > limit {
		return fault.New(fault.ValidationException, fmt.Sprintf("The size of '%s' is between 1 and %d.", what, limit))
	}
	return nil
}

func checkContext(context map[string]string) error {
	size := 0
	for name, value := range context {
		size += len(name) + len(value)
	}
	if size > maxContext {
		return fault.New(fault.ValidationException,
			fmt.Sprintf("An encryption context has at most %d bytes.", maxContext))
	}
	return nil
}

// usable is a key with one of its materials opened.
type usable struct {
	key      *keyRecord // must not be modified
	id       keyID
	material *materialRecord
	opened   seal.Key
	at       time.Time
}

// opening says which material of which key to open, and checks whether the caller may use it.
type opening struct {
	at     time.Time
	may    func(arn.ARN) error // called before the caller can learn the key's state
	named  *arn.ARN            // of the key; nil: find finds it
	find   func(kv.Reader) (*keyRecord, error)
	sealer *keyID // the key must be this one; nil accepts any
	// material is the one that sealed a ciphertext, if sealed is set; otherwise the current
	// one is used. A material of another key means an invalid ciphertext.
	material MaterialID
	sealed   bool
	usable   usable // the result
}

// forCaller opens the current material of a key that the grant's caller names.
func (s *Store) forCaller(ctx context.Context, g authz.Grant, name string, may func(arn.ARN) error) (*usable, error) {
	owner, err := account(g)
	if err != nil {
		return nil, err
	}
	at := g.Caller().At()
	return s.use(ctx, &opening{at: at, may: may, find: func(r kv.Reader) (*keyRecord, error) {
		k, _, err := s.find(r, owner, name, at)
		return k, err
	}})
}

// use reads a key and a material and opens the material, if the key's state allows that. It
// reads in a view and opens after it.
func (s *Store) use(ctx context.Context, o *opening) (*usable, error) {
	if err := s.store.View(ctx, func(r kv.Reader) error { return s.readUsable(r, o) }); err != nil {
		return nil, err
	}
	u := &o.usable
	u.at = o.at
	if err := s.openMaterialTo(&u.opened, nil, u.id, u.material); err != nil {
		return nil, err
	}
	return u, nil
}

// readUsable reads the key and the material of an opening.
func (s *Store) readUsable(r kv.Reader, o *opening) (err error) {
	var k *keyRecord
	if o.named == nil {
		k, err = o.find(r)
	} else {
		k, err = s.findNamed(r, o.named, o.at)
	}
	if err != nil {
		return err
	}
	u := &o.usable
	u.key = k
	if err := o.may(k.arn()); err != nil {
		return err
	}
	if err := k.check(toUse, o.at); err != nil {
		return err
	}
	if u.id, _ = k.binary(); o.sealer != nil && *o.sealer != u.id {
		return fault.Of(fault.IncorrectKeyException)
	}
	which := k.current
	if o.sealed {
		which = o.material
	}
	if u.material, err = s.decoded.material(r, k.id, which); err != nil {
		return err
	}
	if u.material == nil || u.material.wrapped == nil {
		return invalidCiphertext()
	}
	return nil
}
