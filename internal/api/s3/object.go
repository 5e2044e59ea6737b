package s3

import (
	"context"
	"fmt"
	"net/textproto"
	"strconv"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

func (a *API) putObject(ctx context.Context, g authz.Grant, in *shape.PutObjectInput) (*shape.PutObjectOutput, error) {
	tags, err := tag.Header(in.Tagging)
	if err != nil {
		return nil, err
	}
	return a.storeObject(ctx, g, in, tags)
}

// storeObject stores an object for PUT and for POST forms.
func (a *API) storeObject(
	ctx context.Context, g authz.Grant, in *shape.PutObjectInput, tags tag.Set,
) (*shape.PutObjectOutput, error) {
	if err := checkUnbuilt(&in.Unbuilt, &in.EncryptionHeaders); err != nil {
		return nil, err
	}
	alg, sum, expect, err := declared(&in.Integrity, in.Body)
	if err != nil {
		return nil, err
	}
	request, err := a.aclHeaders(ctx, &in.ACLHeaders, "", true)
	if err != nil {
		return nil, err
	}
	v, err := a.Objects.Put(ctx, g, object.PutInput{
		Bucket: in.Bucket, Key: in.Key, Body: in.Body, Size: in.Body.Size(),
		Metadata: metadata(&in.Content, in.WebsiteRedirect),
		Tags:     tags, ACL: request, StorageClass: in.StorageClass,
		Encryption: encryption(&in.EncryptionHeaders, &in.CustomerKey), Algorithm: alg, MD5: sum, Expect: expect,
		IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch, Lock: lockHeaders(&in.LockHeaders),
	})
	if err != nil {
		return nil, err
	}
	out := &shape.PutObjectOutput{
		ETag: quote(v.ETag), Encrypted: encrypted(v.Encrypted, &in.CustomerKey),
		SSEKMSEncryptionContext: in.SSEKMSContext,
		Size:                    strconv.FormatInt(v.Size, 10), Checksums: checksums(v.Checksum),
		Expiration: expiration(v.Expires),
	}
	if v.Versioned && v.ID != object.NullVersion {
		out.VersionId = v.ID
	}
	return out, nil
}

// checkUnbuilt refuses what this server does not implement.
func checkUnbuilt(u *shape.Unbuilt, e *shape.EncryptionHeaders) error {
	if e.ServerSideEncryption == "aws:fsx" { // only Amazon FSx has it
		return notImplemented("x-amz-server-side-encryption")
	}
	if u.WriteOffset != "" {
		return notImplemented("x-amz-write-offset-bytes")
	}
	return nil
}

func metadata(c *shape.Content, redirect string) object.Metadata {
	return object.Metadata{
		ContentType: c.ContentType, CacheControl: c.CacheControl, ContentDisposition: c.ContentDisposition,
		ContentEncoding: withoutChunked(c.ContentEncoding), ContentLanguage: c.ContentLanguage, Expires: c.Expires,
		WebsiteRedirect: redirect, User: c.Metadata,
	}
}

// withoutChunked removes aws-chunked, which describes the framing of the request, not the object.
func withoutChunked(encoding string) string {
	var keep []string
	chunked := false
	for part := range strings.SplitSeq(encoding, ",") {
		switch part = textproto.TrimString(part); {
		case strings.EqualFold(part, "aws-chunked"): // names of codings have no case (RFC 9110, 8.4.1)
			chunked = true
		case part != "":
			keep = append(keep, part)
		}
	}
	if !chunked {
		return encoding
	}
	return strings.Join(keep, ",")
}

func quote(e object.ETag) string {
	b := append(make([]byte, 0, 40), '"')
	return string(append(e.Append(b), '"'))
}

func (a *API) getObject(ctx context.Context, g authz.Grant, in *shape.GetObjectInput) (*shape.GetObjectOutput, error) {
	return read(ctx, g, in, a.Objects.Get)
}

func (a *API) headObject(ctx context.Context, g authz.Grant, in *shape.GetObjectInput) (*shape.GetObjectOutput, error) {
	return read(ctx, g, in, a.Objects.Head)
}

func read(
	ctx context.Context, g authz.Grant, in *shape.GetObjectInput,
	do func(context.Context, authz.Grant, object.GetInput) (*object.Reading, error),
) (*shape.GetObjectOutput, error) {
	if err := refuseEncryption(&in.NoEncryption); err != nil {
		return nil, err
	}
	if in.Overrides != (shape.Overrides{}) && g.Caller().Anonymous() {
		return nil, fault.New(fault.InvalidRequest,
			"Request specific response headers cannot be used for anonymous GET requests.")
	}
	if err := checkOverrides(&in.Overrides); err != nil {
		return nil, err
	}
	at, err := pastOf(g.Caller(), in.AsOf)
	if err != nil {
		return nil, err
	}
	version := judgedVersion(g, in)
	r, err := do(ctx, g, object.GetInput{
		Bucket: in.Bucket, Key: in.Key, VersionID: version, AsOf: at, Range: in.Range, IfMatch: in.IfMatch,
		IfNoneMatch:     in.IfNoneMatch,
		IfModifiedSince: in.IfModifiedSince, IfUnmodifiedSince: in.IfUnmodifiedSince, IfRange: in.IfRange,
		PartNumber: in.PartNumber, Checksums: strings.EqualFold(in.ChecksumMode, "ENABLED"),
		Customer: customerKey(&in.CustomerKey),
	})
	if err != nil {
		return nil, err
	}
	out := &shape.GetObjectOutput{
		Body: r.Body, AcceptRanges: "bytes", ContentLength: &r.Length, ETag: quote(r.ETag), LastModified: r.Modified,
		CacheControl: r.Metadata.CacheControl, ContentDisposition: r.Metadata.ContentDisposition,
		ContentEncoding: r.Metadata.ContentEncoding,
		ContentLanguage: r.Metadata.ContentLanguage, ContentType: r.Metadata.ContentType, Expires: r.Metadata.Expires,
		WebsiteRedirect: r.Metadata.WebsiteRedirect, Metadata: r.Metadata.User,
		Encrypted: encrypted(r.Encrypted, &in.CustomerKey),
	}
	if out.ContentType == "" {
		out.ContentType = "binary/octet-stream"
	}
	if r.StorageClass != "STANDARD" {
		out.StorageClass = r.StorageClass
	}
	out.VersionId, out.LockHeaders = versionOf(&r.Version), shownLock(&r.Lock)
	out.Expiration = expiration(r.Expires)
	if len(r.Tags) > 0 && g.Allows(versionAction("s3:GetObjectTagging", "s3:GetObjectVersionTagging", version),
		arn.Object(in.Bucket, in.Key)) {
		out.TaggingCount = len(r.Tags)
	}
	if r.Partial {
		out.Status = 206
		out.ContentRange = fmt.Sprintf("bytes %d-%d/%d", r.Start, r.Start+r.Length-1, r.Size)
	}
	if in.PartNumber != nil {
		out.PartsCount = int(r.ETag.Parts)
	}
	if strings.EqualFold(in.ChecksumMode, "ENABLED") {
		out.Checksums = checksums(r.Verifiable())
	}
	override(out, &in.Overrides)
	return out, nil
}

func overridesOf(o *shape.Overrides) map[string]*string {
	return map[string]*string{
		"response-cache-control": o.CacheControl, "response-content-disposition": o.ContentDisposition,
		"response-content-encoding": o.ContentEncoding,
		"response-content-language": o.ContentLanguage, "response-content-type": o.ContentType,
		"response-expires": o.Expires,
	}
}

// checkOverrides refuses values that would break a header.
func checkOverrides(o *shape.Overrides) error {
	if *o == (shape.Overrides{}) {
		return nil
	}
	for name, value := range overridesOf(o) {
		if value != nil && strings.ContainsFunc(*value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return invalidArgument(name, "The value holds a control character.")
		}
	}
	return nil
}

func override(out *shape.GetObjectOutput, o *shape.Overrides) {
	for _, p := range []struct {
		to   *string
		from *string
	}{
		{&out.CacheControl, o.CacheControl}, {&out.ContentDisposition, o.ContentDisposition},
		{&out.ContentEncoding, o.ContentEncoding},
		{&out.ContentLanguage, o.ContentLanguage}, {&out.ContentType, o.ContentType}, {&out.Expires, o.Expires},
	} {
		if p.from != nil {
			*p.to = *p.from
		}
	}
}
