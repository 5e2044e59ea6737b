package object

import (
	"context"
	"crypto/md5"
	"errors"
	"strconv"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/core/instant"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// CompletePart is a part as the client lists it.
type CompletePart struct {
	Number    int
	ETag      string // with or without quotes
	Algorithm digest.Algorithm
	Sum       []byte // decoded; nil with None
}

// CompleteInput asks for an object made from an upload's parts.
type CompleteInput struct {
	Bucket, Key, UploadID string
	Parts                 []CompletePart
	ChecksumType          ChecksumType                // as the client expects it; empty for none
	Sums                  map[digest.Algorithm]string // of the object, as the headers carry them
	Size                  *int64                      // as the client expects it
	IfMatch, IfNoneMatch  *string
	Customer              CustomerKey // the upload's key; needed only if checksums are compared
	minPart               int64
	clock                 *instant.Clock
	over                  alarm.Counts // what the completion does to the object that was there
}

// CompleteUpload makes an object from parts; it moves no bytes. It needs s3:PutObject,
// s3:GetObject too where IfMatch is set, and kms:Decrypt on the upload's key of KMS. It
// drops parts that are not listed. A client that lost the answer may send the same list
// again: it gets the same answer as long as the object is the newest version of its key.
// Errors: NoSuchBucket, NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall,
// EntityTooLarge, InvalidRequest, BadDigest, PreconditionFailed,
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
	in.minPart, in.clock = s.minPart, s.clock
	choice, err := in.Customer.forWriting(g, "")
	if err != nil {
		return Version{}, err
	}
	for try := 1; ; try++ {
		out, err := s.completeUpload(ctx, g, &in, choice)
		if !errors.Is(err, errReplaced) {
			return out, err
		}
		if try == maxRereads {
			return Version{}, fault.Of(fault.OperationAborted).Because(err)
		}
	}
}

// errReplaced means that the upload or a part of it was replaced after its key was opened.
var errReplaced = errors.New("object: an upload or a part was replaced while its keys were opened")

func (s *Store) completeUpload(
	ctx context.Context, g authz.Grant, in *CompleteInput, customer keys.Choice,
) (Version, error) {
	o, g, err := s.openCompletion(ctx, g, in, customer)
	if err != nil {
		return Version{}, err
	}
	var out Version
	var gone []garbage
	var b *bucket.Bucket
	var v *version
	err = s.writeKey(ctx, g, in.Bucket, in.Key, func(tx kv.Tx, k slot) (err error) {
		b, in.over = k.b, alarm.Counts{}
		v, gone, err = in.complete(tx, k, g, &o)
		noteVersion(g, k.b, v)
		if v != nil {
			out = v.public(k.b, in.Key)
		}
		return err
	})
	if err != nil {
		return Version{}, err
	}
	s.removeAll(ctx, gone)
	s.tell(ctx, g, b, alarm.Of(in.Key, in.over))
	if v != nil {
		out.Expires = s.expires(ctx, b, in.Key, v)
	}
	return out, nil
}

// opened holds what openCompletion opened before the transaction, for an upload whose
// digests are hidden: the upload's data key, which becomes the version's, and the checksum
// of each listed part, by the part's unique bytes.
type opened struct {
	choice keys.Choice
	of     unique // the upload, or the version that it became; zero if nothing was opened
	key    payload.DataKey
	sums   map[unique][]byte
}

// openCompletion opens the keys that the completion of an upload needs, or those that the
// answer to a repeated completion needs. It returns the grant that also covers the upload's
// key. If neither the upload nor its version exists, the transaction refuses.
func (s *Store) openCompletion(
	ctx context.Context, g authz.Grant, in *CompleteInput, customer keys.Choice,
) (o opened, _ authz.Grant, err error) {
	o.choice = customer
	k := slot{key: in.Key}
	var u *upload
	var parts []*part
	err = s.store.View(ctx, func(r kv.Reader) (err error) {
		if k.b, err = bucket.For(r, g, in.Bucket); err != nil {
			return err
		}
		u, parts, err = in.read(r, k, customer.HidesDigests())
		return err
	})
	if err != nil || u == nil || u.kms == nil && !customer.HidesDigests() {
		return o, g, err
	}
	if u.kms != nil {
		if err := u.checkChoice(customer); err != nil {
			return o, g, err
		}
		if o.choice, g, err = s.openFor(ctx, g, k, &u.version, customer); err != nil {
			return o, g, err
		}
	}
	if o.key, err = s.openUpload(ctx, g, k, u, o.choice); err != nil {
		return o, g, err
	}
	if err := s.openParts(ctx, g, k, u.unique, o.choice, parts...); err != nil {
		return o, g, err
	}
	o.of, o.sums = u.unique, make(map[unique][]byte, len(parts))
	for _, p := range parts {
		o.sums[p.unique] = p.checksum.Sum
	}
	return o, g, nil
}

