package s3

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/access/objectkey"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/fault"
)

func (a *API) deleteObject(
	ctx context.Context, g authz.Grant, in *shape.DeleteObjectInput,
) (*shape.DeleteObjectOutput, error) {
	for name, value := range map[string]string{
		"x-amz-if-match-last-modified-time": in.IfMatchModified, "x-amz-if-match-size": in.IfMatchSize,
	} {
		if value != "" { // only directory buckets have it
			return nil, notImplemented(name)
		}
	}
	mfa, err := a.proof(ctx, g, in.MFA)
	if err != nil {
		return nil, err
	}
	d, err := a.Objects.Delete(ctx, g, in.Bucket, object.DeleteInput{
		Key: in.Key, VersionID: in.VersionId, IfMatch: in.IfMatch, Bypass: in.Bypass, MFA: mfa,
	})
	if err != nil {
		return nil, err
	}
	out := &shape.DeleteObjectOutput{DeleteMarker: d.DeleteMarker, VersionId: d.VersionID}
	if out.VersionId == "" {
		out.VersionId = d.MarkerID
	}
	return out, nil
}

// checkDelete refuses invalid documents (S3 API reference, DeleteObjects: 1 to 1,000 keys).
func checkDelete(d *shape.Delete) error {
	if n := len(d.Objects); n == 0 || n > object.MaxPage {
		return malformedXML()
	}
	for _, o := range d.Objects {
		if o.Key == "" {
			return malformedXML()
		}
	}
	return nil
}

func (a *API) deleteObjects(
	ctx context.Context, g authz.Grant, in *shape.DeleteObjectsInput,
) (*shape.DeleteObjectsOutput, error) {
	out := &shape.DeleteObjectsOutput{}
	items := make([]object.DeleteInput, 0, len(in.Delete.Objects))
	for _, o := range in.Delete.Objects {
		err := objectkey.Check(o.Key)
		if o.LastModifiedTime != nil || o.Size != nil { // only directory buckets have them
			err = notImplemented("LastModifiedTime")
		}
		if err != nil {
			out.Errors = append(out.Errors, deleteError(o.Key, o.VersionId, fault.From(err)))
			continue
		}
		items = append(items, object.DeleteInput{
			Key: o.Key, VersionID: o.VersionId, IfMatch: o.ETag, Bypass: in.Bypass,
		})
	}
	if object.AnyGranted(g, in.Bucket, items) { // without permission, no code is used up
		mfa, err := a.proof(ctx, g, in.MFA)
		if err != nil {
			return nil, err
		}
		for i := range items {
			items[i].MFA = mfa
		}
	}
	done, err := a.Objects.DeleteMany(ctx, g, in.Bucket, items)
	if err != nil {
		return nil, err
	}
	for i, d := range done {
		switch {
		case d.Err != nil:
			out.Errors = append(out.Errors, deleteError(d.Key, items[i].VersionID, g.Conceal(d.Err, in.Bucket)))
		case !in.Delete.Quiet:
			out.Deleted = append(out.Deleted, shape.Deleted{
				Key: d.Key, VersionId: d.VersionID, DeleteMarker: d.DeleteMarker, DeleteMarkerVersionId: d.MarkerID,
			})
		}
	}
	return out, nil
}

// deleteError returns the entry of the response for a key that was not deleted.
func deleteError(key string, version *string, f *fault.Error) shape.DeleteError {
	e := shape.DeleteError{Key: key, Code: string(f.Code), Message: f.Message}
	if version != nil {
		e.VersionId = *version
	}
	return e
}
