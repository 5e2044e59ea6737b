package authz

import (
	"watertight/internal/access/arn"
	"watertight/internal/fault"
)

// Conceal returns 403 instead of an error that would disclose whether something exists to a
// caller who may not list the bucket (S3 API reference, GetObject, Permissions). The same
// rule applies to a whole request, a key in a batch, the source of a copy, and any other
// response about an object. For nil it returns nil.
func (g Grant) Conceal(err error, bucket string) *fault.Error {
	f := fault.From(err)
	tells := f != nil && (f.Tells || f.Code == fault.NoSuchKey || f.Code == fault.NoSuchVersion)
	if !tells || g.Allows("s3:ListBucket", arn.Bucket(bucket)) {
		return f
	}
	return fault.Of(fault.AccessDenied).Because(err)
}
