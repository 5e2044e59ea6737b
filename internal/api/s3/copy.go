package s3

import (
	"context"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/gateway/protocol"
	"watertight/internal/storage/digest"
)

// copyRows are the operations of this file.
func (a *API) copyRows() []dispatch.Row {
	fromSource := func(r protocol.Route) protocol.Route { return r.WithHeader("x-amz-copy-source") }
	return []dispatch.Row{
		define(a, "CopyObject", "PUT /{Bucket}/{Key+}", authz.Ask(mayCopyObject), a.copyObject, fromSource),
		define(a, "UploadPartCopy", "PUT /{Bucket}/{Key+}?partNumber&uploadId", authz.Ask(mayUploadPartCopy), a.uploadPartCopy, fromSource),
	}
}

// asPut is what of a copy is a write like any other.
func asPut(in *shape.CopyObjectInput) *shape.PutObjectInput {
	return &shape.PutObjectInput{
		Bucket: in.Bucket, Key: in.Key, StorageClass: in.StorageClass, Tagging: in.Tagging, WebsiteRedirect: in.WebsiteRedirect,
		Conditions: in.Conditions, Unbuilt: in.Unbuilt,
	}
}

func mayCopyObject(in *shape.CopyObjectInput) ([]authz.Need, error) {
	needs, src, err := maySource(&in.Source)
	if err != nil {
		return nil, err
	}
	target, err := mayPutObject(asPut(in))
	if err != nil {
		return nil, err
	}
	put := &target[0]
	put.Keys["s3:x-amz-copy-source"] = []string{src.Bucket + "/" + src.Key}
	if in.MetadataDirective != "" {
		put.Keys["s3:x-amz-metadata-directive"] = []string{in.MetadataDirective}
	}
	if in.Tagging == "" { // the source's tags may come along
		tagging := mayTag(arn.Object(in.Bucket, in.Key), nil)
		tagging.Soft = true
		target = append(target, tagging)
	}
	return append(target, needs...), nil
}

func (a *API) copyObject(ctx context.Context, g authz.Grant, in *shape.CopyObjectInput) (*shape.CopyObjectOutput, error) {
	if err := checkUnbuilt(&in.Unbuilt); err != nil {
		return nil, err
	}
	src, err := a.openSource(ctx, &in.Source)
	if err != nil {
		return nil, err
	}
	c := object.CopyInput{
		Source: src, Bucket: in.Bucket, Key: in.Key, StorageClass: in.StorageClass, IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch,
		WebsiteRedirect: in.WebsiteRedirect, Changes: in.ServerSideEncryption != "" || in.WebsiteRedirect != "",
	}
	if c.Metadata, err = copiedMetadata(in); err != nil {
		return nil, err
	}
	if c.Tags, err = copiedTags(in); err != nil {
		return nil, err
	}
	if in.ChecksumAlgorithm != "" {
		if c.Algorithm, err = algorithmOf(in.ChecksumAlgorithm); err != nil {
			return nil, err
		}
	}
	made, source, err := a.Objects.Copy(ctx, g, c)
	if err != nil {
		return nil, concealSource(g, src.Bucket, err)
	}
	s := checksums(made.Checksum)
	return &shape.CopyObjectOutput{
		SourceVersionId: versionOf(&source), VersionId: versionOf(&made), ServerSideEncryption: string(made.Encryption),
		ETag: quote(made.ETag), LastModified: made.Modified, ChecksumCRC32: s.ChecksumCRC32, ChecksumCRC32C: s.ChecksumCRC32C,
		ChecksumCRC64NVME: s.ChecksumCRC64NVME, ChecksumSHA1: s.ChecksumSHA1, ChecksumSHA256: s.ChecksumSHA256, ChecksumType: s.ChecksumType,
	}, nil
}

// directive reports whether a copy replaces what the header is about.
func directive(name, value string) (replace bool, err error) {
	switch value {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	}
	return false, invalidArgument(name, "Unknown "+strings.TrimSuffix(strings.TrimPrefix(name, "x-amz-"), "-directive")+" directive.").With("ArgumentValue", value)
}

func copiedMetadata(in *shape.CopyObjectInput) (*object.Metadata, error) {
	replace, err := directive("x-amz-metadata-directive", in.MetadataDirective)
	if err != nil || !replace {
		return nil, err
	}
	return &object.Metadata{
		ContentType: in.ContentType, CacheControl: in.CacheControl, ContentDisposition: in.ContentDisposition,
		ContentEncoding: withoutChunked(in.ContentEncoding), ContentLanguage: in.ContentLanguage, Expires: in.Expires, User: in.Metadata,
	}, nil
}

func copiedTags(in *shape.CopyObjectInput) (*tag.Set, error) {
	replace, err := directive("x-amz-tagging-directive", in.TaggingDirective)
	if err != nil || !replace {
		return nil, err
	}
	tags, err := tag.Header(in.Tagging)
	return &tags, err
}

func algorithmOf(name string) (digest.Algorithm, error) {
	a, ok := digest.Parse(name)
	if !ok {
		return "", fault.New(fault.Invalid, "InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	}
	return a, nil
}

func mayUploadPartCopy(in *shape.UploadPartCopyInput) ([]authz.Need, error) {
	needs, src, err := maySource(&in.Source)
	if err != nil {
		return nil, err
	}
	part := authz.Need{Action: "s3:PutObject", Resource: arn.Object(in.Bucket, in.Key), Keys: map[string][]string{
		"s3:objectcreationoperation": {"false"}, "s3:x-amz-copy-source": {src.Bucket + "/" + src.Key},
	}}
	return append([]authz.Need{part, mayList(in.Bucket)}, needs...), nil
}

func (a *API) uploadPartCopy(ctx context.Context, g authz.Grant, in *shape.UploadPartCopyInput) (*shape.UploadPartCopyOutput, error) {
	if err := checkUnbuilt(&in.Unbuilt); err != nil {
		return nil, err
	}
	src, err := a.openSource(ctx, &in.Source)
	if err != nil {
		return nil, err
	}
	p, source, err := a.Objects.CopyPart(ctx, g, object.CopyPartInput{
		Source: src, Range: in.Range, Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadId, Number: in.PartNumber,
	})
	if err != nil {
		return nil, concealSource(g, src.Bucket, err)
	}
	s := checksums(p.Checksum)
	return &shape.UploadPartCopyOutput{
		SourceVersionId: versionOf(&source), ServerSideEncryption: "AES256", ETag: quote(p.ETag), LastModified: p.Modified,
		ChecksumCRC32: s.ChecksumCRC32, ChecksumCRC32C: s.ChecksumCRC32C, ChecksumCRC64NVME: s.ChecksumCRC64NVME,
		ChecksumSHA1: s.ChecksumSHA1, ChecksumSHA256: s.ChecksumSHA256,
	}, nil
}
