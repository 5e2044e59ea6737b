package object

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// Put stores an object. It needs s3:PutObject, s3:PutObjectTagging too where it has tags,
// s3:PutObjectAcl where an ACL is asked for, s3:PutObjectRetention and
// s3:PutObjectLegalHold where Lock asks for them, s3:GetObject where IfMatch is set, and
// kms:GenerateDataKey on the key of KMS that the request or the bucket's setting names. It
// first seals and stores the bytes, then the record; the object is visible only after both
// are durable. Conditions are checked before the body is read, and again in the transaction
// that commits. Errors: NoSuchBucket, KeyTooLongError, InvalidURI, MetadataTooLarge,
// InvalidStorageClass, EntityTooLarge, IncompleteBody, BadDigest, InvalidDigest,
// InvalidArgument and InvalidEncryptionAlgorithmError (the encryption), those of KMS,
// OperationAborted if the bucket's encryption changed in the meantime, PreconditionFailed,
// NoSuchKey, NotImplemented, InvalidArgument and InvalidRequest (the lock), those of an ACL
// (see setOwner), and what Body.Read returned.
func (s *Store) Put(ctx context.Context, g authz.Grant, in PutInput) (Version, error) {
	if err := g.Demand("s3:PutObject", arn.Object(in.Bucket, in.Key)); err != nil {
		return Version{}, err
	}
	if len(in.Tags) > 0 {
		if err := g.Demand("s3:PutObjectTagging", arn.Object(in.Bucket, in.Key)); err != nil {
			return Version{}, err
		}
	}
	if err := demandACL(g, &in.ACL, in.Bucket, in.Key); err != nil {
		return Version{}, err
	}
	if err := in.Lock.demandLock(g, in.Bucket, in.Key); err != nil {
		return Version{}, err
	}
	if in.IfMatch != nil {
		if err := g.Demand("s3:GetObject", arn.Object(in.Bucket, in.Key)); err != nil {
			return Version{}, err
		}
	}
	a, err := in.Encryption.check(g)
	if err == nil {
		err = in.check()
	}
	if err == nil {
		in.lock, err = in.Lock.check(s.clock, g)
	}
	if err != nil {
		return Version{}, err
	}
	v := new(version)
	k, setting, err := s.precheck(ctx, g, &in, &a, v)
	if err != nil {
		return Version{}, err
	}
	how, g, err := s.seal(ctx, g, k, &a, setting)
	if err != nil {
		return Version{}, err
	}
	in.describe(v, &how)
	at, digests, err := s.payloads.Write(ctx, g, in.source(how.choice, k.binding(v)))
	if err != nil {
		return Version{}, err
	}
	b := k.b
	if err = in.verify(digests); err == nil {
		v.stored(at, digests, how.choice)
		b, err = s.commit(ctx, g, &in, v, written{b.ID, how, at})
	}
	if err != nil {
		s.drop(ctx, at, err)
		return Version{}, err
	}
	out := v.public(b, in.Key)
	out.Expires = s.expires(ctx, b, in.Key, v)
	return out, nil
}

// written describes bytes that were sealed and stored before the transaction that refers to them.
type written struct {
	bucket bucket.ID // the bucket that the data key is bound to
	how    sealing
	at     payload.Location
}

// check refuses to refer to the bytes if the bucket was deleted and created again while
// they were received, or if they must now be sealed in another way.
func (w *written) check(tx kv.Tx, k slot, g authz.Grant) error {
	if k.b.ID != w.bucket {
		return noSuchBucket(k.b.Name)
	}
	return w.how.check(tx, k, g)
}

// precheck reads the bucket, and its default encryption if that counts. It checks the ACL
// and the conditions for the first time, so that a write that can't succeed is refused
// before its body is read. v is the new version; its owner, ACL and lock are set for the check.
func (s *Store) precheck(
	ctx context.Context, g authz.Grant, in *PutInput, a *asked, v *version,
) (slot, bucket.DefaultEncryption, error) {
	var found struct { // one allocation
		slot
		setting bucket.DefaultEncryption
	}
	found.key = in.Key
	err := s.store.View(ctx, func(r kv.Reader) (err error) {
		if found.b, err = bucket.For(r, g, in.Bucket); err != nil {
			return err
		}
		k := found.slot
		if err := v.setOwner(r, k, g, &in.ACL); err != nil {
			return err
		}
		if err := v.setLock(k.b, in.lock, s.clock, requestTime(g)); err != nil {
			return err
		}
		if !in.copied {
			if err := v.declaresBody("Object", in.MD5, in.Algorithm); err != nil {
				return err
			}
		}
		if found.setting, err = k.encryption(r, g, a); err != nil || in.IfMatch == nil && in.IfNoneMatch == nil {
			return err
		}
		head, err := k.head(r)
		if err != nil {
			return err
		}
		return in.mayWrite(head)
	})
	return found.slot, found.setting, err
}

// describe sets the fields of a new version that are known before the body is read.
func (in *PutInput) describe(v *version, how *sealing) {
	*v = version{
		storageClass: in.StorageClass, encryption: how.encryption, kms: how.kms, metadata: in.Metadata, tags: in.Tags,
	}
	v.checksum = Checksum{Algorithm: in.algorithm(), Type: FullObject}
	rand.Read(v.unique[:])
}

