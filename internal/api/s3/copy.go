package s3

import (
	"context"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/core/tag"
)

// mayCopyObject returns the needs of reading the source and of a PUT of the target. Tags
// are copied by default, but only core knows whether the source has any, so core checks the
// permission to copy them.
func mayCopyObject(in *shape.CopyObjectInput) ([]authz.Need, error) {
	src, err := parseCopySource(in.CopySource)
	if err != nil {
		return nil, err
	}
	put := shape.PutObjectInput{
		Bucket: in.Bucket, Key: in.Key, StorageClass: in.StorageClass, WebsiteRedirect: in.WebsiteRedirect,
		Conditions: in.Conditions, ACLHeaders: in.ACLHeaders, CustomerKey: in.CustomerKey,
		EncryptionHeaders: in.EncryptionHeaders, LockHeaders: in.LockHeaders,
	}
	if in.TaggingDirective == "REPLACE" {
		put.Tagging = in.Tagging
	}
	needs, err := mayPutObject(&put)
	if err != nil {
		return nil, err
	}
	keys := needs[0].Keys
	keys["s3:x-amz-copy-source"] = []string{src.Bucket + "/" + src.Key}
	if in.MetadataDirective != "" {
		keys["s3:x-amz-metadata-directive"] = []string{in.MetadataDirective}
	}
	if in.TaggingDirective != "REPLACE" {
		from := versionNeed("s3:GetObjectTagging", "s3:GetObjectVersionTagging", src.Bucket, src.Key, src.VersionID)
		to := mayTag(arn.Object(in.Bucket, in.Key), nil)
		from.Soft, to.Soft = true, true
		needs = append(needs, from, to)
	}
	return append(needs, src.needs()...), nil
}

func (a *API) copyObject(
	ctx context.Context, g authz.Grant, in *shape.CopyObjectInput,
) (*shape.CopyObjectOutput, error) {
	if err := checkUnbuilt(&in.Unbuilt, &in.EncryptionHeaders); err != nil {
		return nil, err
	}
	src, err := parseCopySource(in.CopySource)
	if err != nil {
		return nil, err
	}
	if in.ExpectedSourceBucketOwner != "" {
		if err := a.checkOwner(ctx, src.Bucket, in.ExpectedSourceBucketOwner); err != nil {
			return nil, err
		}
	}
	request, err := a.aclHeaders(ctx, &in.ACLHeaders, "", true)
	if err != nil {
		return nil, err
	}
	c := object.CopyInput{
		Source: object.CopySource{
			Bucket: src.Bucket, Key: src.Key, VersionID: src.VersionID, IfMatch: in.SourceIfMatch,
			IfNoneMatch:     in.SourceIfNoneMatch,
			IfModifiedSince: in.SourceIfModifiedSince, IfUnmodifiedSince: in.SourceIfUnmodifiedSince,
			Customer: sourceCustomerKey(&in.SourceCustomerKey),
		},
		Bucket: in.Bucket, Key: in.Key, ACL: request, StorageClass: in.StorageClass,
		WebsiteRedirect: in.WebsiteRedirect,
		IfMatch:         in.IfMatch, IfNoneMatch: in.IfNoneMatch,
		Encryption: encryption(&in.EncryptionHeaders, &in.CustomerKey), Lock: lockHeaders(&in.LockHeaders),
	}
	if err := replaced(in, &c); err != nil {
		return nil, err
	}
	made, from, err := a.Objects.Copy(ctx, g, c)
	if err != nil {
		return nil, g.Conceal(err, src.Bucket)
	}
	s := checksums(made.Checksum)
	return &shape.CopyObjectOutput{
		CopySourceVersionId: versionOf(&from), VersionId: versionOf(&made),
		Encrypted: encrypted(made.Encrypted, &in.CustomerKey), SSEKMSEncryptionContext: in.SSEKMSContext,
		ETag: quote(made.ETag), LastModified: made.Modified, SumElements: shape.SumElements(s.Sums),
		ChecksumType: s.ChecksumType, Expiration: expiration(made.Expires),
	}, nil
}

// replaced sets what the directives of the request replace.
func replaced(in *shape.CopyObjectInput, c *object.CopyInput) error {
	c.Metadata = metadata(&in.Content, "")
	var err error
	if c.Replace, err = directive("metadata", in.MetadataDirective); err != nil {
		return err
	}
	tagging, err := directive("tagging", in.TaggingDirective)
	if err != nil {
		return err
	}
	if tagging {
		tags, err := tag.Header(in.Tagging)
		if err != nil {
			return err
		}
		c.Tags = &tags
	}
	c.Algorithm, err = algorithm(in.ChecksumAlgorithm)
	return err
}

// directive reports whether a directive says REPLACE.
func directive(what, value string) (replace bool, err error) {
	switch value {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	}
	name := "x-amz-" + what + "-directive"
	return false, invalidArgument(name, "Unknown "+strings.ToLower(what)+" directive.").With("ArgumentValue", value)
}
