package s3

import (
	"context"
	"maps"
	"net/url"
	"strconv"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
)

func mayCreateUpload(in *shape.CreateMultipartUploadInput) ([]authz.Need, error) {
	tags, err := tag.Header(in.Tagging)
	if err != nil {
		return nil, err
	}
	keys := putKeys(&shape.PutObjectInput{
		StorageClass: in.StorageClass, WebsiteRedirect: in.WebsiteRedirect, ACLHeaders: in.ACLHeaders,
		CustomerKey: in.CustomerKey, EncryptionHeaders: in.EncryptionHeaders,
	})
	maps.Copy(keys, partKeys(&in.CustomerKey))
	at := arn.Object(in.Bucket, in.Key)
	needs := []authz.Need{{Action: "s3:PutObject", Resource: at, Keys: withTags(keys, tags)}}
	if len(tags) > 0 {
		needs = append(needs, mayTag(at, tags))
	}
	return withLock(withACL(needs, at, &in.ACLHeaders), at, &in.LockHeaders)
}

// partKeys returns condition keys that distinguish the later requests of an upload from
// those that create an object, so that a policy can require conditional writes only of the
// latter (S3 user guide, "Enforce conditional writes"). A policy may require a customer's
// key of each of these requests (S3 user guide, "Requiring and restricting SSE-C").
func partKeys(k *shape.CustomerKey) map[string][]string {
	keys := map[string][]string{"s3:objectcreationoperation": {"false"}}
	if k.SSECustomerAlgorithm != "" {
		keys["s3:x-amz-server-side-encryption-customer-algorithm"] = []string{k.SSECustomerAlgorithm}
	}
	return keys
}

// onUpload returns the access of a later request of an upload: its needs depend on how the
// upload began.
func onUpload[In any, P interface {
	*In
	UploadPath() (bucket, key, id string)
}](a *API, needs func(*In, policy.Principal, object.Begun) ([]authz.Need, error)) authz.Access[In] {
	return authz.AskFor(func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		bucket, key, id := P(in).UploadPath()
		u, err := a.Objects.Begun(ctx, bucket, key, id)
		if err != nil {
			return nil, err
		}
		return needs(in, c.Principal(), u)
	})
}

// carry adds the condition keys that a later request inherits from CreateMultipartUpload:
// the encryption and the key that it named. It does not inherit the ACL, tags and storage
// class.
func carry(keys map[string][]string, u object.Begun) {
	if u.Encryption != "" {
		keys["s3:x-amz-server-side-encryption"] = []string{u.Encryption}
	}
	if u.KeyARN != "" {
		keys[keyIDKey] = []string{u.KeyARN}
	}
}

// initiated returns a need that the initiator of the upload is granted by default (S3 user
// guide, "Multipart upload API and permissions").
func initiated(action policy.Action, bucket, key string, who policy.Principal, u object.Begun) ([]authz.Need, error) {
	given := u.InitiatorID != "" && u.InitiatorID == who.ID
	return []authz.Need{{Action: action, Resource: arn.Object(bucket, key), Given: given}}, nil
}

func mayUploadPart(in *shape.UploadPartInput, _ policy.Principal, u object.Begun) ([]authz.Need, error) {
	keys := partKeys(&in.CustomerKey)
	carry(keys, u)
	return []authz.Need{{Action: "s3:PutObject", Resource: arn.Object(in.Bucket, in.Key), Keys: keys}}, nil
}

func mayUploadPartCopy(in *shape.UploadPartCopyInput, _ policy.Principal, u object.Begun) ([]authz.Need, error) {
	src, err := parseCopySource(in.CopySource)
	if err != nil {
		return nil, err
	}
	keys := partKeys(&in.CustomerKey)
	carry(keys, u)
	keys["s3:x-amz-copy-source"] = []string{src.Bucket + "/" + src.Key}
	return append(src.needs(), authz.Need{Action: "s3:PutObject", Resource: arn.Object(in.Bucket, in.Key), Keys: keys},
		mayList(in.Bucket)), nil
}

func mayCompleteUpload(
	in *shape.CompleteMultipartUploadInput, _ policy.Principal, u object.Begun,
) ([]authz.Need, error) {
	keys := putKeys(&shape.PutObjectInput{Conditions: in.Conditions, CustomerKey: in.CustomerKey})
	carry(keys, u)
	needs := []authz.Need{
		{Action: "s3:PutObject", Resource: arn.Object(in.Bucket, in.Key), Keys: keys}, mayList(in.Bucket),
	}
	if in.IfMatch != nil {
		needs = append(needs, authz.Need{Action: "s3:GetObject", Resource: arn.Object(in.Bucket, in.Key)})
	}
	return needs, nil
}