// algorithm returns the checksum's algorithm: CRC64NVME if the client chose none (S3 user
// guide, "Checking object integrity").
func (in *PutInput) algorithm() digest.Algorithm {
	if in.Algorithm == digest.None {
		return digest.CRC64NVME
	}
	return in.Algorithm
}

func (in *PutInput) source(choice keys.Choice, binding []byte) payload.Source {
	body := in.Body
	if body == nil {
		body = bytes.NewReader(nil)
	}
	if in.Size < 0 {
		body = &bounded{body, MaxPut}
	}
	return payload.Source{
		Body: body, Size: in.Size, Checksum: in.algorithm(), MD5: in.MD5 != nil, Choice: choice, Binding: binding,
	}
}

// bounded limits a body of unknown size to left bytes.
type bounded struct {
	io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, tooLarge(MaxPut - b.left)
	}
	return n, err
}

// verify compares the digests of the body with the declared ones; payload has checked the length.
func (in *PutInput) verify(digests payload.Digests) error {
	var expected Expected
	if in.Expect != nil {
		var err error
		if expected, err = in.Expect(); err != nil {
			return err
		}
	}
	if md5 := in.MD5; md5 != nil {
		if len(md5) != len(digests.MD5) {
			return fault.Of(fault.InvalidDigest).
				With("Content-MD5", base64.StdEncoding.EncodeToString(md5))
		}
		if !bytes.Equal(md5, digests.MD5[:]) {
			return fault.Of(fault.BadDigest).
				With("ExpectedDigest", hex.EncodeToString(md5)).
				With("CalculatedDigest", base64.StdEncoding.EncodeToString(digests.MD5[:]))
		}
	}
	if expected.Sum == nil {
		return nil
	}
	if in.Algorithm == digest.None || len(expected.Sum) != in.Algorithm.Size() {
		return fault.New(fault.InvalidRequest, "Value for "+in.algorithm().Header()+" header is invalid.")
	}
	if !bytes.Equal(expected.Sum, digests.Sum) {
		return fault.New(fault.BadDigest,
			"The "+string(in.Algorithm)+" you specified did not match the calculated checksum.")
	}
	return nil
}

// stored sets the fields that are known after the body was read.
func (v *version) stored(at payload.Location, digests payload.Digests, choice keys.Choice) {
	v.size, v.etag.Sum, v.checksum.Sum = digests.Size, tagOf(choice, digests.MD5), digests.Sum
	v.dataKey, v.blob, v.inline, v.sealedSum = at.Key, at.Blob, at.Inline != nil, at.Sum
}

// commit writes the record. Once the record is durable, commit settles the bytes and
// removes those that they replace. It returns the bucket as the transaction read it.
func (s *Store) commit(
	ctx context.Context, g authz.Grant, in *PutInput, v *version, w written,
) (*bucket.Bucket, error) {
	var done struct { // one allocation
		b    *bucket.Bucket
		gone []garbage
		over alarm.Counts
	}
	err := s.writeKey(ctx, g, in.Bucket, in.Key, func(tx kv.Tx, k slot) error {
		done.b = k.b
		if err := w.check(tx, k, g); err != nil {
			return err
		}
		head, err := k.head(tx)
		if err != nil {
			return err
		}
		if err := in.mayWrite(head); err != nil {
			return err
		}
		if err := v.setOwner(tx, k, g, &in.ACL); err != nil {
			return err
		}
		v.modified, v.writer = requestTime(g), writerOf(g)
		if err := v.setLock(k.b, in.lock, s.clock, v.modified); err != nil {
			return err
		}
		done.gone, done.over, err = k.replace(tx, head, v, w.at.Inline, removalBy(s.clock, g, k.b))
		if err != nil {
			return err
		}
		noteVersion(g, k.b, v)
		return nil
	})
	if err != nil {
		return done.b, err
	}
	s.payloads.Settle(w.at)
	s.removeAll(ctx, done.gone)
	s.tell(ctx, g, done.b, alarm.Of(in.Key, done.over))
	return done.b, nil
}

// noteVersion adds the id of the new version to the audit event.
func noteVersion(g authz.Grant, b *bucket.Bucket, v *version) {
	if b.Versioning != bucket.Off && v != nil {
		g.Note("x-amz-version-id", v.id())
	}
}

// drop removes the bytes of a write that failed. If it is unknown whether the commit is
// durable, the bytes stay, and the sweeper decides later.
func (s *Store) drop(ctx context.Context, at payload.Location, err error) {
	if !errors.Is(err, kv.ErrUnknown) {
		s.payloads.Drop(context.WithoutCancel(ctx), at)
	}
}

func noSuchBucket(name string) error {
	return fault.Of(fault.NoSuchBucket).With("BucketName", name)
}

// requestTime returns the time of the request in the precision of records.
func requestTime(g authz.Grant) time.Time { return g.Caller().At().UTC().Truncate(time.Microsecond) }
