package kms

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// Limits of imports (KMS developer guide, "Importing key material for AWS KMS keys").
const (
	importFor     = 24 * time.Hour // how long an import token is valid
	maxTokens     = 10             // valid tokens of a key; a new one replaces the oldest
	maxValidity   = 365 * 24 * time.Hour
	tokenVersion  = 1
	tokenSize     = 1 + 16 + 8 + 16 // version, key, end in microseconds, random
	importPurpose = "watertight kms import"
)

// Wrapping is an algorithm that wraps key material for an import. The numbers are stored.
type Wrapping uint8

// The algorithms, by their names in the API.
const (
	RSAESOAEPSHA256     Wrapping = 1 // RSAES_OAEP_SHA_256
	RSAAESKeyWrapSHA256 Wrapping = 2 // RSA_AES_KEY_WRAP_SHA_256
)

// ParametersInput is the input of GetParametersForImport.
type ParametersInput struct {
	Key       string
	Algorithm string // RSAES_OAEP_SHA_256 or RSA_AES_KEY_WRAP_SHA_256
	Spec      string // RSA_2048, RSA_3072 or RSA_4096
}

// wrapping returns the algorithm and the size of its RSA key in bits.
func (in *ParametersInput) wrapping() (w Wrapping, bits int, err error) {
	switch in.Algorithm {
	case "RSAES_OAEP_SHA_256":
		w = RSAESOAEPSHA256
	case "RSA_AES_KEY_WRAP_SHA_256":
		w = RSAAESKeyWrapSHA256
	}
	switch in.Spec {
	case "RSA_2048":
		bits = 2048
	case "RSA_3072":
		bits = 3072
	case "RSA_4096":
		bits = 4096
	}
	if w == 0 || bits == 0 {
		err = fault.New(fault.UnsupportedOperationException,
			"Key material is wrapped with RSAES_OAEP_SHA_256 or RSA_AES_KEY_WRAP_SHA_256, under a key of RSA_2048, "+
				"RSA_3072 or RSA_4096.")
	}
	return w, bits, err
}

// Parameters are needed to wrap and import key material.
type Parameters struct {
	Key       arn.ARN
	Token     []byte // for ImportKeyMaterial
	PublicKey []byte // DER, X.509 SubjectPublicKeyInfo
	ValidTo   time.Time
}

// importRecord is the record of Parameters until they expire.
type importRecord struct {
	wrapped   []byte // a random key, wrapped under the root key
	sealed    []byte // the private key (PKCS #8), under that key
	algorithm Wrapping
}

// Fields of the record. The numbers are stored.
const (
	fieldImportWrapped   = 1
	fieldImportSealed    = 2
	fieldImportAlgorithm = 3
)

func importsOf(id string) []byte { return record.Key(importPrefix, id, "/") }

// token is a decoded import token.
type token struct {
	key    keyID
	end    time.Time
	unique [16]byte
}

func (t *token) encode() []byte {
	b := append(append(make([]byte, 0, tokenSize), tokenVersion), t.key[:]...)
	return append(record.Big(b, uint64(max(0, t.end.UnixMicro()))), t.unique[:]...)
}

func parseToken(b []byte) (t token, ok bool) {
	if len(b) != tokenSize || b[0] != tokenVersion {
		return t, false
	}
	t = token{key: keyID(b[1:17]), unique: [16]byte(b[25:])}
	t.end = time.UnixMicro(int64(binary.BigEndian.Uint64(b[17:]))).UTC()
	return t, bytes.Equal(t.encode(), b)
}

// stored returns the key of the record of a token. The tokens of a key are in the order of
// their ends.
func (t *token) stored() []byte {
	return append(record.Big(importsOf(t.key.String()), uint64(t.end.UnixMicro())), t.unique[:]...)
}

func (i *importRecord) encode() []byte {
	r := record.Bytes(record.Start(nil), fieldImportWrapped, i.wrapped)
	r = record.Bytes(r, fieldImportSealed, i.sealed)
	return record.Uint(r, fieldImportAlgorithm, uint64(i.algorithm))
}

func decodeImport(v []byte) (*importRecord, error) {
	i := &importRecord{}
	f := record.Read(v)
	for f.Next() {
		switch f.Number {
		case fieldImportWrapped:
			i.wrapped = f.Bytes
		case fieldImportSealed:
			i.sealed = f.Bytes
		case fieldImportAlgorithm:
			i.algorithm = Wrapping(min(f.Uint, 255))
		default:
			f.Unknown()
		}
	}
	if err := f.Err(); err != nil {
		return nil, fault.Internal(err)
	}
	return i, nil
}

