package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/bucket"
	"watertight/internal/core/mfa"
	"watertight/internal/core/object"
	"watertight/internal/fault"
)

func mayPutBucketVersioning(in *shape.PutBucketVersioningInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketVersioning", Resource: arn.Bucket(in.Bucket)}
}

func mayListObjectVersions(in *shape.ListObjectVersionsInput) authz.Need {
	return listNeed("s3:ListBucketVersions", in.Bucket, in.Prefix, in.Delimiter, in.MaxKeys)
}

func (a *API) putBucketVersioning(
	ctx context.Context, g authz.Grant, in *shape.PutBucketVersioningInput,
) (*shape.Empty, error) {
	if in.Configuration == nil {
		return nil, missingBody()
	}
	var want bucket.VersioningInput
	switch in.Configuration.MfaDelete {
	case "":
	case "Enabled":
		want.MFADelete = bucket.MFADeleteEnabled
	case "Disabled":
		want.MFADelete = bucket.MFADeleteDisabled
	default:
		return nil, malformedXML()
	}
	switch in.Configuration.Status {
	case "": // no status is refused below
	case "Enabled":
		want.State = bucket.Enabled
	case "Suspended":
		want.State = bucket.Suspended
	default:
		return nil, malformedXML()
	}
	var err error
	if want.MFA, err = a.proof(ctx, g, in.MFA); err != nil {
		return nil, err
	}
	return nil, a.Buckets.SetVersioning(ctx, g, in.Bucket, want)
}

// proof uses up the code in x-amz-mfa, if there is one. An invalid one fails the request,
// even if nothing needs it (S3 API reference, DeleteObjects).
func (a *API) proof(ctx context.Context, g authz.Grant, header *string) (mfa.Proof, error) {
	if header == nil {
		return mfa.Proof{}, nil
	}
	return a.Devices.ProveRoot(ctx, g.Caller(), *header)
}

func (a *API) getBucketVersioning(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.VersioningConfiguration, error) {
	state, mfaDelete, err := a.Buckets.GetVersioning(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	out := &shape.VersioningConfiguration{}
	switch state {
	case bucket.Enabled:
		out.Status = "Enabled"
	case bucket.Suspended:
		out.Status = "Suspended"
	}
	switch mfaDelete {
	case bucket.MFADeleteEnabled:
		out.MfaDelete = "Enabled"
	case bucket.MFADeleteDisabled:
		out.MfaDelete = "Disabled"
	}
	return out, nil
}

func (a *API) listObjectVersions(
	ctx context.Context, g authz.Grant, in *shape.ListObjectVersionsInput,
) (*shape.ListObjectVersionsOutput, error) {
	list := object.ListVersionsInput{
		Bucket: in.Bucket, Prefix: text(in.Prefix), Delimiter: text(in.Delimiter), KeyMarker: in.KeyMarker,
		VersionIDMarker: in.VersionIdMarker, Max: in.MaxKeys,
	}
	lines := a.newLines(in.EncodingType, true)
	l, err := a.Objects.ListVersions(ctx, g, list, func(key []byte, e *object.VersionEntry) error {
		return lines.version(ctx, key, e)
	})
	if err != nil {
		lines.to.Release()
		return nil, err
	}
	show := encoding(in.EncodingType)
	out := &shape.ListObjectVersionsOutput{
		Name: in.Bucket, Prefix: show(text(in.Prefix)), KeyMarker: show(in.KeyMarker),
		Delimiter:     show(text(in.Delimiter)),
		NextKeyMarker: show(l.NextKey), NextVersionIdMarker: l.NextVersionID,
		VersionIdMarker: text(in.VersionIdMarker), MaxKeys: pageSize(in.MaxKeys), EncodingType: in.EncodingType,
		IsTruncated: l.Truncated, Entries: lines.to, CommonPrefixes: prefixes(l.CommonPrefixes, show),
	}
	return out, nil
}

func malformedXML() error {
	return fault.Of(fault.MalformedXML)
}

func missingBody() error {
	return fault.Of(fault.MissingRequestBodyError)
}

// versionOf returns the version header of a response about an object.
func versionOf(v *object.Version) string {
	if !v.Versioned {
		return ""
	}
	return v.ID
}
