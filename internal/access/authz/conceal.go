package authz

import (
	"watertight/internal/access/arn"
	"watertight/internal/fault"
)

// Conceal returns 403 where an error would tell a caller that may not list the
// bucket whether something is there (S3 API reference, GetObject, Permissions).
// The same rule holds for a request as a whole, a key in a batch, the source of
// a copy, and any other answer about an object. nil stays nil.
func (g Grant) Conceal(err error, bucket string) *fault.Error {
	f := fault.From(err)
	tells := f != nil && (f.Tells || f.Code == fault.NoSuchKey || f.Code == fault.NoSuchVersion)
	if !tells || g.Allows("s3:ListBucket", arn.Bucket(bucket)) {
		return f
	}
	return fault.Of(fault.AccessDenied).Because(err)
}
