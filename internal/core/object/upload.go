package object

import (
	"context"
	"encoding/binary"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/acl"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// Limits of multipart uploads (S3 user guide, "Multipart upload limits").
const (
	MaxParts    = maxParts
	MinPart     = 5 << 20 // bytes; the last part may be smaller
	MaxPartSize = 5 << 30
	MaxObject   = 5 << 40
)

// Upload is a multipart upload in progress.
type Upload struct {
	Key          string
	ID           string
	Initiated    time.Time
	Initiator    string // ARN
	Owner        string // account id
	StorageClass string
	Algorithm    digest.Algorithm // None where the client chose none
	ChecksumType ChecksumType     // empty if Algorithm is None
	Encrypted                     // its parts are encrypted in the same way
	Aborts       Scheduled        // set in answers of CreateUpload and ListParts
}

// UploadInput begins a multipart upload.
type UploadInput struct {
	Bucket, Key  string
	Metadata     Metadata
	Tags         tag.Set // made by tag.Header
	ACL          acl.Request
	StorageClass string
	Algorithm    digest.Algorithm
	ChecksumType ChecksumType // empty: the default of the algorithm
	Encryption   Encryption
	Lock         LockHeaders // the object's
}

// upload is an upload's record. Its version has the fields that the object will have; the
// version's number and unique bytes form the upload's id.
type upload struct {
	version
	initiator         string
	initID            string // unique id of the initiator
	requestEncryption string // encryption that the request chose
	requestKey        bool   // the request named the KMS key
	bucket            string // name of the bucket
	before            unique // newest version of the key when the upload began, zero for none
}

// Fields that an upload's record has in addition to those of a version. The numbers are stored.
const (
	fieldInitiator         = 40
	fieldBucket            = 41
	fieldBefore            = 42
	fieldInitID            = 43
	fieldRequestEncryption = 44
	fieldRequestKey        = 45
)

// uploads is the prefix of the keys of the slot's uploads, which are in the order of initiation.
func (s slot) uploads() []byte {
	return append(record.Key(uploadPrefix, string(s.b.ID[:]), "/", s.key), 0)
}

func (s slot) uploadKey(u *upload) []byte {
	return append(binary.BigEndian.AppendUint64(s.uploads(), u.seq), u.unique[:]...)
}

func (u *upload) encode() []byte {
	r := u.version.encode()
	r = record.String(r, fieldInitiator, u.initiator)
	r = record.String(r, fieldBucket, u.bucket)
	if u.before != (unique{}) {
		r = record.Bytes(r, fieldBefore, u.before[:])
	}
	r = record.String(r, fieldInitID, u.initID)
	r = record.String(r, fieldRequestEncryption, u.requestEncryption)
	return record.Bool(r, fieldRequestKey, u.requestKey)
}

func decodeUpload(b []byte) (*upload, error) {
	u := &upload{}
	v, err := decodeFields(b, u.take)
	if err != nil {
		return nil, err
	}
	u.version = *v
	return u, nil
}

// take stores a field that only an upload has. It returns false for other fields.
func (u *upload) take(f *record.Fields) bool {
	switch f.Number {
	case fieldInitiator:
		u.initiator = string(f.Bytes)
	case fieldBucket:
		u.bucket = string(f.Bytes)
	case fieldBefore:
		return len(f.Bytes) == len(u.before) && copy(u.before[:], f.Bytes) == len(u.before)
	case fieldInitID:
		u.initID = string(f.Bytes)
	case fieldRequestEncryption:
		u.requestEncryption = string(f.Bytes)
	case fieldRequestKey:
		u.requestKey = f.Uint != 0
	default:
		return false
	}
	return true
}

func (u *upload) public(b *bucket.Bucket, key string) Upload {
	out := Upload{
		Key: key, ID: u.id(), Initiated: u.modified, Initiator: u.initiator, Owner: ownerIn(b, u.owner),
		StorageClass: u.storageClass,
		Algorithm:    u.checksum.Algorithm,
	}
	out.Encrypted = u.publicEncryption()
	if out.Algorithm != digest.None {
		out.ChecksumType = u.checksum.Type
	}
	return out
}

// findUpload returns the upload with an id, or NoSuchUpload if this key has none.
func (s slot) findUpload(r kv.Reader, id string) (*upload, error) {
	seq, unique, err := parseID(id)
	if err != nil {
		return nil, noSuchUpload(id)
	}
	u := &upload{version: version{seq: seq, unique: unique}}
	b, err := r.Get(s.uploadKey(u))
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, noSuchUpload(id)
	}
	return decodeUpload(b)
}

