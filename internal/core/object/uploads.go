package object

import (
	"bytes"
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/keys"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// ListUploadsInput asks for a page of a bucket's uploads in progress.
type ListUploadsInput struct {
	Bucket, Prefix, Delimiter string
	KeyMarker                 string
	UploadMarker              string // ignored without KeyMarker
	Max                       *int   // at least 0; nil and more than 1000 mean 1000
}

// Uploads is a page of uploads, in the order of their keys and then of initiation.
type Uploads struct {
	Uploads             []Upload
	CommonPrefixes      []string
	Truncated           bool
	NextKey, NextUpload string
}

// ListUploads returns a page of the uploads in progress. It needs
// s3:ListBucketMultipartUploads. Errors: NoSuchBucket, InvalidArgument.
func (s *Store) ListUploads(ctx context.Context, g authz.Grant, in ListUploadsInput) (Uploads, error) {
	if err := g.Demand("s3:ListBucketMultipartUploads", arn.Bucket(in.Bucket)); err != nil {
		return Uploads{}, err
	}
	page, err := pageOf(in.Max, "max-uploads")
	if err != nil {
		return Uploads{}, err
	}
	l := uploadLister{in: &in, page: page, room: newPageRoom(ctx)}
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := bucket.For(r, g, in.Bucket)
		if err != nil {
			return err
		}
		from, err := l.start(b)
		for from != nil && err == nil && page > 0 {
			from, err = l.scan(r, b, from)
		}
		return err
	})
	return l.out, err
}

// pageOf returns the size of a page.
func pageOf(max *int, name string) (int, error) {
	switch {
	case max == nil:
		return MaxPage, nil
	case *max < 0:
		return 0, fault.New(fault.InvalidArgument, "Argument "+name+" must be an integer between 0 and 2147483647").
			With("ArgumentName", name)
	}
	return min(MaxPage, *max), nil
}

type uploadLister struct {
	in   *ListUploadsInput
	page int
	room pageRoom
	out  Uploads
}

// count counts an entry with a key. The page ends with it if it is the last one that fits.
func (l *uploadLister) count(key string) {
	if !l.room.add(2 * len(key)) { // the entry and the key are in memory beside the answer
		l.page = len(l.out.Uploads) + len(l.out.CommonPrefixes)
	}
}

// partAsKey is the length of a key of which an entry takes as much memory as one of a part.
const partAsKey = 128

// uploadsOf is the prefix of the keys of uploads whose object keys begin with prefix.
func uploadsOf(b *bucket.Bucket, prefix string) []byte {
	return record.Key(uploadPrefix, string(b.ID[:]), "/", prefix)
}

// start returns the key at which the page begins.
func (l *uploadLister) start(b *bucket.Bucket) ([]byte, error) {
	in := l.in
	from := uploadsOf(b, in.Prefix)
	if in.KeyMarker == "" {
		return from, nil
	}
	after := append(uploadsOf(b, in.KeyMarker), 1) // after every upload of the key
	if common, ok := rolledUp(in.KeyMarker, in.Prefix, in.Delimiter); ok {
		after = record.After(uploadsOf(b, common))
	} else if in.UploadMarker != "" {
		seq, unique, err := parseID(in.UploadMarker)
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "Invalid uploadId marker").
				With("ArgumentName", "upload-id-marker").With("ArgumentValue", in.UploadMarker)
		}
		after = append(slot{b, in.KeyMarker}.uploadKey(&upload{version: version{seq: seq, unique: unique}}), 0)
	}
	if bytes.Compare(after, from) > 0 {
		from = after
	}
	return from, nil
}

