package object

import (
	"context"
	"crypto/md5"
	"strconv"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// CompletePart is a part as the client lists it.
type CompletePart struct {
	Number    int
	ETag      string // with or without quotes
	Algorithm digest.Algorithm
	Sum       []byte // decoded; nil with None
}

// CompleteInput makes an object of an upload's parts.
type CompleteInput struct {
	Bucket, Key, UploadID string
	Parts                 []CompletePart
	ChecksumType          ChecksumType                // as the client expects it; empty for none
	Sums                  map[digest.Algorithm]string // of the object, as headers carry them
	Size                  *int64                      // as the client expects it
	IfMatch, IfNoneMatch  *string
	Customer              CustomerKey // the upload's; needed only where checksums are judged
	minPart               int64
	customer              *seal.Key
}

// CompleteUpload makes an object of parts; it moves no bytes. It needs
// s3:PutObject, and s3:GetObject too where IfMatch is set. Parts that are not
// listed are dropped. Completing once more with the same list, as a client does
// that lost the answer, answers the same as long as the object is the newest of
// its key. Errors: NoSuchBucket, NoSuchUpload, InvalidPart, InvalidPartOrder,
// EntityTooSmall, EntityTooLarge, InvalidRequest, BadDigest, PreconditionFailed,
// ConditionalRequestConflict, NoSuchKey, NotImplemented.
func (s *Store) CompleteUpload(ctx context.Context, g authz.Grant, in CompleteInput) (Version, error) {
	if err := g.Demand("s3:PutObject", arn.Object(in.Bucket, in.Key)); err != nil {
		return Version{}, err
	}
	if in.IfMatch != nil {
		if err := g.Demand("s3:GetObject", arn.Object(in.Bucket, in.Key)); err != nil {
			return Version{}, err
		}
	}
	if err := in.check(); err != nil {
		return Version{}, err
	}
	in.minPart = s.minPart
	var err error
	if in.customer, err = in.Customer.forWriting(g); err != nil {
		return Version{}, err
	}
	var b bucket.Bucket
	var v *version
	var gone []remains
	err = change.Commit(ctx, s.store, g, func(tx kv.Tx) (err error) {
		if b, err = openBucket(tx, in.Bucket); err != nil {
			return err
		}
		v, gone, err = s.complete(ctx, tx, slot{&b, in.Key}, g, &in)
		noteVersion(g, &b, v)
		return err
	})
	if err != nil {
		return Version{}, err
	}
	s.removeAll(ctx, gone)
	return v.public(&b, in.Key), nil
}

func (in *CompleteInput) check() error {
	if err := checkKey(in.Key); err != nil {
		return err
	}
	if len(in.Parts) == 0 || len(in.Parts) > maxParts {
		return fault.Of(fault.MalformedXML)
	}
	for i, p := range in.Parts {
		if p.Number < 1 || p.Number > maxParts {
			return fault.New(fault.InvalidArgument, "PartNumber must be >= 1").
				With("ArgumentName", "PartNumber").With("ArgumentValue", strconv.Itoa(p.Number))
		}
		if i > 0 && p.Number <= in.Parts[i-1].Number {
			return fault.Of(fault.InvalidPartOrder).
				With("UploadId", in.UploadID)
		}
	}
	return checkWriteHeaders(in.IfMatch, in.IfNoneMatch)
}

// complete completes the upload inside a transaction.
func (s *Store) complete(ctx context.Context, tx kv.Tx, k slot, g authz.Grant, in *CompleteInput) (*version, []remains, error) {
	if err := tx.Lock(k.guard(), kv.Exclusive); err != nil {
		return nil, nil, err
	}
	head, err := k.head(tx)
	if err != nil {
		return nil, nil, err
	}
	u, err := lockUpload(tx, k, in.UploadID, kv.Exclusive)
	if fault.Is(err, fault.NoSuchUpload) {
		if v, done := in.doneBefore(tx, k, head); done {
			if err := s.unlockDone(ctx, g, k, v, in); err != nil {
				return nil, nil, err
			}
			return v, nil, change.ErrUnchanged
		}
	}
	if err == nil {
		err = s.unlockCompletion(ctx, g, k.b, u, in)
	}
	if err != nil {
		return nil, nil, err
	}
	parts, err := in.find(tx, u, func(p *part) error { return s.unlockPart(ctx, g, k.b, u.unique, p, k.key, in.customer) })
	if err != nil {
		return nil, nil, err
	}
	if err := in.mayComplete(head, u); err != nil {
		return nil, nil, err
	}
	v := u.version
	if err := v.settle(tx, k, g); err != nil {
		return nil, nil, err
	}
	v.modified = instant(g)
	if err := in.assemble(&v, u, parts); err != nil {
		return nil, nil, err
	}
	if err := s.sealSum(ctx, g, k, &v, in.customer); err != nil {
		return nil, nil, err
	}
	keep := make(map[int]*part, len(parts))
	for _, p := range parts {
		keep[p.number] = p
	}
	dropped, err := endUpload(tx, k.uploadKey(u), u, keep)
	if err != nil {
		return nil, nil, err
	}
	gone, err := k.push(tx, head, &v, nil)
	if err != nil {
		return nil, nil, err
	}
	writeParts(tx, &v, k.version(v.seq), parts)
	return &v, append(gone, dropped...), nil
}

// doneBefore reports whether the newest version was made of this upload and of
// this list.
func (in *CompleteInput) doneBefore(tx kv.Tx, k slot, head *version) (*version, bool) {
	_, id, err := parseID(in.UploadID)
	if err != nil || head == nil || head.unique != id {
		return nil, false
	}
	v, err := k.at(tx, head.seq)
	if err != nil || v == nil || int(v.etag.Parts) != len(in.Parts) {
		return nil, false
	}
	i, same := 0, true
	err = eachPart(tx, v, nil, func(p *part) bool {
		same = same && in.Parts[i].Number == p.number && trimETag(in.Parts[i].ETag) == p.etag().String()
		i++
		return same
	})
	return v, err == nil && same
}

func trimETag(s string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(s, `"`), `"`))
}

