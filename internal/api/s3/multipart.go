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
	"watertight/internal/storage/digest"
)

// multipartRows are the operations of this file.
func (a *API) multipartRows() []dispatch.Row {
	return []dispatch.Row{
		define(a, "CreateMultipartUpload", "POST /{Bucket}/{Key+}?uploads", authz.Ask(mayCreateUpload), a.createMultipartUpload),
		define(a, "UploadPart", "PUT /{Bucket}/{Key+}?partNumber&uploadId", authz.Ask(mayUploadPart), a.uploadPart),
		define(a, "CompleteMultipartUpload", "POST /{Bucket}/{Key+}?uploadId", authz.Ask(mayComplete), a.completeMultipartUpload),
		define(a, "AbortMultipartUpload", "DELETE /{Bucket}/{Key+}?uploadId", authz.Ask(mayAbort), a.abortMultipartUpload, noContent),
		define(a, "ListParts", "GET /{Bucket}/{Key+}?uploadId", authz.Ask(mayListParts), a.listParts),
		define(a, "ListMultipartUploads", "GET /{Bucket}?uploads", authz.Ask1(mayListUploads), a.listMultipartUploads),
	}
}

func mayCreateUpload(in *shape.CreateMultipartUploadInput) ([]authz.Need, error) {
	needs, err := mayPutObject(&shape.PutObjectInput{
		Bucket: in.Bucket, Key: in.Key, StorageClass: in.StorageClass, Tagging: in.Tagging, WebsiteRedirect: in.WebsiteRedirect, Unbuilt: in.Unbuilt,
	})
	if err == nil {
		needs[0].Keys["s3:objectcreationoperation"] = []string{"false"}
	}
	return needs, err
}

func mayUploadPart(in *shape.UploadPartInput) ([]authz.Need, error) {
	return []authz.Need{{
		Action: "s3:PutObject", Resource: arn.Object(in.Bucket, in.Key), Keys: map[string][]string{"s3:objectcreationoperation": {"false"}},
	}, mayList(in.Bucket)}, nil
}

func mayComplete(in *shape.CompleteMultipartUploadInput) ([]authz.Need, error) {
	return mayPutObject(&shape.PutObjectInput{Bucket: in.Bucket, Key: in.Key, Conditions: in.Conditions})
}

func mayAbort(in *shape.UploadInput) ([]authz.Need, error) {
	return []authz.Need{{Action: "s3:AbortMultipartUpload", Resource: arn.Object(in.Bucket, in.Key)}, mayList(in.Bucket)}, nil
}

func mayListParts(in *shape.ListPartsInput) ([]authz.Need, error) {
	return []authz.Need{{Action: "s3:ListMultipartUploadParts", Resource: arn.Object(in.Bucket, in.Key)}, mayList(in.Bucket)}, nil
}

func mayListUploads(in *shape.ListMultipartUploadsInput) authz.Need {
	return authz.Need{Action: "s3:ListBucketMultipartUploads", Resource: arn.Bucket(in.Bucket)}
}

func (a *API) createMultipartUpload(ctx context.Context, g authz.Grant, in *shape.CreateMultipartUploadInput) (*shape.CreateMultipartUploadOutput, error) {
	if err := checkUnbuilt(&in.Unbuilt); err != nil {
		return nil, err
	}
	tags, err := tag.Header(in.Tagging)
	if err != nil {
		return nil, err
	}
	alg := digest.None
	if in.ChecksumAlgorithm != "" {
		if alg, err = algorithmOf(in.ChecksumAlgorithm); err != nil {
			return nil, err
		}
	}
	u, err := a.Objects.CreateUpload(ctx, g, object.UploadInput{
		Bucket: in.Bucket, Key: in.Key, Tags: tags, StorageClass: in.StorageClass, Algorithm: alg, ChecksumType: object.ChecksumType(in.ChecksumType),
		Metadata: object.Metadata{
			ContentType: in.ContentType, CacheControl: in.CacheControl, ContentDisposition: in.ContentDisposition,
			ContentEncoding: withoutChunked(in.ContentEncoding), ContentLanguage: in.ContentLanguage, Expires: in.Expires,
			WebsiteRedirect: in.WebsiteRedirect, User: in.Metadata,
		},
	})
	if err != nil {
		return nil, err
	}
	out := &shape.CreateMultipartUploadOutput{ServerSideEncryption: string(u.Encryption), Bucket: in.Bucket, Key: in.Key, UploadId: u.ID}
	if u.Algorithm != digest.None {
		out.ChecksumAlgorithm, out.ChecksumType = string(u.Algorithm), string(u.ChecksumType)
	}
	return out, nil
}