// Begun is what decisions on the later requests of an upload need from its beginning.
type Begun struct {
	InitiatorID string // unique id of the initiator
	Encryption  string // encryption that CreateMultipartUpload named; empty if it named none
	KeyARN      string // ARN of the KMS key that CreateMultipartUpload named in any form; empty if it named none
}

// Begun returns what was recorded when an upload began, or the zero value if there is no
// such upload. It asks for no grant, because only authorization uses the result.
func (s *Store) Begun(ctx context.Context, bucketName, key, id string) (out Begun, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := bucket.Read(r, bucketName)
		if err != nil {
			return err
		}
		u, err := slot{&b, key}.findUpload(r, id)
		if err == nil {
			out = Begun{InitiatorID: u.initID, Encryption: u.requestEncryption}
			if u.requestKey && u.kms != nil {
				out.KeyARN = u.kms.key
			}
		}
		return err
	})
	if fault.Is(err, fault.NoSuchBucket) || fault.Is(err, fault.NoSuchUpload) {
		err = nil
	}
	return out, err
}

func noSuchUpload(id string) error {
	return fault.Of(fault.NoSuchUpload).
		With("UploadId", id)
}

// CreateUpload begins a multipart upload. Its object will have the owner, the ACL and the
// lock that are set now; without a retention, the bucket's default one when it is completed.
// It needs s3:PutObject, s3:PutObjectAcl where an ACL is asked for, s3:PutObjectRetention
// and s3:PutObjectLegalHold where Lock asks for them, and kms:GenerateDataKey on the key of
// KMS that the request or the bucket's setting names. Errors: NoSuchBucket, InvalidRequest,
// and those of Put that need no body.
func (s *Store) CreateUpload(ctx context.Context, g authz.Grant, in UploadInput) (Upload, error) {
	if err := g.Demand("s3:PutObject", arn.Object(in.Bucket, in.Key)); err != nil {
		return Upload{}, err
	}
	if g.Caller().Anonymous() { // as was observed at AWS
		return Upload{}, fault.New(fault.AccessDenied,
			"Anonymous users cannot initiate multipart uploads.  Please authenticate.")
	}
	if err := in.demandMore(g); err != nil {
		return Upload{}, err
	}
	put := PutInput{
		Bucket: in.Bucket, Key: in.Key, Metadata: in.Metadata, Tags: in.Tags, ACL: in.ACL,
		StorageClass: in.StorageClass, Algorithm: in.Algorithm,
	}
	if err := put.check(); err != nil {
		return Upload{}, err
	}
	kind, err := checksumType(in.Algorithm, in.ChecksumType)
	if err != nil {
		return Upload{}, err
	}
	lock, err := in.Lock.check(s.clock, g)
	if err != nil {
		return Upload{}, err
	}
	a, err := in.Encryption.check(g)
	if err != nil {
		return Upload{}, err
	}
	k, how, g, err := s.sealUpload(ctx, g, &in, &a)
	if err != nil {
		return Upload{}, err
	}
	u, err := s.newUpload(ctx, g, &put, k, &how)
	if err != nil {
		return Upload{}, err
	}
	u.requestEncryption, u.requestKey = in.Encryption.Algorithm, in.Encryption.KeyID != ""
	u.checksum, u.lock = Checksum{Algorithm: in.Algorithm, Type: kind}, lock
	w := written{bucket: k.b.ID, how: how}
	var out Upload
	err = s.writeIn(ctx, g, in.Bucket, func(tx kv.Tx, b *bucket.Bucket) error {
		k := slot{b, in.Key}
		if err := w.check(tx, k, g); err != nil {
			return err
		}
		head, err := k.head(tx)
		if err == nil {
			err = u.setOwner(tx, k, g, &in.ACL)
		}
		if err == nil {
			err = lock.mayBeIn(b)
		}
		if err != nil {
			return err
		}
		if u.before = (unique{}); head != nil {
			u.before = head.unique
		}
		tx.Set(k.uploadKey(u), u.encode())
		out = u.public(b, in.Key)
		return nil
	})
	if err != nil {
		return Upload{}, err
	}
	out.Aborts = s.aborts(ctx, k.b, in.Key, u)
	return out, nil
}