// find returns the listed parts, each as it was uploaded, and unlocked.
func (in *CompleteInput) find(tx kv.Tx, u *upload, unlock func(*part) error) ([]*part, error) {
	there := make(map[int]*part, len(in.Parts))
	prefix := record.Key("p/", string(u.unique[:]), "/")
	for pair, err := range tx.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return nil, err
		}
		p, err := decodePart(pair.Value)
		if err != nil {
			return nil, err
		}
		there[p.number] = p
	}
	parts := make([]*part, len(in.Parts))
	for i, listed := range in.Parts {
		p := there[listed.Number]
		if p != nil {
			if err := unlock(p); err != nil {
				return nil, err
			}
		}
		if chosen := u.checksum.Algorithm; chosen != digest.None && listed.Algorithm != digest.None && listed.Algorithm != chosen {
			return nil, fault.New(fault.BadDigest, "The "+strings.ToLower(string(listed.Algorithm))+" you specified for part "+strconv.Itoa(listed.Number)+" did not match what we received.")
		}
		if p == nil || trimETag(listed.ETag) != p.etag().String() || !listed.agrees(p) {
			return nil, fault.Of(fault.InvalidPart).
				With("ETag", trimETag(listed.ETag)).With("PartNumber", strconv.Itoa(listed.Number)).With("UploadId", in.UploadID)
		}
		if err := in.checkComposite(u, i); err != nil {
			return nil, err
		}
		if p.size < in.minPart && i < len(in.Parts)-1 {
			return nil, fault.Of(fault.EntityTooSmall).
				With("ETag", p.etag().String()).With("MinSizeAllowed", strconv.Itoa(MinPart)).
				With("PartNumber", strconv.Itoa(p.number)).With("ProposedSize", strconv.FormatInt(p.size, 10))
		}
		parts[i] = p
	}
	return parts, nil
}