// read returns the upload and its listed parts. If the upload was completed before, it
// returns the version that the upload became. It returns nil if neither exists. It reads
// the parts only if digests are hidden.
func (in *CompleteInput) read(r kv.Reader, k slot, hidden bool) (*upload, []*part, error) {
	u, err := k.findUpload(r, in.UploadID)
	if fault.Is(err, fault.NoSuchUpload) {
		head, err := k.head(r)
		if err != nil {
			return nil, nil, err
		}
		if v, done := in.doneBefore(r, k, head); done {
			return &upload{version: *v}, nil, nil
		}
		return nil, nil, nil
	}
	if err != nil || !hidden && u.kms == nil {
		return u, nil, err
	}
	listed := make(map[int]bool, len(in.Parts))
	for _, p := range in.Parts {
		listed[p.Number] = true
	}
	var parts []*part
	err = eachUploadPart(r, u.unique, 0, func(p *part) bool {
		if listed[p.number] {
			parts = append(parts, p)
		}
		return true
	})
	return u, parts, err
}

// sumOf sets the checksum of a version that a completed upload became.
func (o *opened) sumOf(v *version) (err error) {
	switch {
	case o.choice.IsKMS() != (v.kms != nil): // its data key was rewrapped in the meantime
		return errReplaced
	case !o.choice.HidesDigests():
		return nil
	case o.of != v.unique:
		return errReplaced
	}
	v.checksum.Sum, err = o.key.OpenSum(v.location())
	return err
}

// sum sets the checksum of a part of an upload.
func (o *opened) sum(p *part) error {
	if !o.choice.HidesDigests() {
		return nil
	}
	sum, ok := o.sums[p.unique]
	if !ok {
		return errReplaced
	}
	p.checksum.Sum = sum
	return nil
}