// demandMore demands what the beginning of an upload needs besides s3:PutObject.
func (in *UploadInput) demandMore(g authz.Grant) error {
	if len(in.Tags) > 0 {
		if err := g.Demand("s3:PutObjectTagging", arn.Object(in.Bucket, in.Key)); err != nil {
			return err
		}
	}
	if err := demandACL(g, &in.ACL, in.Bucket, in.Key); err != nil {
		return err
	}
	return in.Lock.demandLock(g, in.Bucket, in.Key)
}

// newUpload returns the record of an upload that begins, with the data key that keys sent
// with its parts are compared with, and that seals the checksum of the whole, where
// digests are hidden.
func (s *Store) newUpload(
	ctx context.Context, g authz.Grant, put *PutInput, k slot, how *sealing,
) (*upload, error) {
	u := &upload{initiator: initiator(g), initID: g.Caller().Principal().ID, bucket: put.Bucket}
	put.describe(&u.version, how)
	u.modified = requestTime(g)
	u.seq = uint64(max(1, u.modified.UnixMicro()))
	if !how.choice.HidesDigests() {
		return u, nil
	}
	at, _, err := s.payloads.NewKey(ctx, g, how.choice, k.binding(&u.version))
	u.dataKey = at.Key
	return u, err
}

// sealUpload decides how an upload is encrypted, see seal.
func (s *Store) sealUpload(
	ctx context.Context, g authz.Grant, in *UploadInput, a *asked,
) (k slot, how sealing, _ authz.Grant, err error) {
	k.key = in.Key
	var setting bucket.DefaultEncryption
	err = s.store.View(ctx, func(r kv.Reader) (err error) {
		if k.b, err = bucket.For(r, g, in.Bucket); err == nil {
			setting, err = k.encryption(r, g, a)
		}
		return err
	})
	if err != nil {
		return k, how, g, err
	}
	how, g, err = s.seal(ctx, g, k, a, setting)
	return k, how, g, err
}

// checksumType is what the checksum of a multipart object is made of (S3 user
// guide, "Checking object integrity for multipart uploads").
func checksumType(alg digest.Algorithm, kind ChecksumType) (ChecksumType, error) {
	invalid := func(message string) error { return fault.New(fault.InvalidRequest, message) }
	switch {
	case kind != "" && alg == digest.None:
		return "", invalid("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case alg == digest.None, alg == digest.CRC64NVME && kind != Composite:
		return FullObject, nil
	case alg == digest.CRC64NVME, !alg.Joins() && kind == FullObject:
		return "", invalid("The " + string(kind) + " checksum type cannot be used with the " +
			alg.Header()[len("x-amz-checksum-"):] + " checksum algorithm.")
	case kind == "":
		return Composite, nil
	default:
		return kind, nil
	}
}

// lockUpload takes an upload's guard: parts share it, and whatever ends the
// upload excludes them.
func lockUpload(tx kv.Tx, k slot, id string, mode kv.Mode) (*upload, error) {
	seq, unique, err := parseID(id)
	if err != nil {
		return nil, noSuchUpload(id)
	}
	if err := tx.Lock(k.uploadKey(&upload{version: version{seq: seq, unique: unique}}), mode); err != nil {
		return nil, err
	}
	return k.findUpload(tx, id)
}
