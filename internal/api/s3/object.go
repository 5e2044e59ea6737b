package s3

import (
	"context"
	"encoding/base64"
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
	"watertight/internal/gateway/protocol"
	"watertight/internal/storage/digest"
)

func (a *API) putObject(ctx context.Context, g authz.Grant, in *shape.PutObjectInput) (*shape.PutObjectOutput, error) {
	if in.Body.Size() < 0 {
		return nil, fault.New(fault.LengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	return a.store(ctx, g, in)
}

// store is what a PUT and a POST form have in common.
func (a *API) store(ctx context.Context, g authz.Grant, in *shape.PutObjectInput) (*shape.PutObjectOutput, error) {
	if err := checkUnbuilt(&in.Unbuilt); err != nil {
		return nil, err
	}
	alg, expect, err := declared(&in.Integrity, in.Body)
	if err != nil {
		return nil, err
	}
	tags, err := tag.Header(in.Tagging)
	if err != nil {
		return nil, err
	}
	v, err := a.Objects.Put(ctx, g, object.PutInput{
		Bucket: in.Bucket, Key: in.Key, Body: in.Body, Size: in.Body.Size(),
		Metadata: object.Metadata{
			ContentType: in.ContentType, CacheControl: in.CacheControl, ContentDisposition: in.ContentDisposition,
			ContentEncoding: withoutChunked(in.ContentEncoding), ContentLanguage: in.ContentLanguage, Expires: in.Expires,
			WebsiteRedirect: in.WebsiteRedirect, User: in.Metadata,
		},
		Tags: tags, StorageClass: in.StorageClass, Algorithm: alg, Expect: expect, IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch,
	})
	if err != nil {
		return nil, err
	}
	out := &shape.PutObjectOutput{ETag: quote(v.ETag), ServerSideEncryption: string(v.Encryption), Size: strconv.FormatInt(v.Size, 10), Checksums: checksums(v.Checksum)}
	if v.Versioned && v.ID != object.NullVersion {
		out.VersionId = v.ID
	}
	return out, nil
}

// checkUnbuilt refuses what the server can't do yet, and ACLs, which are
// disabled (S3 user guide, "Controlling ownership of objects").
func checkUnbuilt(u *shape.Unbuilt) error {
	switch u.ServerSideEncryption {
	case "", "AES256":
	case "aws:kms", "aws:kms:dsse", "aws:fsx":
		return notImplemented("x-amz-server-side-encryption")
	default:
		return fault.New(fault.Invalid, "InvalidEncryptionAlgorithmError", "The encryption request you specified is not valid. The valid value is AES256.").
			With("ArgumentName", "x-amz-server-side-encryption").With("ArgumentValue", u.ServerSideEncryption)
	}
	for name, value := range map[string]string{
		"x-amz-server-side-encryption-aws-kms-key-id":     u.SSEKMSKeyId,
		"x-amz-server-side-encryption-context":            u.SSEKMSContext,
		"x-amz-server-side-encryption-customer-algorithm": u.SSECustomerAlgorithm + u.SSECustomerKey + u.SSECustomerKeyMD5,
		"x-amz-object-lock-mode":                          u.LockMode + u.LockUntil,
		"x-amz-object-lock-legal-hold":                    u.LegalHold,
		"x-amz-write-offset-bytes":                        u.WriteOffset,
		"x-amz-server-side-encryption-bucket-key-enabled": strings.TrimPrefix(u.BucketKeyEnabled, "false"),
	} {
		if value != "" {
			return notImplemented(name)
		}
	}
	if err := checkCannedACL(u.ACL); err != nil {
		return err
	}
	if u.ACL != "" && u.ACL != "private" && u.ACL != "bucket-owner-full-control" || u.GrantFullControl+u.GrantRead+u.GrantReadACP+u.GrantWriteACP != "" {
		return fault.New(fault.Invalid, "AccessControlListNotSupported", "The bucket does not allow ACLs")
	}
	return nil
}

// declared collects what the client says of the body: in headers, or in a
// trailer that comes after it.
func declared(in *shape.Integrity, body protocol.Stream) (digest.Algorithm, func() (object.Expected, error), error) {
	var e object.Expected
	var err error
	if in.ContentMD5 != "" {
		if e.MD5, err = base64.StdEncoding.DecodeString(in.ContentMD5); err != nil {
			return "", nil, fault.New(fault.Invalid, "InvalidDigest", "The Content-MD5 you specified was invalid.").With("Content-MD5", in.ContentMD5)
		}
	}
	alg := digest.None
	trailer := false
	for a, value := range map[digest.Algorithm]string{
		digest.CRC32: in.ChecksumCRC32, digest.CRC32C: in.ChecksumCRC32C, digest.CRC64NVME: in.ChecksumCRC64NVME,
		digest.SHA1: in.ChecksumSHA1, digest.SHA256: in.ChecksumSHA256,
	} {
		announced := strings.Contains(strings.ToLower(","+strings.ReplaceAll(in.Trailer, " ", "")+","), ","+a.Header()+",")
		if value == "" && !announced {
			continue
		}
		if alg != digest.None || value != "" && announced {
			return "", nil, fault.New(fault.Invalid, "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		alg, trailer = a, announced
		if value != "" {
			if e.Sum, err = decodeSum(a, value); err != nil {
				return "", nil, err
			}
		}
	}
	if alg == digest.None && in.ChecksumAlgorithm != "" {
		a, ok := digest.Parse(in.ChecksumAlgorithm)
		if !ok {
			return "", nil, fault.New(fault.Invalid, "InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
		}
		if in.ContentMD5 == "" {
			return "", nil, fault.New(fault.Invalid, "InvalidRequest", "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
		}
		alg = a
	}
	return alg, func() (object.Expected, error) {
		if trailer {
			e.Sum, err = decodeSum(alg, body.Trailer(alg.Header()))
		}
		return e, err
	}, nil
}

func decodeSum(a digest.Algorithm, value string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(b) != a.Size() {
		return nil, fault.New(fault.Invalid, "InvalidRequest", "Value for "+a.Header()+" header is invalid.")
	}
	return b, nil
}

// withoutChunked drops aws-chunked, which is framing and not content.
func withoutChunked(encoding string) string {
	if !strings.Contains(encoding, "aws-chunked") {
		return encoding
	}
	var keep []string
	for part := range strings.SplitSeq(encoding, ",") {
		if part = textproto.TrimString(part); part != "" && part != "aws-chunked" {
			keep = append(keep, part)
		}
	}
	return strings.Join(keep, ",")
}

func quote(e object.ETag) string {
	b := append(make([]byte, 0, 40), '"')
	return string(append(e.Append(b), '"'))
}

func checksums(c object.Checksum) shape.Checksums {
	s := shape.Checksums{ChecksumType: string(c.Type)}
	switch v := c.String(); c.Algorithm {
	case digest.CRC32:
		s.ChecksumCRC32 = v
	case digest.CRC32C:
		s.ChecksumCRC32C = v
	case digest.CRC64NVME:
		s.ChecksumCRC64NVME = v
	case digest.SHA1:
		s.ChecksumSHA1 = v
	case digest.SHA256:
		s.ChecksumSHA256 = v
	default:
		s.ChecksumType = ""
	}
	return s
}

func (a *API) getObject(ctx context.Context, g authz.Grant, in *shape.GetObjectInput) (*shape.GetObjectOutput, error) {
	return read(ctx, g, in, a.Objects.Get)
}

func (a *API) headObject(ctx context.Context, g authz.Grant, in *shape.GetObjectInput) (*shape.GetObjectOutput, error) {
	return read(ctx, g, in, a.Objects.Head)
}

func read(ctx context.Context, g authz.Grant, in *shape.GetObjectInput, do func(context.Context, authz.Grant, object.GetInput) (*object.Reading, error)) (*shape.GetObjectOutput, error) {
	if in.SSECustomerAlgorithm+in.SSECustomerKey+in.SSECustomerKeyMD5 != "" {
		return nil, fault.New(fault.Invalid, "InvalidRequest", "The encryption parameters are not applicable to this object.")
	}
	if in.ServerSideEncryption != "" {
		return nil, invalidArgument("x-amz-server-side-encryption", "x-amz-server-side-encryption header is not supported for this operation.")
	}
	if in.Overrides != (shape.Overrides{}) && g.Caller().Anonymous() {
		return nil, fault.New(fault.Invalid, "InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests.")
	}
	if err := checkOverrides(&in.Overrides); err != nil {
		return nil, err
	}
	r, err := do(ctx, g, object.GetInput{
		Bucket: in.Bucket, Key: in.Key, VersionID: in.VersionId, Range: in.Range, IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch,
		IfModifiedSince: in.IfModifiedSince, IfUnmodifiedSince: in.IfUnmodifiedSince, IfRange: in.IfRange, PartNumber: in.PartNumber,
	})
	if err != nil {
		return nil, err
	}
	out := &shape.GetObjectOutput{
		Body: r.Body, AcceptRanges: "bytes", ContentLength: &r.Length, ETag: quote(r.ETag), LastModified: r.Modified,
		CacheControl: r.Metadata.CacheControl, ContentDisposition: r.Metadata.ContentDisposition, ContentEncoding: r.Metadata.ContentEncoding,
		ContentLanguage: r.Metadata.ContentLanguage, ContentType: r.Metadata.ContentType, Expires: r.Metadata.Expires,
		WebsiteRedirect: r.Metadata.WebsiteRedirect, Metadata: r.Metadata.User, ServerSideEncryption: string(r.Encryption),
	}
	if out.ContentType == "" {
		out.ContentType = "binary/octet-stream"
	}
	if r.StorageClass != "STANDARD" {
		out.StorageClass = r.StorageClass
	}
	out.VersionId = versionOf(&r.Version)
	if g.Allows(versionAction("s3:GetObjectTagging", "s3:GetObjectVersionTagging", in.VersionId), arn.Object(in.Bucket, in.Key)) {
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
		"response-cache-control": o.CacheControl, "response-content-disposition": o.ContentDisposition, "response-content-encoding": o.ContentEncoding,
		"response-content-language": o.ContentLanguage, "response-content-type": o.ContentType, "response-expires": o.Expires,
	}
}

// checkOverrides keeps line breaks out of headers.
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
		{&out.CacheControl, o.CacheControl}, {&out.ContentDisposition, o.ContentDisposition}, {&out.ContentEncoding, o.ContentEncoding},
		{&out.ContentLanguage, o.ContentLanguage}, {&out.ContentType, o.ContentType}, {&out.Expires, o.Expires},
	} {
		if p.from != nil {
			*p.to = *p.from
		}
	}
}