func mayAbortUpload(in *shape.AbortMultipartUploadInput, who policy.Principal, u object.Begun) ([]authz.Need, error) {
	return initiated("s3:AbortMultipartUpload", in.Bucket, in.Key, who, u)
}

func mayListParts(in *shape.ListPartsInput, who policy.Principal, u object.Begun) ([]authz.Need, error) {
	return initiated("s3:ListMultipartUploadParts", in.Bucket, in.Key, who, u)
}

func mayListUploads(in *shape.ListMultipartUploadsInput) authz.Need {
	return authz.Need{Action: "s3:ListBucketMultipartUploads", Resource: arn.Bucket(in.Bucket)}
}

func (a *API) createMultipartUpload(
	ctx context.Context, g authz.Grant, in *shape.CreateMultipartUploadInput,
) (*shape.CreateMultipartUploadOutput, error) {
	if err := checkUnbuilt(&in.Unbuilt, &in.EncryptionHeaders); err != nil {
		return nil, err
	}
	alg, err := algorithm(in.ChecksumAlgorithm)
	if err != nil {
		return nil, err
	}
	kind, err := checksumType(in.ChecksumType)
	if err != nil {
		return nil, err
	}
	tags, err := tag.Header(in.Tagging)
	if err != nil {
		return nil, err
	}
	request, err := a.aclHeaders(ctx, &in.ACLHeaders, "", true)
	if err != nil {
		return nil, err
	}
	u, err := a.Objects.CreateUpload(ctx, g, object.UploadInput{
		Bucket: in.Bucket, Key: in.Key, StorageClass: in.StorageClass, Tags: tags, ACL: request,
		Metadata:  metadata(&in.Content, in.WebsiteRedirect),
		Algorithm: alg, ChecksumType: kind, Encryption: encryption(&in.EncryptionHeaders, &in.CustomerKey),
		Lock: lockHeaders(&in.LockHeaders),
	})
	if err != nil {
		return nil, err
	}
	out := &shape.CreateMultipartUploadOutput{
		Encrypted: encrypted(u.Encrypted, &in.CustomerKey), Bucket: in.Bucket, Key: in.Key,
		UploadId: u.ID, SSEKMSEncryptionContext: in.SSEKMSContext, Aborts: aborts(u.Aborts),
	}
	if alg != digest.None {
		out.ChecksumAlgorithm, out.ChecksumType = string(alg), string(u.ChecksumType)
	}
	return out, nil
}

func (a *API) uploadPart(
	ctx context.Context, g authz.Grant, in *shape.UploadPartInput,
) (*shape.UploadPartOutput, error) {
	if err := refuseEncryption(&in.NoEncryption); err != nil {
		return nil, err
	}
	alg, sum, expect, err := declared(&in.Integrity, in.Body)
	if err != nil {
		return nil, err
	}
	p, err := a.Objects.PutPart(ctx, g, object.PartInput{
		Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadId, Number: in.PartNumber, Body: in.Body,
		Size: in.Body.Size(), Algorithm: alg, MD5: sum, Expect: expect,
		Customer: customerKey(&in.CustomerKey),
	})
	if err != nil {
		return nil, err
	}
	return &shape.UploadPartOutput{
		ETag: quote(p.ETag), Encrypted: encrypted(p.Encrypted, &in.CustomerKey), Sums: sums(p.Checksum),
	}, nil
}