// sealImport seals a private key under the root key.
func (s *Store) sealImport(t *token, private *rsa.PrivateKey, algorithm Wrapping) (*importRecord, error) {
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fault.Internal(err)
	}
	k, name := seal.NewKey(), t.encode()
	var nonce [12]byte // k seals only this message
	return &importRecord{
		wrapped: s.wrapping.root.For(importPurpose).Wrap(k, name),
		sealed:  k.AEAD().Seal(nil, nonce[:], plain, name), algorithm: algorithm,
	}, nil
}

// openImport opens what sealImport sealed. It must not be called inside a transaction.
func (s *Store) openImport(t *token, i *importRecord) (*rsa.PrivateKey, error) {
	name := t.encode()
	k, err := s.wrapping.root.For(importPurpose).Unwrap(i.wrapped, name)
	if err != nil {
		return nil, fault.Internal(err)
	}
	var nonce [12]byte
	plain, err := k.AEAD().Open(nil, nonce[:], i.sealed, name)
	if err != nil {
		return nil, fault.Internal(seal.ErrCorrupt)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	private, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, fault.Internal(seal.ErrCorrupt)
	}
	return private, nil
}

// importable returns a key into which material may be imported.
func (s *Store) importable(
	r kv.Reader, g authz.Grant, name string, at time.Time, may func(arn.ARN) error,
) (*keyRecord, keyID, error) {
	owner, err := account(g)
	if err != nil {
		return nil, keyID{}, err
	}
	k, err := s.findOwn(r, owner, name, at)
	if err != nil {
		return nil, keyID{}, err
	}
	if err := may(k.arn()); err != nil {
		return nil, keyID{}, err
	}
	id, _ := parseKeyID(k.id)
	if !k.imported {
		return nil, id, fault.New(fault.UnsupportedOperationException,
			k.arn().String()+" origin is AWS_KMS which is not valid for this operation.")
	}
	return k, id, k.check(toImport, at)
}

// makeRSA generates one RSA key at a time: an RSA key of 4096 bits takes seconds, and must
// not keep other callers from a processor. A caller that disconnects stops waiting.
func (s *Store) makeRSA(ctx context.Context, bits int) (*rsa.PrivateKey, error) {
	select {
	case s.making <- struct{}{}:
	case <-ctx.Done():
		return nil, fault.Internal(ctx.Err())
	}
	defer func() { <-s.making }()
	if err := ctx.Err(); err != nil {
		return nil, fault.Internal(err)
	}
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fault.Internal(err)
	}
	return private, nil
}

// GetParametersForImport generates an RSA key to wrap material with, and a token for the
// import. Both expire after 24 hours; a key of KMS has at most 10 of them. It needs
// kms:GetParametersForImport on the key. Errors: NotFoundException, InvalidArnException,
// KMSInvalidStateException, UnsupportedOperationException.
func (s *Store) GetParametersForImport(
	ctx context.Context, g authz.Grant, in ParametersInput,
) (out Parameters, err error) {
	at := g.Caller().At()
	may := func(on arn.ARN) error { return g.Demand("kms:GetParametersForImport", on) }
	t := token{end: at.Add(importFor).Truncate(time.Microsecond)}
	rand.Read(t.unique[:])
	err = s.store.View(ctx, func(r kv.Reader) error {
		k, id, err := s.importable(r, g, in.Key, at, may)
		if err == nil {
			out.Key, t.key = k.arn(), id
		}
		return err
	})
	if err != nil {
		return out, err
	}
	algorithm, bits, err := in.wrapping()
	if err != nil {
		return Parameters{}, err
	}
	private, err := s.makeRSA(ctx, bits)
	if err != nil {
		return Parameters{}, err
	}
	defer s.wrapping.root.Hold().Release()
	i, err := s.sealImport(&t, private, algorithm)
	if err != nil {
		return Parameters{}, err
	}
	if out.PublicKey, err = x509.MarshalPKIXPublicKey(&private.PublicKey); err != nil {
		return Parameters{}, fault.Internal(err)
	}
	out.Token, out.ValidTo = t.encode(), t.end
	return out, s.commit(ctx, g, func(tx kv.Tx, at time.Time) error {
		_, id, err := s.importable(tx, g, in.Key, at, may)
		switch {
		case err != nil:
			return err
		case id != t.key:
			return invalidKeyID(in.Key)
		}
		live, err := record.Names(tx, importsOf(id.String()))
		if err != nil {
			return err
		}
		for n := 0; n+maxTokens <= len(live); n++ {
			tx.Delete(record.Key(string(importsOf(id.String())), live[n]))
		}
		tx.Set(t.stored(), i.encode())
		return nil
	})
}

// ImportInput is the input of ImportKeyMaterial.
type ImportInput struct {
	Key       string
	Token     []byte
	Encrypted []byte    // the material, wrapped under the public key for the token
	ValidTo   time.Time // when the material expires; zero means never
}

