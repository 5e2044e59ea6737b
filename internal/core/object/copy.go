package object

import (
	"context"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/acl"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
)

// CopySource names the object to copy.
type CopySource struct {
	Bucket, Key                        string
	VersionID                          *string
	IfMatch, IfNoneMatch               *string
	IfModifiedSince, IfUnmodifiedSince time.Time
	Customer                           CustomerKey
}

// CopyInput copies an object. If Tags is nil, the copy has the source's tags.
type CopyInput struct {
	Source               CopySource
	Bucket, Key          string
	Metadata             Metadata // as sent; it must be valid even if Replace is false
	Replace              bool     // use Metadata instead of the source's metadata
	Tags                 *tag.Set
	ACL                  acl.Request      // the source's ACL is never copied
	StorageClass         string           // empty is STANDARD
	Algorithm            digest.Algorithm // None: the algorithm of the source
	WebsiteRedirect      string
	Encryption           Encryption  // of the copy
	Lock                 LockHeaders // of the copy; the source's is never copied
	IfMatch, IfNoneMatch *string
}

// source opens the source of a copy, or a range of it. The grant that it returns also
// covers the source's key: the copy commits with that grant.
func (s *Store) source(
	ctx context.Context, g authz.Grant, src *CopySource, rng string,
) (*Reading, authz.Grant, error) {
	in := GetInput{
		Bucket: src.Bucket, Key: src.Key, VersionID: src.VersionID, IfMatch: src.IfMatch, IfNoneMatch: src.IfNoneMatch,
		IfModifiedSince: src.IfModifiedSince, IfUnmodifiedSince: src.IfUnmodifiedSince, Range: rng,
		Customer: src.Customer,
	}
	if err := g.Demand(readAction(in.VersionID), arn.Object(in.Bucket, in.Key)); err != nil {
		return nil, g, err
	}
	r, wider, err := s.get(ctx, g, &in)
	return r, wider, sourceFault(err, src)
}

// sourceFault turns the error of a read into the error of a copy (S3 API reference,
// CopyObject): every condition that fails is a 412.
func sourceFault(err error, src *CopySource) error {
	switch {
	case fault.Is(err, fault.NotModified):
		condition := "If-None-Match"
		if src.IfNoneMatch == nil {
			condition = "If-Modified-Since"
		}
		return preconditionFailed("x-amz-copy-source-" + condition)
	case fault.Is(err, fault.PreconditionFailed):
		condition := "If-Match"
		if src.IfMatch == nil {
			condition = "If-Unmodified-Since"
		}
		return preconditionFailed("x-amz-copy-source-" + condition)
	case fault.Is(err, fault.MethodNotAllowed):
		return fault.New(fault.InvalidRequest,
			"The source of a copy request may not specifically refer to a delete marker by version id.").Telling()
	}
	return err
}

// Copy makes an object from another one and seals its bytes under a new key. It needs
// s3:GetObject of the source, or s3:GetObjectVersion with its VersionID, and s3:PutObject
// of the target; to copy tags, what GetTags needs, too, and what Put needs with tags. It
// returns the version that was made and the version that was copied. Errors: those of Get
// and of Put, InvalidRequest.
func (s *Store) Copy(ctx context.Context, g authz.Grant, in CopyInput) (made Version, source Version, err error) {
	if err := g.Demand("s3:PutObject", arn.Object(in.Bucket, in.Key)); err != nil {
		return Version{}, Version{}, err
	}
	if err := g.Demand(readAction(in.Source.VersionID), arn.Object(in.Source.Bucket, in.Source.Key)); err != nil {
		return Version{}, Version{}, err
	}
	if _, err := in.Encryption.check(g); err != nil { // before the source is opened
		return Version{}, Version{}, err
	}
	if err := in.Metadata.check(); err != nil {
		return Version{}, Version{}, err
	}
	if in.toItself() {
		return Version{}, Version{}, fault.New(fault.InvalidRequest,
			"This copy request is illegal because it is trying to copy an object to itself without changing the "+
				"object's metadata, storage class, website redirect location or encryption attributes.")
	}
	r, g, err := s.source(ctx, g, &in.Source, "")
	if err != nil {
		return Version{}, Version{}, err
	}
	defer r.Body.Close()
	if r.Size > MaxPut {
		return Version{}, Version{}, fault.New(fault.InvalidRequest,
			"The specified copy source is larger than the maximum allowable size for a copy source: "+
				strconv.Itoa(MaxPut))
	}
	put := PutInput{
		Bucket: in.Bucket, Key: in.Key, Body: r.Body, Size: r.Size, Metadata: r.Metadata, StorageClass: in.StorageClass,
		Algorithm: in.Algorithm, Encryption: in.Encryption, ACL: in.ACL, Lock: in.Lock, copied: true,
		IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch,
	}
	if in.Replace {
		put.Metadata = in.Metadata
	}
	put.Metadata.WebsiteRedirect = in.WebsiteRedirect // it belongs to the key, so S3 never copies it
	if put.Tags, err = in.tags(g, r.Tags); err != nil {
		return Version{}, Version{}, err
	}
	if in.Tags == nil && len(put.Tags) > 0 {
		if g, err = in.authorizeTags(ctx, g, put.Tags); err != nil {
			return Version{}, Version{}, err
		}
	}
	if put.Algorithm == digest.None {
		put.Algorithm = r.Checksum.Algorithm
	}
	made, err = s.Put(ctx, g, put)
	return made, r.Version, err
}

