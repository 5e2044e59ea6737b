package dispatch

import (
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/fault"
)

// conceal answers 403 where 404 would tell a caller who may not list the
// bucket whether a key exists (S3 API reference, GetObject, Permissions).
func conceal(err error, g authz.Grant, bucket string) *fault.Error {
	f := fault.From(err)
	if f.Code != "NoSuchKey" && f.Code != "NoSuchVersion" {
		return f
	}
	if g.Allows("s3:ListBucket", arn.Bucket(bucket)) {
		return f
	}
	return fault.AccessDenied()
}