// Imported names material that was imported or removed.
type Imported struct {
	Key      arn.ARN
	Material MaterialID
}

// ImportKeyMaterial imports material into a key. If the key had material before, only the
// same material can be imported. A key that is pending import becomes enabled. It needs
// kms:ImportKeyMaterial on the key. Errors: NotFoundException, InvalidArnException,
// KMSInvalidStateException, UnsupportedOperationException, InvalidImportTokenException,
// ExpiredImportTokenException, InvalidCiphertextException, IncorrectKeyMaterialException,
// ValidationException.
func (s *Store) ImportKeyMaterial(ctx context.Context, g authz.Grant, in ImportInput) (out Imported, err error) {
	at := g.Caller().At()
	may := func(on arn.ARN) error { return g.Demand("kms:ImportKeyMaterial", on) }
	t, ok := parseToken(in.Token)
	var i *importRecord
	err = s.store.View(ctx, func(r kv.Reader) error {
		_, id, err := s.importable(r, g, in.Key, at, may)
		switch {
		case err != nil:
			return err
		case !ok || t.key != id:
			return fault.Of(fault.InvalidImportTokenException)
		case !at.Before(t.end):
			return fault.Of(fault.ExpiredImportTokenException)
		}
		v, err := r.Get(t.stored())
		if err == nil && v == nil {
			err = fault.Of(fault.InvalidImportTokenException)
		}
		if err == nil {
			i, err = decodeImport(v)
		}
		return err
	})
	if err != nil {
		return out, err
	}
	if err := checkValidTo(in.ValidTo, at); err != nil {
		return out, err
	}
	private, err := s.openImport(&t, i)
	if err != nil {
		return out, err
	}
	material, err := unwrapMaterial(private, i.algorithm, in.Encrypted)
	if err != nil {
		return out, err
	}
	defer s.wrapping.root.Hold().Release()
	m := s.newMaterial(t.key, material, at, First)
	return out, s.commit(ctx, g, func(tx kv.Tx, at time.Time) error {
		k, id, err := s.importable(tx, g, in.Key, at, may)
		switch {
		case err != nil:
			return err
		case id != t.key:
			return fault.Of(fault.InvalidImportTokenException)
		}
		out = Imported{Key: k.arn(), Material: m.id}
		return k.update(tx, func() error { return k.take(tx, m, in.ValidTo, at) })
	})
}

func checkValidTo(end, at time.Time) error {
	switch {
	case end.IsZero():
		return nil
	case !at.Before(end):
		return fault.New(fault.ValidationException, "ValidTo must lie in the future.")
	case end.Sub(at) > maxValidity:
		return fault.New(fault.ValidationException, "ValidTo must lie within 365 days.")
	}
	return nil
}

// take makes imported material the material of the key.
func (k *keyRecord) take(tx kv.Tx, m *materialRecord, validTo, at time.Time) error {
	had, err := materialsIn(tx, k.id)
	if err != nil {
		return err
	}
	for _, old := range had {
		if old.id != m.id {
			return fault.Of(fault.IncorrectKeyMaterialException)
		}
		m.created, m.kept = old.created, old.kept
	}
	if k.stateAt(at) == PendingImport {
		k.state = Enabled
	}
	k.materials, k.validTo = 0, validTo.Truncate(time.Microsecond)
	k.begin(tx, m)
	return nil
}

// DeleteImportedKeyMaterial removes a key's imported material: from the next request on,
// nothing under the key can be read until the same material is imported again. It needs
// kms:DeleteImportedKeyMaterial on the key. Errors: NotFoundException, InvalidArnException,
// UnsupportedOperationException.
func (s *Store) DeleteImportedKeyMaterial(
	ctx context.Context, g authz.Grant, key string,
) (out Imported, err error) {
	return out, s.modify(ctx, g, "kms:DeleteImportedKeyMaterial", key, toDeleteMaterial,
		func(tx kv.Tx, k *keyRecord, _ time.Time) error {
			if !k.imported {
				return fault.New(fault.UnsupportedOperationException,
					k.arn().String()+" origin is AWS_KMS which is not valid for this operation.")
			}
			out = Imported{Key: k.arn(), Material: k.current}
			return k.lose(tx)
		})
}

// lose removes the imported material and keeps its id.
func (k *keyRecord) lose(tx kv.Tx) error {
	if k.current == (MaterialID{}) {
		return change.ErrUnchanged
	}
	m, err := readMaterial(tx, k.id, k.current)
	if err != nil {
		return err
	}
	if m != nil {
		m.wrapped, m.generation = nil, 0
		tx.Set(materialKey(k.id, m.id), m.encode())
	}
	tx.Set(record.Key(erasePrefix, k.id), record.Start(nil))
	k.current, k.validTo = MaterialID{}, time.Time{}
	return nil
}