// tags returns the tags of the copy. A caller who may not read the source's tags must not
// get them through a copy.
func (in *CopyInput) tags(g authz.Grant, source tag.Set) (tag.Set, error) {
	if in.Tags != nil {
		return *in.Tags, nil
	}
	if len(source) == 0 {
		return nil, nil
	}
	from := VersionInput{Bucket: in.Source.Bucket, Key: in.Source.Key, VersionID: in.Source.VersionID}
	return source, g.Demand(from.action("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
		arn.Object(from.Bucket, from.Key))
}

// authorizeTags authorizes the copy again, now with the tags that it will have: they were
// unknown before the source was read.
func (in *CopyInput) authorizeTags(ctx context.Context, g authz.Grant, tags tag.Set) (authz.Grant, error) {
	keys := map[string][]string{}
	for _, t := range tags {
		keys[policy.KeyName("s3:RequestObjectTag/"+t.Key)] = []string{t.Value}
		keys["s3:requestobjecttagkeys"] = append(keys["s3:requestobjecttagkeys"], t.Key)
	}
	at := arn.Object(in.Bucket, in.Key)
	for _, action := range []policy.Action{"s3:PutObject", "s3:PutObjectTagging"} {
		var err error
		if g, err = g.With(ctx, action, at, keys); err != nil {
			return authz.Grant{}, err
		}
	}
	return g, nil
}

// toItself reports whether the copy would change nothing. A new encryption is a change, and
// a request with a customer's key asks for one.
func (in *CopyInput) toItself() bool {
	src := &in.Source
	return src.Bucket == in.Bucket && src.Key == in.Key && src.VersionID == nil && !in.Replace &&
		in.StorageClass == "" &&
		in.WebsiteRedirect == "" && !in.Encryption.given() && !src.Customer.Given()
}

// CopyPartInput makes a part from an object, or from a range of its bytes.
type CopyPartInput struct {
	Source                CopySource
	Range                 string // "bytes=first-last", empty for all
	Bucket, Key, UploadID string
	Number                int
	Customer              CustomerKey // the upload's key
}

// CopyPart stores a part with the bytes of another object. It needs s3:GetObject of the
// source, or s3:GetObjectVersion with its VersionID, and s3:PutObject of the target.
// Errors: those of Get and PutPart, and InvalidArgument for a malformed range.
func (s *Store) CopyPart(ctx context.Context, g authz.Grant, in CopyPartInput) (Part, Version, error) {
	if err := g.Demand("s3:PutObject", arn.Object(in.Bucket, in.Key)); err != nil {
		return Part{}, Version{}, err
	}
	if err := g.Demand(readAction(in.Source.VersionID), arn.Object(in.Source.Bucket, in.Source.Key)); err != nil {
		return Part{}, Version{}, err
	}
	part := PartInput{
		Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadID, Number: in.Number, Customer: in.Customer, copied: true,
	}
	if err := part.check(); err != nil {
		return Part{}, Version{}, err
	}
	last, err := checkCopyRange(in.Range)
	if err != nil {
		return Part{}, Version{}, err
	}
	r, g, err := s.source(ctx, g, &in.Source, in.Range)
	if f := fault.From(err); f != nil && f.Code == fault.InvalidRange {
		err = badCopyRange(in.Range,
			"Range specified is not valid for source object of size: "+f.Members["ActualObjectSize"])
	}
	if err != nil {
		return Part{}, Version{}, err
	}
	defer r.Body.Close()
	if last >= r.Size {
		return Part{}, Version{}, badCopyRange(in.Range,
			"Range specified is not valid for source object of size: "+strconv.FormatInt(r.Size, 10))
	}
	if r.Length > MaxPartSize {
		return Part{}, Version{}, fault.New(fault.InvalidRequest,
			"The specified copy source is larger than the maximum allowable size for a copy source: "+
				strconv.Itoa(MaxPartSize))
	}
	part.Body, part.Size = r.Body, r.Length
	p, err := s.PutPart(ctx, g, part)
	return p, r.Version, err
}

// checkCopyRange accepts only bytes=first-last, both of them numbers (S3 API reference,
// UploadPartCopy). It returns last, or -1 if there is no range.
func checkCopyRange(header string) (last int64, err error) {
	if header == "" {
		return -1, nil
	}
	spec, ok := strings.CutPrefix(header, "bytes=")
	from, to, ok2 := strings.Cut(spec, "-")
	first, firstOK := parseOffset(from)
	last, lastOK := parseOffset(to)
	if !ok || !ok2 || !firstOK || !lastOK || last < first {
		return 0, badCopyRange(header,
			"The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "+
				"zero-based offsets of the first and last bytes to copy")
	}
	return last, nil
}

func badCopyRange(header, message string) error {
	return fault.New(fault.InvalidArgument, message).With("ArgumentName", "x-amz-copy-source-range").
		With("ArgumentValue", header)
}
