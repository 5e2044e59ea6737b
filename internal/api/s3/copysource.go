package s3

import (
	"net/url"
	"strings"

	"watertight/internal/access/authz"
	"watertight/internal/access/objectkey"
	"watertight/internal/core/bucket"
)

// copySource is the object that x-amz-copy-source names. If VersionID is nil, it is the
// current version.
type copySource struct {
	Bucket, Key string
	VersionID   *string
}

// parseCopySource decodes x-amz-copy-source: [/]bucket/key[?versionId=id], URL-encoded (S3
// API reference, CopyObject). It decodes the value exactly once, so that the object that is
// authorized is the one that is read; + is a space, as S3 decodes it. A key is checked like
// that of a request and never normalised. Errors: InvalidArgument, InvalidURI,
// NotImplemented (ARNs of access points).
func parseCopySource(header string) (copySource, error) {
	path, query, versioned := strings.Cut(header, "?")
	at, err := url.QueryUnescape(path)
	if err != nil {
		return copySource{}, badCopySource(header, "Invalid copy source encoding")
	}
	at = strings.TrimPrefix(at, "/")
	if strings.HasPrefix(at, "arn:") {
		return copySource{}, notImplemented("x-amz-copy-source")
	}
	name, key, _ := strings.Cut(at, "/")
	if name == "" || key == "" {
		return copySource{}, badCopySource(header,
			"Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	if bucket.CheckName(name) != nil {
		return copySource{}, badCopySource(header, "Invalid copy source bucket name")
	}
	if err := objectkey.Check(key); err != nil {
		return copySource{}, err
	}
	c := copySource{Bucket: name, Key: key}
	if !versioned {
		return c, nil
	}
	raw, ok := strings.CutPrefix(query, "versionId=")
	if !ok || strings.ContainsAny(raw, "&?=") {
		return copySource{}, badCopySource(header, "Unsupported copy source parameter.")
	}
	id, err := url.QueryUnescape(raw)
	if err != nil {
		return copySource{}, badCopySource(header, "Invalid copy source encoding")
	}
	if id == "" {
		return copySource{}, badCopySource(header, "Version id cannot be the empty string")
	}
	c.VersionID = &id
	return c, nil
}

func badCopySource(header, message string) error {
	return invalidArgument("x-amz-copy-source", message).With("ArgumentValue", header)
}

// needs returns the needs of reading the source. Whether the caller may list its bucket
// decides between 403 and 404.
func (c *copySource) needs() []authz.Need {
	return []authz.Need{
		versionNeed("s3:GetObject", "s3:GetObjectVersion", c.Bucket, c.Key, c.VersionID), mayList(c.Bucket),
	}
}
