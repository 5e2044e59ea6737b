package object

import (
	"context"
	"crypto/rand"
	"hash"
	"io"
	"strconv"
	"strings"
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

// Part is one part of an upload or of an object.
type Part struct {
	Number    int
	Size      int64
	Modified  time.Time
	ETag      ETag
	Checksum  Checksum
	Encrypted // of the upload; set if the part was just stored
}

// PartInput is a part to store.
type PartInput struct {
	Bucket, Key, UploadID string
	Number                int
	Body                  io.Reader
	Size                  int64 // decoded bytes, or -1 if unknown
	Algorithm             digest.Algorithm
	Expect                func() (Expected, error) // as in PutInput
	MD5                   []byte
	Customer              CustomerKey // the upload's key
	copied                bool        // its bytes are read from this store
}

func (in *PartInput) check() error {
	if err := checkKey(in.Key); err != nil {
		return err
	}
	if in.Number < 1 || in.Number > maxParts {
		return fault.New(fault.InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive").
			With("ArgumentName", "partNumber").With("ArgumentValue", strconv.Itoa(in.Number))
	}
	if in.Size > MaxPartSize {
		return tooLarge(in.Size)
	}
	return nil
}

// algorithm returns the algorithm of the part's stored checksum: the upload's, or CRC64NVME
// if the client chose none for the upload (S3 user guide, "Checking object integrity for
// multipart uploads").
func (in *PartInput) algorithm(u *upload) (digest.Algorithm, error) {
	want := u.checksum.Algorithm
	switch {
	case want == digest.None:
		return digest.CRC64NVME, nil
	case in.Algorithm == digest.None && u.checksum.Type == Composite && !in.copied:
		return "", typeMismatch(want, "null")
	case in.Algorithm != digest.None && in.Algorithm != want:
		return "", typeMismatch(want, in.Algorithm)
	default:
		return want, nil
	}
}

func typeMismatch(want, got digest.Algorithm) error {
	return fault.New(fault.InvalidRequest,
		"Checksum Type mismatch occurred, expected checksum Type: "+strings.ToLower(string(want))+
			", actual checksum Type: "+strings.ToLower(string(got)))
}

// PutPart stores a part and replaces an earlier one with the same number. It needs
// s3:PutObject, and kms:GenerateDataKey and kms:Decrypt on the upload's key of KMS. Errors:
// NoSuchBucket, NoSuchUpload, InvalidArgument, InvalidRequest, those of KMS, and those of
// Put that concern the body.
func (s *Store) PutPart(ctx context.Context, g authz.Grant, in PartInput) (Part, error) {
	if err := g.Demand("s3:PutObject", arn.Object(in.Bucket, in.Key)); err != nil {
		return Part{}, err
	}
	if err := in.check(); err != nil {
		return Part{}, err
	}
	choice, err := in.Customer.forWriting(g, "")
	if err != nil {
		return Part{}, err
	}
	k := slot{key: in.Key}
	var u *upload
	err = s.store.View(ctx, func(r kv.Reader) (err error) {
		if k.b, err = bucket.For(r, g, in.Bucket); err != nil {
			return err
		}
		if err := k.mayUse(r, g, choice); err != nil {
			return err
		}
		if u, err = k.findUpload(r, in.UploadID); err != nil || in.copied {
			return err
		}
		v := u.version
		if err := v.setLock(k.b, u.lock, s.clock, requestTime(g)); err != nil {
			return err
		}
		return v.declaresBody("Part", in.MD5, in.Algorithm)
	})
	if err != nil {
		return Part{}, err
	}
	how, g, err := s.sealPart(ctx, g, k, u, choice)
	if err != nil {
		return Part{}, err
	}
	p, at, err := s.storePart(ctx, g, &in, k, u, how.choice)
	if err != nil {
		return Part{}, err
	}
	if err := s.commitPart(ctx, g, &in, p, written{k.b.ID, how, at}); err != nil {
		s.drop(ctx, at, err)
		return Part{}, err
	}
	out := p.public()
	out.Encrypted = u.publicEncryption()
	if u.checksum.Algorithm == digest.None && in.Algorithm == digest.None {
		out.Checksum = Checksum{} // the client asked for none, although one is stored
	}
	return out, nil
}

// storePart seals the body under a new data key and compares it with what the client
// declared. No record refers to the bytes yet; after an error they are dropped.
func (s *Store) storePart(
	ctx context.Context, g authz.Grant, in *PartInput, k slot, u *upload, choice keys.Choice,
) (*part, payload.Location, error) {
	alg, err := in.algorithm(u)
	if err != nil {
		return nil, payload.Location{}, err
	}
	p := &part{number: in.Number, modified: requestTime(g)}
	rand.Read(p.unique[:])
	put := PutInput{
		Bucket: in.Bucket, Key: in.Key, Body: in.Body, Size: in.Size, Algorithm: in.Algorithm, Expect: in.Expect,
		MD5: in.MD5,
	}
	src := put.source(choice, k.partBinding(u.unique, in.Number))
	src.Checksum = alg
	var sent hash.Hash // the client's checksum, if its algorithm is not the stored one's
	if in.Algorithm != digest.None && in.Algorithm != alg {
		sent = in.Algorithm.New()
		src.Body = io.TeeReader(src.Body, sent)
	}
	at, digests, err := s.payloads.Write(ctx, g, src)
	if err != nil {
		return nil, payload.Location{}, err
	}
	p.size, p.md5 = digests.Size, tagOf(choice, digests.MD5)
	p.checksum = Checksum{Algorithm: alg, Type: FullObject, Sum: digests.Sum}
	p.dataKey, p.blob, p.inline, p.sealedSum = at.Key, at.Blob, at.Inline != nil, at.Sum
	if sent != nil {
		digests.Sum = sent.Sum(nil)
	}
	if err := put.verify(digests); err != nil {
		s.drop(ctx, at, err)
		return nil, payload.Location{}, err
	}
	return p, at, nil
}

func (p *part) public() Part {
	return Part{Number: p.number, Size: p.size, Modified: p.modified, ETag: p.etag(), Checksum: p.checksum}
}

// commitPart writes the part's record, unless the upload has ended.
func (s *Store) commitPart(ctx context.Context, g authz.Grant, in *PartInput, p *part, w written) error {
	var gone []garbage
	err := s.writeIn(ctx, g, in.Bucket, func(tx kv.Tx, b *bucket.Bucket) error {
		k := slot{b, in.Key}
		if err := w.check(tx, k, g); err != nil {
			return err
		}
		u, err := lockUpload(tx, k, in.UploadID, kv.Shared)
		if err != nil {
			return err
		}
		key := partKey(u.unique, p.number)
		if err := tx.Lock(key, kv.Exclusive); err != nil {
			return err
		}
		gone = nil
		old, err := tx.Get(key)
		if err != nil {
			return err
		}
		if old != nil {
			o, err := decodePart(old)
			if err != nil {
				return err
			}
			gone = dropPart(tx, o)
		}
		tx.Set(key, p.encode(nil))
		if p.inline {
			tx.Set(inlineKey(p.unique), w.at.Inline)
		}
		if p.blob != "" {
			tx.Set(blobKey(p.blob), key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.payloads.Settle(w.at)
	s.removeAll(ctx, gone)
	return nil
}