// scan adds uploads, beginning at the key from. It stops at a common prefix and returns the
// key to continue at.
func (l *uploadLister) scan(r kv.Reader, b *bucket.Bucket, from []byte) ([]byte, error) {
	skip := len(uploadsOf(b, ""))
	end := record.After(uploadsOf(b, l.in.Prefix))
	if bytes.Compare(from, end) >= 0 {
		return nil, nil
	}
	for p, err := range r.Scan(from, end) {
		if err != nil {
			return nil, err
		}
		if len(l.out.Uploads)+len(l.out.CommonPrefixes) == l.page {
			l.out.Truncated = true
			return nil, nil
		}
		if len(p.Key) < skip+1+idSize {
			return nil, malformed()
		}
		key := string(p.Key[skip : len(p.Key)-1-idSize])
		if common, ok := rolledUp(key, l.in.Prefix, l.in.Delimiter); ok {
			l.out.CommonPrefixes = append(l.out.CommonPrefixes, common)
			l.out.NextKey, l.out.NextUpload = common, ""
			l.count(common)
			return record.After(uploadsOf(b, common)), nil
		}
		u, err := decodeUpload(p.Value)
		if err != nil {
			return nil, err
		}
		l.out.Uploads = append(l.out.Uploads, u.public(b, key))
		l.out.NextKey, l.out.NextUpload = key, u.id()
		l.count(key)
	}
	return nil, nil
}

// PartList is a page of an upload's parts.
type PartList struct {
	Upload    Upload
	Parts     []Part
	Truncated bool
	Next      int // number of the last part of the page
}

// ListPartsInput asks for a page of the parts of an upload whose numbers are larger than After.
type ListPartsInput struct {
	Bucket, Key, UploadID string
	After                 int
	Max                   *int        // at least 0; nil and more than 1000 mean 1000
	Customer              CustomerKey // the upload's key; without it, parts are listed without checksums
}

// ListParts returns a page of the parts of an upload. It needs
// s3:ListMultipartUploadParts, and kms:Decrypt on the upload's key of KMS. Errors:
// NoSuchBucket, NoSuchUpload, InvalidArgument and, of keys, those of PutPart.
func (s *Store) ListParts(ctx context.Context, g authz.Grant, in ListPartsInput) (PartList, error) {
	if err := g.Demand("s3:ListMultipartUploadParts", arn.Object(in.Bucket, in.Key)); err != nil {
		return PartList{}, err
	}
	page, err := pageOf(in.Max, "max-parts")
	if err != nil {
		return PartList{}, err
	}
	choice, err := in.Customer.forWriting(g, "")
	if err != nil {
		return PartList{}, err
	}
	if in.After < 0 {
		return PartList{}, fault.New(fault.InvalidArgument,
			"Argument part-number-marker must be an integer between 0 and "+
				"2147483647").With("ArgumentName", "part-number-marker")
	}
	var out PartList
	k := slot{key: in.Key}
	var u *upload
	var parts []*part
	room := newPageRoom(ctx)
	err = s.store.View(ctx, func(r kv.Reader) error {
		if k.b, err = bucket.For(r, g, in.Bucket); err != nil {
			return err
		}
		if u, err = k.findUpload(r, in.UploadID); err != nil || page == 0 || in.After >= maxParts {
			return err
		}
		return eachUploadPart(r, u.unique, in.After+1, func(p *part) bool {
			if out.Truncated = len(parts) == page; !out.Truncated {
				if parts = append(parts, p); !room.add(partAsKey) {
					page = len(parts)
				}
			}
			return !out.Truncated
		})
	})
	if err == nil && u.kms != nil {
		if err = u.checkChoice(choice); err == nil {
			choice, g, err = s.openFor(ctx, g, k, &u.version, choice)
		}
	} else if err == nil && choice.IsCustomer() {
		_, err = s.openUpload(ctx, g, k, u, choice)
	}
	if err == nil {
		err = s.openParts(ctx, g, k, u.unique, choice, parts...)
	}
	if err != nil {
		return PartList{}, err
	}
	out.Upload = u.public(k.b, in.Key)
	out.Upload.Aborts = s.aborts(ctx, k.b, in.Key, u)
	for _, p := range parts {
		out.Parts, out.Next = append(out.Parts, p.public()), p.number
	}
	return out, nil
}

