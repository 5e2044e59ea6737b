package s3

import (
	"context"
	"slices"

	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/storage/digest"
)

func (a *API) attributeRows() []dispatch.Row {
	return []dispatch.Row{
		define(a, "GetObjectAttributes", "GET /{Bucket}/{Key+}?attributes", authz.Ask(mayGetAttributes), a.getObjectAttributes),
	}
}

// mayGetAttributes asks for the object and for its attributes: AWS's pages name
// one or the other, so both are needed.
func mayGetAttributes(in *shape.GetObjectAttributesInput) ([]authz.Need, error) {
	return []authz.Need{
		versionNeed("s3:GetObject", "s3:GetObjectVersion", in.Bucket, in.Key, in.VersionId),
		versionNeed("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes", in.Bucket, in.Key, in.VersionId), mayList(in.Bucket),
	}, nil
}

func (a *API) getObjectAttributes(ctx context.Context, g authz.Grant, in *shape.GetObjectAttributesInput) (*shape.GetObjectAttributesOutput, error) {
	if len(in.Attributes) == 0 {
		return nil, fault.New(fault.Invalid, "InvalidRequest", "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	for _, name := range in.Attributes {
		if !slices.Contains([]string{"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"}, name) {
			return nil, invalidArgument("x-amz-object-attributes", "Invalid attribute name specified.").With("ArgumentValue", name)
		}
	}
	get := object.GetInput{Bucket: in.Bucket, Key: in.Key, VersionID: in.VersionId}
	r, err := a.Objects.Head(ctx, g, get)
	if err != nil {
		return nil, err
	}
	out := &shape.GetObjectAttributesOutput{LastModified: r.Modified, VersionId: versionOf(&r.Version)}
	asked := func(name string) bool { return slices.Contains(in.Attributes, name) }
	if asked("ETag") {
		out.ETag = r.ETag.String() // without quotes, here alone
	}
	if asked("StorageClass") {
		out.StorageClass = r.StorageClass
	}
	if asked("ObjectSize") {
		out.ObjectSize = &r.Size
	}
	if s := checksums(r.Checksum); asked("Checksum") && r.Checksum.Algorithm != digest.None {
		out.Checksum = &shape.Checksum{
			ChecksumCRC32: s.ChecksumCRC32, ChecksumCRC32C: s.ChecksumCRC32C, ChecksumCRC64NVME: s.ChecksumCRC64NVME,
			ChecksumSHA1: s.ChecksumSHA1, ChecksumSHA256: s.ChecksumSHA256, ChecksumType: s.ChecksumType,
		}
	}
	if asked("ObjectParts") && r.ETag.Parts > 0 {
		out.ObjectParts, err = a.objectParts(ctx, g, in, get, r)
	}
	return out, err
}

// objectParts are a page of the parts. Each is listed only where it has a
// checksum of its own to show (S3 API reference, ObjectParts).
func (a *API) objectParts(ctx context.Context, g authz.Grant, in *shape.GetObjectAttributesInput, get object.GetInput, r *object.Reading) (*shape.ObjectParts, error) {
	out := &shape.ObjectParts{TotalPartsCount: int(r.ETag.Parts), MaxParts: pageSize(in.MaxParts)}
	if in.PartNumberMarker != nil {
		out.PartNumberMarker = *in.PartNumberMarker
	}
	if out.PartNumberMarker < 0 || out.MaxParts < 0 {
		return nil, invalidArgument("x-amz-max-parts", "Argument must be an integer between 0 and 2147483647")
	}
	parts, truncated, err := a.Objects.Parts(ctx, g, get, out.PartNumberMarker, out.MaxParts)
	if err != nil {
		return nil, err
	}
	out.IsTruncated = truncated
	for _, p := range parts {
		out.NextPartNumberMarker = p.Number
		if r.Checksum.Type != object.Composite {
			continue
		}
		s := checksums(p.Checksum)
		out.Parts = append(out.Parts, shape.ObjectPart{
			PartNumber: p.Number, Size: p.Size, ChecksumCRC32: s.ChecksumCRC32, ChecksumCRC32C: s.ChecksumCRC32C,
			ChecksumCRC64NVME: s.ChecksumCRC64NVME, ChecksumSHA1: s.ChecksumSHA1, ChecksumSHA256: s.ChecksumSHA256,
		})
	}
	return out, nil
}