func (a *API) uploadPart(ctx context.Context, g authz.Grant, in *shape.UploadPartInput) (*shape.UploadPartOutput, error) {
	if err := checkUnbuilt(&in.Unbuilt); err != nil {
		return nil, err
	}
	if in.Body.Size() < 0 {
		return nil, fault.New(fault.LengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	alg, expect, err := declared(&in.Integrity, in.Body)
	if err != nil {
		return nil, err
	}
	p, err := a.Objects.PutPart(ctx, g, object.PartInput{
		Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadId, Number: in.PartNumber, Body: in.Body, Size: in.Body.Size(), Algorithm: alg, Expect: expect,
	})
	if err != nil {
		return nil, err
	}
	out := &shape.UploadPartOutput{ETag: quote(p.ETag), ServerSideEncryption: "AES256", Checksums: checksums(p.Checksum)}
	out.ChecksumType = ""
	return out, nil
}

func (a *API) completeMultipartUpload(ctx context.Context, g authz.Grant, in *shape.CompleteMultipartUploadInput) (*shape.CompleteMultipartUploadOutput, error) {
	if err := checkUnbuilt(&in.Unbuilt); err != nil {
		return nil, err
	}
	parts, err := listed(in.MultipartUpload.Parts)
	if err != nil {
		return nil, err
	}
	v, err := a.Objects.CompleteUpload(ctx, g, object.CompleteInput{
		Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadId, Parts: parts, ChecksumType: object.ChecksumType(in.ChecksumType),
		Sums: given(in.CRC32, in.CRC32C, in.CRC64NVME, in.SHA1, in.SHA256), Size: in.ObjectSize, IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch,
	})
	if err != nil {
		return nil, err
	}
	s := checksums(v.Checksum)
	return &shape.CompleteMultipartUploadOutput{
		ServerSideEncryption: string(v.Encryption), VersionId: versionOf(&v), Location: in.BucketURL + "/" + escapePath(in.Key), Bucket: in.Bucket, Key: in.Key,
		ETag: quote(v.ETag), ChecksumCRC32: s.ChecksumCRC32, ChecksumCRC32C: s.ChecksumCRC32C, ChecksumCRC64NVME: s.ChecksumCRC64NVME,
		ChecksumSHA1: s.ChecksumSHA1, ChecksumSHA256: s.ChecksumSHA256, ChecksumType: s.ChecksumType,
	}, nil
}

// given are the checksums that are there, by their algorithms.
func given(crc32, crc32c, crc64, sha1, sha256 string) map[digest.Algorithm]string {
	m := map[digest.Algorithm]string{digest.CRC32: crc32, digest.CRC32C: crc32c, digest.CRC64NVME: crc64, digest.SHA1: sha1, digest.SHA256: sha256}
	for a, value := range m {
		if value == "" {
			delete(m, a)
		}
	}
	return m
}

// listed reads the list of a completion.
func listed(in []shape.CompletedPart) ([]object.CompletePart, error) {
	parts := make([]object.CompletePart, len(in))
	for i := range in {
		p := &in[i]
		if p.PartNumber == nil || p.ETag == nil {
			return nil, fault.New(fault.Invalid, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
		}
		parts[i] = object.CompletePart{Number: *p.PartNumber, ETag: *p.ETag}
		for a, value := range given(p.ChecksumCRC32, p.ChecksumCRC32C, p.ChecksumCRC64NVME, p.ChecksumSHA1, p.ChecksumSHA256) {
			sum, err := decodeSum(a, value)
			if err != nil {
				return nil, err
			}
			if parts[i].Sums == nil {
				parts[i].Sums = map[digest.Algorithm][]byte{}
			}
			parts[i].Sums[a] = sum
		}
	}
	return parts, nil
}

func (a *API) abortMultipartUpload(ctx context.Context, g authz.Grant, in *shape.UploadInput) (*shape.Empty, error) {
	return nil, a.Objects.AbortUpload(ctx, g, in.Bucket, in.Key, in.UploadId)
}

func (a *API) listParts(ctx context.Context, g authz.Grant, in *shape.ListPartsInput) (*shape.ListPartsOutput, error) {
	after := 0
	if in.PartNumberMarker != nil {
		after = *in.PartNumberMarker
	}
	l, err := a.Objects.ListParts(ctx, g, in.Bucket, in.Key, in.UploadId, after, in.MaxParts)
	if err != nil {
		return nil, err
	}
	owner, err := a.canonicalID(ctx, l.Upload.Owner)
	if err != nil {
		return nil, err
	}
	out := &shape.ListPartsOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId, PartNumberMarker: after, NextPartNumberMarker: l.Next, MaxParts: pageSize(in.MaxParts),
		IsTruncated: l.Truncated, Owner: &shape.Owner{ID: owner}, Initiator: initiator(&l.Upload, owner), StorageClass: l.Upload.StorageClass,
	}
	if l.Upload.Algorithm != digest.None {
		out.ChecksumAlgorithm, out.ChecksumType = string(l.Upload.Algorithm), string(l.Upload.ChecksumType)
	}
	for _, p := range l.Parts {
		s := checksums(p.Checksum)
		out.Parts = append(out.Parts, shape.Part{
			PartNumber: p.Number, LastModified: p.Modified, ETag: quote(p.ETag), Size: p.Size, ChecksumCRC32: s.ChecksumCRC32,
			ChecksumCRC32C: s.ChecksumCRC32C, ChecksumCRC64NVME: s.ChecksumCRC64NVME, ChecksumSHA1: s.ChecksumSHA1, ChecksumSHA256: s.ChecksumSHA256,
		})
	}
	return out, nil
}

// initiator is the account's canonical id for its root user, and the ARN of
// anybody else (S3 API reference, Initiator).
func initiator(u *object.Upload, owner string) *shape.Initiator {
	if strings.HasSuffix(u.Initiator, ":root") {
		return &shape.Initiator{ID: owner}
	}
	return &shape.Initiator{ID: u.Initiator}
}

func (a *API) listMultipartUploads(ctx context.Context, g authz.Grant, in *shape.ListMultipartUploadsInput) (*shape.ListMultipartUploadsOutput, error) {
	l, err := a.Objects.ListUploads(ctx, g, object.ListUploadsInput{
		Bucket: in.Bucket, Prefix: in.Prefix, Delimiter: in.Delimiter, KeyMarker: in.KeyMarker, UploadMarker: in.UploadIdMarker, Max: in.MaxUploads,
	})
	if err != nil {
		return nil, err
	}
	show := encoding(in.EncodingType)
	out := &shape.ListMultipartUploadsOutput{
		Bucket: in.Bucket, KeyMarker: show(in.KeyMarker), UploadIdMarker: in.UploadIdMarker, Prefix: show(in.Prefix), Delimiter: show(in.Delimiter),
		EncodingType: in.EncodingType, MaxUploads: pageSize(in.MaxUploads), IsTruncated: l.Truncated, CommonPrefixes: prefixes(l.CommonPrefixes, show),
	}
	if l.Truncated {
		out.NextKeyMarker, out.NextUploadIdMarker = show(l.NextKey), l.NextUpload
	}
	for i := range l.Uploads {
		u := &l.Uploads[i]
		owner, err := a.canonicalID(ctx, u.Owner)
		if err != nil {
			return nil, err
		}
		m := shape.MultipartUpload{
			Key: show(u.Key), UploadId: u.ID, Initiator: initiator(u, owner), Owner: &shape.Owner{ID: owner}, StorageClass: u.StorageClass, Initiated: u.Initiated,
		}
		if u.Algorithm != digest.None {
			m.ChecksumAlgorithm, m.ChecksumType = string(u.Algorithm), string(u.ChecksumType)
		}
		out.Uploads = append(out.Uploads, m)
	}
	return out, nil
}