// PurgeUploads drops the uploads of buckets that were deleted: uploads in progress do not
// prevent the deletion of a bucket (S3 API reference, DeleteBucket).
func (s *Store) PurgeUploads(ctx context.Context) (dropped int, err error) {
	type lost struct {
		key []byte
		u   *upload
	}
	var all []lost
	err = s.store.View(ctx, func(r kv.Reader) error {
		prefix := []byte(uploadPrefix)
		for p, err := range r.Scan(prefix, record.After(prefix)) {
			if err != nil {
				return err
			}
			u, err := decodeUpload(bytes.Clone(p.Value)) // it is used after this step of the scan
			if err != nil {
				return err
			}
			exists, err := inItsBucket(r, p.Key, u)
			if err != nil {
				return err
			}
			if !exists {
				all = append(all, lost{bytes.Clone(p.Key), u})
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, l := range all {
		var gone []garbage
		err := change.Background(ctx, s.store, "uploads into buckets that are gone are dropped",
			func(tx kv.Tx) (err error) {
				gone, err = endUpload(tx, l.key, l.u, nil)
				return err
			})
		if err != nil {
			return dropped, err
		}
		s.removeAll(ctx, gone)
		dropped++
	}
	return dropped, nil
}

// inItsBucket reports whether an upload's bucket still exists and was not created again.
func inItsBucket(r kv.Reader, key []byte, u *upload) (bool, error) {
	b, err := bucket.Read(r, u.bucket)
	if fault.Is(err, fault.NoSuchBucket) {
		return false, nil
	}
	return err == nil && bytes.HasPrefix(key, uploadsOf(&b, "")), err
}

// Attributes describes a version without its bytes.
type Attributes struct {
	Version
	Parts     []Part // a page of its parts; empty if it was put in one piece
	Truncated bool
	Next      int // number of the last part of the page
}

// Attributes returns a version and those of its parts that come after a number; max is nil
// or from 0, and at most MaxPage. It needs what Get needs and s3:GetObjectAttributes, or
// s3:GetObjectVersionAttributes with VersionID; kms:Decrypt on the version's key of KMS
// only where Checksums are asked for. Errors: those of Head, InvalidArgument.
func (s *Store) Attributes(
	ctx context.Context, g authz.Grant, in GetInput, after int, max *int,
) (out Attributes, err error) {
	if err := g.Demand(readAction(in.VersionID), arn.Object(in.Bucket, in.Key)); err != nil {
		return Attributes{}, err
	}
	attributes := policy.Action("s3:GetObjectAttributes")
	if in.VersionID != nil {
		attributes = "s3:GetObjectVersionAttributes"
	}
	if err := g.Demand(attributes, arn.Object(in.Bucket, in.Key)); err != nil {
		return Attributes{}, err
	}
	page, err := pageOf(max, "max-parts")
	if err != nil {
		return Attributes{}, err
	}
	if after < 0 {
		return Attributes{}, fault.New(fault.InvalidArgument,
			"Argument part-number-marker must be an integer between 0 and "+
				"2147483647").With("ArgumentName", "part-number-marker")
	}
	if err := in.check(); err != nil {
		return Attributes{}, err
	}
	choice, err := in.Customer.forReading(g)
	if err != nil {
		return Attributes{}, err
	}
	return s.attributes(ctx, g, &in, choice, after, page)
}

func (s *Store) attributes(
	ctx context.Context, g authz.Grant, in *GetInput, choice keys.Choice, after, page int,
) (out Attributes, err error) {
	k := slot{key: in.Key}
	var v *version
	var parts []*part
	room := newPageRoom(ctx)
	err = change.View(ctx, s.store, g, func(r kv.Reader) error {
		if k.b, err = bucket.For(r, g, in.Bucket); err != nil {
			return err
		}
		if v, err = k.find(r, in.VersionID, "GET"); err != nil || v.etag.Parts == 0 || page == 0 {
			return err
		}
		before := func(l partList) bool { return l.last <= after }
		return eachPart(r, v, before, func(p *part) bool {
			if p.number <= after {
				return true
			}
			if out.Truncated = len(parts) == page; !out.Truncated {
				if parts = append(parts, p); !room.add(partAsKey) {
					page = len(parts)
				}
			}
			return !out.Truncated
		})
	})
	switch {
	case err != nil:
	case v.kms != nil && !in.Checksums:
		err = v.checkChoice(choice) // no key is opened
	default:
		if choice, g, err = s.openFor(ctx, g, k, v, choice); err == nil {
			_, err = s.openVersion(ctx, g, k, v, choice)
		}
		if err == nil {
			err = s.openParts(ctx, g, k, v.payloadUnique(), choice, parts...)
		}
	}
	if err != nil {
		return Attributes{}, err
	}
	out.Version = v.public(k.b, in.Key)
	for _, p := range parts {
		out.Parts, out.Next = append(out.Parts, p.public()), p.number
	}
	return out, nil
}
