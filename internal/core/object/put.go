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
	"watertight/internal/core/bucket"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// Put stores an object. It needs s3:PutObject, s3:PutObjectTagging too where
// it has tags, s3:PutObjectAcl where an ACL is asked for, s3:GetObject where
// IfMatch is set, and kms:GenerateDataKey on the key of KMS that the request or the
// bucket's setting names. The bytes are sealed and kept first, the record second, and
// nothing is visible before both last. Conditions are checked before the body
// is read and again in the transaction that commits.
// Errors: NoSuchBucket, KeyTooLongError, InvalidURI, MetadataTooLarge,
// InvalidStorageClass, EntityTooLarge, IncompleteBody, BadDigest, InvalidDigest,
// InvalidArgument and InvalidEncryptionAlgorithmError (the encryption), those of KMS,
// OperationAborted where the bucket's encryption changed meanwhile, PreconditionFailed,
// NoSuchKey, NotImplemented, those of an ACL (see setOwner), and what Body.Read returned.
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
	if in.IfMatch != nil {
		if err := g.Demand("s3:GetObject", arn.Object(in.Bucket, in.Key)); err != nil {
			return Version{}, err
		}
	}
	a, err := in.Encryption.check(g)
	if err == nil {
		err = in.check()
	}
	if err != nil {
		return Version{}, err
	}
	k, setting, err := s.precheck(ctx, g, &in, &a)
	if err != nil {
		return Version{}, err
	}
	how, g, err := s.seal(ctx, g, k, &a, setting)
	if err != nil {
		return Version{}, err
	}
	v := in.version(&how)
	at, digests, err := s.payloads.Write(ctx, g, in.source(how.choice, k.binding(v.unique)))
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
	return v.public(b, in.Key), nil
}

// written is bytes that were sealed and kept before the transaction that refers to
// them.
type written struct {
	bucket bucket.ID // that the data key is bound to
	how    sealing
	at     payload.Location
}

// check refuses to refer to the bytes in a bucket that was deleted and made again
// while they came in, or where they must be sealed otherwise by now.
func (w *written) check(tx kv.Tx, k slot, g authz.Grant) error {
	if k.b.ID != w.bucket {
		return noSuchBucket(k.b.Name)
	}
	return w.how.check(tx, k, g)
}

// precheck reads the bucket, with its default encryption where that counts, and checks
// ACL and conditions for the first time, so that a write that can't succeed is refused
// before its body is read.
func (s *Store) precheck(
	ctx context.Context, g authz.Grant, in *PutInput, a *asked,
) (k slot, setting bucket.DefaultEncryption, err error) {
	k.key = in.Key
	err = s.store.View(ctx, func(r kv.Reader) error {
		if k.b, err = bucket.For(r, g, in.Bucket); err != nil {
			return err
		}
		if err := new(version).setOwner(r, k, g, &in.ACL); err != nil {
			return err
		}
		if setting, err = k.encryption(r, g, a); err != nil || in.IfMatch == nil && in.IfNoneMatch == nil {
			return err
		}
		head, err := k.head(r)
		if err != nil {
			return err
		}
		return in.mayWrite(head)
	})
	return k, setting, err
}

// version is the record as far as it is known before the body.
func (in *PutInput) version(how *sealing) *version {
	v := &version{
		storageClass: in.StorageClass, encryption: how.encryption, kms: how.kms, metadata: in.Metadata, tags: in.Tags,
	}
	v.checksum = Checksum{Algorithm: in.algorithm(), Type: FullObject}
	rand.Read(v.unique[:])
	return v
}

// algorithm is the checksum's: CRC64NVME where the client chose none (S3 user
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

// bounded is a body of unknown size that must not have more than left bytes.
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

// verify compares what was read with what was declared; the length was checked
// by payload.
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

// stored completes the record with what the pass over the body found.
func (v *version) stored(at payload.Location, digests payload.Digests, choice keys.Choice) {
	v.size, v.etag.Sum, v.checksum.Sum = digests.Size, tagOf(choice, digests.MD5), digests.Sum
	v.dataKey, v.blob, v.inline, v.sealedSum = at.Key, at.Blob, at.Inline != nil, at.Sum
}

// commit writes the record and, once it is durable, settles the bytes and removes
// those that it replaced. It returns the bucket as the transaction saw it.
func (s *Store) commit(
	ctx context.Context, g authz.Grant, in *PutInput, v *version, w written,
) (b *bucket.Bucket, err error) {
	var gone []garbage
	err = s.writeKey(ctx, g, in.Bucket, in.Key, func(tx kv.Tx, k slot) error {
		b = k.b
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
		v.modified = requestTime(g)
		gone, err = k.push(tx, head, v, w.at.Inline)
		noteVersion(g, b, v)
		return err
	})
	if err != nil {
		return b, err
	}
	s.payloads.Settle(w.at)
	s.removeAll(ctx, gone)
	return b, nil
}

// noteVersion has the event name the version that is made.
func noteVersion(g authz.Grant, b *bucket.Bucket, v *version) {
	if b.Versioning != bucket.Off && v != nil {
		g.Note("x-amz-version-id", v.id())
	}
}

// drop removes bytes whose commit failed. Those of a commit that may have
// lasted stay; the sweeper decides.
func (s *Store) drop(ctx context.Context, at payload.Location, err error) {
	if !errors.Is(err, kv.ErrUnknown) {
		s.payloads.Drop(context.WithoutCancel(ctx), at)
	}
}

func noSuchBucket(name string) error {
	return fault.Of(fault.NoSuchBucket).With("BucketName", name)
}

// instant is the request's, as records keep it.
func requestTime(g authz.Grant) time.Time { return g.Caller().At().UTC().Truncate(time.Microsecond) }