func (a *API) uploadPartCopy(
	ctx context.Context, g authz.Grant, in *shape.UploadPartCopyInput,
) (*shape.UploadPartCopyOutput, error) {
	if err := refuseEncryption(&in.NoEncryption); err != nil {
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
	p, from, err := a.Objects.CopyPart(ctx, g, object.CopyPartInput{
		Source: object.CopySource{
			Bucket: src.Bucket, Key: src.Key, VersionID: src.VersionID, IfMatch: in.SourceIfMatch,
			IfNoneMatch:     in.SourceIfNoneMatch,
			IfModifiedSince: in.SourceIfModifiedSince, IfUnmodifiedSince: in.SourceIfUnmodifiedSince,
			Customer: sourceCustomerKey(&in.SourceCustomerKey),
		},
		Range: in.CopyRange, Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadId, Number: in.PartNumber,
		Customer: customerKey(&in.CustomerKey),
	})
	if err != nil {
		return nil, g.Conceal(err, src.Bucket)
	}
	return &shape.UploadPartCopyOutput{
		CopySourceVersionId: versionOf(&from), ETag: quote(p.ETag), LastModified: p.Modified,
		Encrypted:   encrypted(p.Encrypted, &in.CustomerKey),
		SumElements: shape.SumElements(sums(p.Checksum)),
	}, nil
}

func (a *API) completeMultipartUpload(
	ctx context.Context, g authz.Grant, in *shape.CompleteMultipartUploadInput,
) (*shape.CompleteMultipartUploadOutput, error) {
	if in.Upload == nil {
		return nil, fault.New(fault.InvalidRequest, "You must specify at least one part")
	}
	parts, err := completedParts(in.Upload.Parts)
	if err != nil {
		return nil, err
	}
	kind, err := checksumType(in.ChecksumType)
	if err != nil {
		return nil, err
	}
	sum, err := finalSum(&in.Sums)
	if err != nil {
		return nil, err
	}
	size, err := objectSize(in.ObjectSize)
	if err != nil {
		return nil, err
	}
	v, err := a.Objects.CompleteUpload(ctx, g, object.CompleteInput{
		Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadId, Parts: parts, ChecksumType: kind, Sums: sum,
		Size: size, IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch, Customer: customerKey(&in.CustomerKey),
	})
	if err != nil {
		return nil, err
	}
	c := checksums(v.Checksum)
	out := &shape.CompleteMultipartUploadOutput{
		ServerSideEncryption: string(v.Encryption), SSEKMSKeyId: v.Encrypted.Key, BucketKeyEnabled: v.BucketKey,
		Location: in.BucketURL + "/" + strings.ReplaceAll(url.PathEscape(in.Key), "%2F", "/"),
		Bucket:   in.Bucket, Key: in.Key, ETag: quote(v.ETag),
		SumElements: shape.SumElements(c.Sums), ChecksumType: c.ChecksumType, Expiration: expiration(v.Expires),
	}
	if v.Versioned && v.ID != object.NullVersion {
		out.VersionId = v.ID
	}
	return out, nil
}

// checksumType decodes x-amz-checksum-type, in upper or lower case.
func checksumType(s string) (object.ChecksumType, error) {
	switch kind := object.ChecksumType(strings.ToUpper(s)); kind {
	case "", object.FullObject, object.Composite:
		return kind, nil
	}
	return "", invalidHeader("x-amz-checksum-type")
}

// finalSum returns the checksum of the whole object. A composite one has the number of its parts.
func finalSum(s *shape.Sums) (map[digest.Algorithm]string, error) {
	all := sent(s)
	if len(all) > 1 {
		return nil, invalidRequest(
			"Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	}
	if len(all) == 0 {
		return nil, nil
	}
	value := *sumField(s, all[0])
	sum, parts, composite := strings.Cut(value, "-")
	if _, err := decodeSum(all[0], sum, ""); err != nil {
		return nil, err
	}
	if _, err := strconv.ParseUint(parts, 10, 16); composite && err != nil {
		return nil, invalidHeader(all[0].Header())
	}
	return map[digest.Algorithm]string{all[0]: value}, nil
}

// objectSize decodes x-amz-mp-object-size.
func objectSize(s string) (*int64, error) {
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return nil, invalidRequest("Value for x-amz-mp-object-size header is invalid: '" + s + "'")
	case n < 0:
		return nil, invalidRequest("Value for x-amz-mp-object-size header is less than zero: '" + s + "'")
	}
	return &n, nil
}

// completedParts decodes the list of parts.
func completedParts(listed []shape.CompletedPart) ([]object.CompletePart, error) {
	if len(listed) > object.MaxParts {
		return nil, malformedXML()
	}
	parts := make([]object.CompletePart, len(listed))
	for i := range listed {
		p := &listed[i]
		if p.PartNumber == nil || p.ETag == nil {
			return nil, malformedXML()
		}
		parts[i] = object.CompletePart{Number: *p.PartNumber, ETag: *p.ETag}
		if err := partSum(&parts[i], (*shape.Sums)(&p.SumElements)); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// partSum sets the checksum of a part, which has at most one.
func partSum(p *object.CompletePart, s *shape.Sums) error {
	all := sent(s)
	said := ""
	for _, alg := range all {
		said += string(alg) + ":" + *sumField(s, alg) + ";"
	}
	for _, alg := range all {
		sum, err := decodeSum(alg, *sumField(s, alg), "")
		if err != nil || len(all) > 1 {
			return invalidArgument("Checksum", "Invalid Base64 or multiple checksums present in request").
				With("ArgumentValue", said)
		}
		p.Algorithm, p.Sum = alg, sum
	}
	return nil
}

func (a *API) abortMultipartUpload(
	ctx context.Context, g authz.Grant, in *shape.AbortMultipartUploadInput,
) (*shape.Empty, error) {
	if in.IfMatchInitiated != "" { // only directory buckets have it
		return nil, notImplemented("x-amz-if-match-initiated-time")
	}
	return nil, a.Objects.AbortUpload(ctx, g, in.Bucket, in.Key, in.UploadId)
}

// initiator returns the principal that began an upload: the root user of an account by the
// account's canonical id, others by their ARN (S3 API reference, Initiator).
func (o *owners) initiator(ctx context.Context, who string) (shape.Initiator, error) {
	at, err := arn.Parse(who)
	if err != nil || at.Resource != "root" {
		return shape.Initiator{ID: who, DisplayName: who[strings.LastIndexByte(who, '/')+1:]}, nil
	}
	owner, err := o.find(ctx, at.Account)
	if err != nil {
		return shape.Initiator{}, err
	}
	return shape.Initiator{ID: owner.ID}, nil
}

func (a *API) listParts(ctx context.Context, g authz.Grant, in *shape.ListPartsInput) (*shape.ListPartsOutput, error) {
	l, err := a.Objects.ListParts(ctx, g, object.ListPartsInput{
		Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadId, After: in.PartNumberMarker, Max: in.MaxParts,
		Customer: customerKey(&in.CustomerKey),
	})
	if err != nil {
		return nil, err
	}
	known := owners{api: a}
	out := &shape.ListPartsOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId, PartNumberMarker: in.PartNumberMarker,
		NextPartNumberMarker: l.Next,
		MaxParts:             pageSize(in.MaxParts), IsTruncated: l.Truncated, StorageClass: l.Upload.StorageClass,
		ChecksumAlgorithm: string(l.Upload.Algorithm), ChecksumType: string(l.Upload.ChecksumType),
		Aborts: aborts(l.Upload.Aborts),
	}
	if out.Owner, err = known.find(ctx, l.Upload.Owner); err != nil {
		return nil, err
	}
	if out.Initiator, err = known.initiator(ctx, l.Upload.Initiator); err != nil {
		return nil, err
	}
	out.Parts = make([]shape.Part, len(l.Parts))
	for i, p := range l.Parts {
		out.Parts[i] = shape.Part{
			PartNumber: p.Number, LastModified: p.Modified, ETag: quote(p.ETag), Size: p.Size,
			SumElements: shape.SumElements(sums(p.Checksum)),
		}
	}
	return out, nil
}

func (a *API) listMultipartUploads(
	ctx context.Context, g authz.Grant, in *shape.ListMultipartUploadsInput,
) (*shape.ListMultipartUploadsOutput, error) {
	l, err := a.Objects.ListUploads(ctx, g, object.ListUploadsInput{
		Bucket: in.Bucket, Prefix: in.Prefix, Delimiter: in.Delimiter, KeyMarker: in.KeyMarker,
		UploadMarker: in.UploadIdMarker, Max: in.MaxUploads,
	})
	if err != nil {
		return nil, err
	}
	show := encoding(in.EncodingType)
	if in.KeyMarker == "" {
		in.UploadIdMarker = "" // it is ignored without a key marker, so it is not shown
	}
	out := &shape.ListMultipartUploadsOutput{
		Bucket: in.Bucket, KeyMarker: show(in.KeyMarker), UploadIdMarker: in.UploadIdMarker, Prefix: show(in.Prefix),
		Delimiter:  show(in.Delimiter),
		MaxUploads: pageSize(in.MaxUploads), EncodingType: in.EncodingType, IsTruncated: l.Truncated,
		CommonPrefixes: prefixes(l.CommonPrefixes, show),
	}
	if l.Truncated {
		out.NextKeyMarker, out.NextUploadIdMarker = show(l.NextKey), l.NextUpload
	}
	known := owners{api: a}
	out.Uploads = make([]shape.UploadEntry, len(l.Uploads))
	for i := range l.Uploads {
		u := &l.Uploads[i]
		e := shape.UploadEntry{
			Key: show(u.Key), UploadId: u.ID, StorageClass: u.StorageClass, Initiated: u.Initiated,
			ChecksumAlgorithm: string(u.Algorithm), ChecksumType: string(u.ChecksumType),
		}
		if e.Owner, err = known.find(ctx, u.Owner); err != nil {
			return nil, err
		}
		if e.Initiator, err = known.initiator(ctx, u.Initiator); err != nil {
			return nil, err
		}
		out.Uploads[i] = e
	}
	return out, nil
}
