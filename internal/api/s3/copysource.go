package s3

import (
	"context"
	"net/url"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
)

// parseSource reads x-amz-copy-source: [/]BUCKET/KEY[?versionId=ID], decoded
// once (S3 API reference, CopyObject). What it names is what is authorized and
// what is read.
func parseSource(s *shape.Source) (object.CopySource, error) {
	invalid := func() error {
		return badSource("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	raw, version, versioned := strings.Cut(s.CopySource, "?versionId=")
	if strings.HasPrefix(raw, "arn:") || strings.HasPrefix(raw, "/arn:") {
		return object.CopySource{}, badSource("Access points are not implemented; a copy source is sourcebucket/sourcekey")
	}
	path, err := url.PathUnescape(raw)
	if err != nil {
		return object.CopySource{}, badSource("Invalid copy source encoding")
	}
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || bucket == "" || key == "" || strings.Contains(version, "&") {
		return object.CopySource{}, invalid()
	}
	if err := protocol.CheckKey(key); err != nil {
		return object.CopySource{}, err
	}
	out := object.CopySource{
		Bucket: bucket, Key: key, IfMatch: s.SourceIfMatch, IfNoneMatch: s.SourceIfNoneMatch,
		IfModifiedSince: s.SourceIfModified, IfUnmodifiedSince: s.SourceIfUnmodified,
	}
	if versioned {
		if version, err = url.QueryUnescape(version); err != nil || version == "" {
			return object.CopySource{}, badSource("Version id cannot be the empty string")
		}
		out.VersionID = &version
	}
	return out, nil
}

func badSource(message string) *fault.Error {
	return fault.New(fault.Invalid, "InvalidArgument", message).With("ArgumentName", "x-amz-copy-source")
}

// maySource is what reading the source of a copy needs. Whether the caller may
// list the source's bucket decides between 403 and 404 there, too.
func maySource(s *shape.Source) ([]authz.Need, object.CopySource, error) {
	src, err := parseSource(s)
	if err != nil {
		return nil, src, err
	}
	tags := versionNeed("s3:GetObjectTagging", "s3:GetObjectVersionTagging", src.Bucket, src.Key, src.VersionID)
	tags.Soft = true // asked for in core where the source has tags
	return []authz.Need{versionNeed("s3:GetObject", "s3:GetObjectVersion", src.Bucket, src.Key, src.VersionID), tags, mayList(src.Bucket)}, src, nil
}

// openSource checks what only a source can be wrong about, and hides from
// those who may not list its bucket that a key is not there.
func (a *API) openSource(ctx context.Context, s *shape.Source) (object.CopySource, error) {
	src, err := parseSource(s)
	if err != nil {
		return src, err
	}
	if s.SourceSSEAlgorithm+s.SourceSSEKey+s.SourceSSEKeyMD5 != "" {
		return src, notImplemented("x-amz-copy-source-server-side-encryption-customer-algorithm")
	}
	if s.ExpectedSourceOwner != "" {
		return src, a.checkOwner(ctx, src.Bucket, s.ExpectedSourceOwner)
	}
	return src, nil
}

// concealSource answers 403 where 404 would tell a caller who may not list the
// source's bucket what is in it.
func concealSource(g authz.Grant, bucket string, err error) error {
	if (fault.Is(err, "NoSuchKey") || fault.Is(err, "NoSuchVersion")) && !g.Allows("s3:ListBucket", arn.Bucket(bucket)) {
		return fault.AccessDenied()
	}
	return err
}