// checkChoice checks the choice of keys for a completion. The client may leave out its own
// key (SSE-C) if no checksum must be checked or computed, that is, if it chose no algorithm
// and sends no checksum (S3 API reference, CompleteMultipartUpload). The object then has no
// checksum.
func (in *CompleteInput) checkChoice(u *upload, choice keys.Choice) error {
	if u.encryption != customerKey || choice.IsCustomer() {
		return u.checkChoice(choice)
	}
	needed := u.checksum.Algorithm != digest.None || len(in.Sums) > 0
	for _, p := range in.Parts {
		needed = needed || p.Algorithm != digest.None
	}
	if needed {
		return customerKeyMissing()
	}
	return nil
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

// complete completes the upload. It runs inside the transaction.
func (in *CompleteInput) complete(tx kv.Tx, k slot, g authz.Grant, o *opened) (*version, []garbage, error) {
	head, err := k.head(tx)
	if err != nil {
		return nil, nil, err
	}
	u, err := lockUpload(tx, k, in.UploadID, kv.Exclusive)
	if fault.Is(err, fault.NoSuchUpload) {
		if v, done := in.doneBefore(tx, k, head); done {
			if err := o.sumOf(v); err != nil {
				return nil, nil, err
			}
			return v, nil, change.ErrUnchanged
		}
	}
	if err == nil {
		err = in.checkChoice(u, o.choice)
	}
	if err != nil {
		return nil, nil, err
	}
	parts, err := in.listedParts(tx, u, o)
	if err != nil {
		return nil, nil, err
	}
	if err := in.mayComplete(head, u); err != nil {
		return nil, nil, err
	}
	v := u.version
	if err := v.recheckACL(tx, k, g); err != nil {
		return nil, nil, err
	}
	v.modified, v.writer = requestTime(g), writerOf(g)
	if err := v.setLock(k.b, u.lock, in.clock, v.modified); err != nil {
		return nil, nil, err
	}
	if err := in.assemble(&v, u, parts); err != nil {
		return nil, nil, err
	}
	if o.choice.HidesDigests() {
		v.sealedSum = o.key.SealSum(v.location(), v.checksum.Sum).Sum
	}
	keep := make(map[int]*part, len(parts))
	for _, p := range parts {
		keep[p.number] = p
	}
	dropped, err := endUpload(tx, k.uploadKey(u), u, keep)
	if err != nil {
		return nil, nil, err
	}
	gone, over, err := k.replace(tx, head, &v, nil, removalBy(in.clock, g, k.b))
	if err != nil {
		return nil, nil, err
	}
	in.over = over
	writeParts(tx, &v, k.version(v.seq), parts)
	return &v, append(gone, dropped...), nil
}

// doneBefore reports whether the newest version was made from this upload and from the same
// list of parts, and returns that version.
func (in *CompleteInput) doneBefore(r kv.Reader, k slot, head *version) (*version, bool) {
	_, id, err := parseID(in.UploadID)
	if err != nil || head == nil || head.unique != id {
		return nil, false
	}
	v, err := k.at(r, head.seq)
	if err != nil || v == nil || int(v.etag.Parts) != len(in.Parts) {
		return nil, false
	}
	i, same := 0, true
	err = eachPart(r, v, nil, func(p *part) bool {
		same = same && in.Parts[i].Number == p.number && trimETag(in.Parts[i].ETag) == p.etag().String()
		i++
		return same
	})
	return v, err == nil && same
}

// trimETag returns a listed ETag as parts have it. S3 passes over all quotes, and indented documents have white space
// around them.
func trimETag(s string) string {
	return strings.ToLower(strings.TrimSpace(strings.ReplaceAll(strings.TrimSpace(s), `"`, "")))
}

// listedParts returns the stored part of each listed one, with its checksum.
func (in *CompleteInput) listedParts(tx kv.Tx, u *upload, o *opened) ([]*part, error) {
	stored := make(map[int]*part, len(in.Parts))
	err := eachUploadPart(tx, u.unique, 0, func(p *part) bool {
		stored[p.number] = p
		return true
	})
	if err != nil {
		return nil, err
	}
	parts := make([]*part, len(in.Parts))
	for i, listed := range in.Parts {
		p := stored[listed.Number]
		if p != nil {
			if err := o.sum(p); err != nil {
				return nil, err
			}
		}
		if chosen := u.checksum.Algorithm; chosen != digest.None && listed.Algorithm != digest.None &&
			listed.Algorithm != chosen {
			return nil, fault.New(fault.BadDigest,
				"The "+strings.ToLower(string(listed.Algorithm))+" you specified for part "+strconv.Itoa(listed.Number)+
					" did not match what we received.")
		}
		if p == nil || trimETag(listed.ETag) != p.etag().String() || !listed.agrees(p) {
			return nil, fault.Of(fault.InvalidPart).
				With("ETag", trimETag(
					listed.ETag,
				)).With("PartNumber", strconv.Itoa(listed.Number)).With("UploadId", in.UploadID)
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

// agrees reports whether the checksum that the client lists for a part is the stored one.
func (c *CompletePart) agrees(p *part) bool {
	return c.Algorithm == digest.None || c.Algorithm == p.checksum.Algorithm && string(c.Sum) == string(p.checksum.Sum)
}

// checkComposite checks what a composite checksum needs: the checksum of each part, and
// part numbers that are consecutive from 1.
func (in *CompleteInput) checkComposite(u *upload, i int) error {
	alg := u.checksum.Algorithm
	if u.checksum.Type != Composite {
		return nil
	}
	listed := in.Parts[i]
	name := strings.ToLower(string(alg))
	if listed.Algorithm == digest.None {
		return fault.New(fault.InvalidRequest,
			"The upload was created using a "+name+
				" checksum. The complete request must include the checksum for each part. It was missing for "+
				"part "+strconv.Itoa(listed.Number)+" in the request.")
	}
	if listed.Number != i+1 {
		return fault.New(fault.InvalidRequest,
			"The part numbers of an upload with a composite checksum must be consecutive and begin with 1.")
	}
	return nil
}

// mayComplete checks the conditions. If a condition holds, but the key has changed since
// the upload began, the answer is a conflict.
func (in *CompleteInput) mayComplete(head *version, u *upload) error {
	if in.IfMatch == nil && in.IfNoneMatch == nil {
		return nil
	}
	put := PutInput{Key: in.Key, IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch}
	if err := put.mayWrite(head); err != nil {
		// The key was replaced during the upload, perhaps by the very object that the
		// condition names.
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

// assemble sets the fields of the version that follow from its parts.
func (in *CompleteInput) assemble(v *version, u *upload, parts []*part) error {
	h := md5.New()
	for _, p := range parts {
		h.Write(p.md5[:])
		if v.size += p.size; v.size > MaxObject {
			return fault.New(fault.EntityTooLarge, "Your proposed upload exceeds the maximum allowed object size").
				With("ProposedSize", strconv.FormatInt(v.size,
					10)).With("MaxSizeAllowed", strconv.FormatInt(MaxObject, 10))
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
		return fault.New(fault.InvalidRequest,
			"The provided 'x-amz-mp-object-size' header value "+strconv.FormatInt(*in.Size, 10)+
				" does not match what was computed: "+strconv.FormatInt(v.size, 10))
	}
	if in.ChecksumType != "" && in.ChecksumType != u.checksum.Type {
		return fault.New(fault.InvalidRequest,
			"The upload was created using the "+string(u.checksum.Type)+
				" checksum mode. The complete request must use the same checksum mode.")
	}
	for alg, sum := range in.Sums {
		if alg != v.checksum.Algorithm || !v.checksum.is(sum) {
			return fault.New(fault.BadDigest,
				"The "+strings.ToLower(string(alg))+" you specified did not match the calculated checksum.")
		}
	}
	return nil
}