// agrees compares the checksums a client lists for a part with the part's own.
func (c *CompletePart) agrees(p *part) bool {
	return c.Algorithm == digest.None || c.Algorithm == p.checksum.Algorithm && string(c.Sum) == string(p.checksum.Sum)
}

// checkComposite: a checksum of checksums needs each of them, and numbers that
// follow one another from 1.
func (in *CompleteInput) checkComposite(u *upload, i int) error {
	alg := u.checksum.Algorithm
	if u.checksum.Type != Composite {
		return nil
	}
	listed := in.Parts[i]
	name := strings.ToLower(string(alg))
	if listed.Algorithm == digest.None {
		return fault.New(fault.InvalidRequest, "The upload was created using a "+name+" checksum. The complete request must include the checksum for each part. It was missing for part "+strconv.Itoa(listed.Number)+" in the request.")
	}
	if listed.Number != i+1 {
		return fault.New(fault.InvalidRequest, "The part numbers of an upload with a composite checksum must be consecutive and begin with 1.")
	}
	return nil
}

// mayComplete judges the conditions. What changed the key since the upload
// began makes a condition that would hold a conflict.
func (in *CompleteInput) mayComplete(head *version, u *upload) error {
	if in.IfMatch == nil && in.IfNoneMatch == nil {
		return nil
	}
	put := PutInput{Key: in.Key, IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch}
	if err := put.mayWrite(head); err != nil {
		// Replaced during the upload, even by what the condition asks for.
		if in.IfMatch == nil || !fault.Is(err, fault.PreconditionFailed) || head.unique == u.before {
			return err
		}
		return conflict(in.Key, "If-Match")
	}
	now := unique{}
	if head != nil {
		now = head.unique
	}
	if now == u.before {
		return nil
	}
	condition := "If-Match"
	if in.IfNoneMatch != nil {
		condition = "If-None-Match"
	}
	return conflict(in.Key, condition)
}

func conflict(key, condition string) error {
	return fault.Of(fault.ConditionalRequestConflict).
		With("Condition", condition).With("Key", key)
}

// assemble completes the version with what follows from its parts.
func (in *CompleteInput) assemble(v *version, u *upload, parts []*part) error {
	h := md5.New()
	for _, p := range parts {
		h.Write(p.md5[:])
		if v.size += p.size; v.size > MaxObject {
			return fault.New(fault.EntityTooLarge, "Your proposed upload exceeds the maximum allowed object size").
				With("ProposedSize", strconv.FormatInt(v.size, 10)).With("MaxSizeAllowed", strconv.FormatInt(MaxObject, 10))
		}
	}
	h.Sum(v.etag.Sum[:0])
	v.etag.Parts = uint32(len(parts))
	alg := u.checksum.Algorithm
	if alg == digest.None {
		alg = digest.CRC64NVME
	}
	v.checksum = sumOf(alg, u.checksum.Type, parts)
	if in.Size != nil && *in.Size != v.size {
		return fault.New(fault.InvalidRequest, "The provided 'x-amz-mp-object-size' header value "+strconv.FormatInt(*in.Size, 10)+" does not match what was computed: "+strconv.FormatInt(v.size, 10))
	}
	if in.ChecksumType != "" && in.ChecksumType != u.checksum.Type {
		return fault.New(fault.InvalidRequest, "The upload was created using the "+string(u.checksum.Type)+" checksum mode. The complete request must use the same checksum mode.")
	}
	for alg, sum := range in.Sums {
		if alg != v.checksum.Algorithm || !v.checksum.is(sum) {
			return fault.New(fault.BadDigest, "The "+strings.ToLower(string(alg))+" you specified did not match the calculated checksum.")
		}
	}
	return nil
}
