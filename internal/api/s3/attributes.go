package s3

import (
	"context"
	"strconv"

	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/fault"
)

// mayGetAttributes returns two needs, to read the object and to read its attributes (S3 API
// reference, GetObjectAttributes, Permissions).
func mayGetAttributes(in *shape.GetObjectAttributesInput) ([]authz.Need, error) {
	return []authz.Need{
		versionNeed("s3:GetObject", "s3:GetObjectVersion", in.Bucket, in.Key, in.VersionId),
		versionNeed("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes", in.Bucket, in.Key, in.VersionId),
		mayList(in.Bucket),
	}, nil
}

func (a *API) getObjectAttributes(
	ctx context.Context, g authz.Grant, in *shape.GetObjectAttributesInput,
) (*shape.GetObjectAttributesOutput, error) {
	wanted, err := attributeNames(in.Attributes)
	if err != nil {
		return nil, err
	}
	at, err := a.Objects.Attributes(ctx,
		g, object.GetInput{
			Bucket: in.Bucket, Key: in.Key, VersionID: in.VersionId, Customer: customerKey(&in.CustomerKey),
			Checksums: wanted["Checksum"] || wanted["ObjectParts"],
		}, in.PartNumberMarker, maxParts(in.MaxParts))
	if err != nil {
		return nil, err
	}
	out := &shape.GetObjectAttributesOutput{LastModified: at.Modified, VersionId: versionOf(&at.Version)}
	if wanted["ETag"] {
		out.ETag = at.ETag.String()
	}
	if wanted["StorageClass"] {
		out.StorageClass = at.StorageClass
	}
	if wanted["ObjectSize"] {
		out.ObjectSize = &at.Size
	}
	if wanted["Checksum"] && known(at.Checksum) {
		out.Checksum = &shape.Checksum{
			SumElements: shape.SumElements(sums(at.Checksum)), ChecksumType: string(at.Checksum.Type),
		}
	}
	if wanted["ObjectParts"] && at.ETag.Parts > 0 {
		out.ObjectParts = objectParts(&at, in)
	}
	return out, nil
}

// maxParts decodes x-amz-max-parts. S3 ignores a value that is no number of parts, unlike max-parts of ListParts.
func maxParts(sent *string) *int {
	if sent == nil {
		return nil
	}
	n, err := strconv.ParseInt(*sent, 10, 32)
	if err != nil || n < 0 {
		return nil
	}
	most := int(n)
	return &most
}

// attributeNames refuses unknown attribute names.
func attributeNames(names []string) (map[string]bool, error) {
	wanted := map[string]bool{}
	for _, name := range names {
		switch name {
		case "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize":
			wanted[name] = true
		case "":
		default:
			return nil, invalidArgument("x-amz-object-attributes", "Invalid attribute name specified.").
				With("ArgumentValue", name)
		}
	}
	if len(wanted) == 0 {
		return nil, fault.New(fault.InvalidRequest,
			"The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	return wanted, nil
}

func objectParts(at *object.Attributes, in *shape.GetObjectAttributesInput) *shape.ObjectParts {
	out := &shape.ObjectParts{
		PartsCount: int(at.ETag.Parts), PartNumberMarker: in.PartNumberMarker, NextPartNumberMarker: at.Next,
		MaxParts: pageSize(maxParts(in.MaxParts)), IsTruncated: at.Truncated,
		Parts: make([]shape.ObjectPart, len(at.Parts)),
	}
	for i, p := range at.Parts {
		out.Parts[i] = shape.ObjectPart{
			PartNumber: p.Number, Size: p.Size, SumElements: shape.SumElements(sums(p.Checksum)),
		}
	}
	return out
}
