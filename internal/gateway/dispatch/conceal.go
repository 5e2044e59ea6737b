package dispatch

import (
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/sigv4"
)

// concealFrom is Conceal for an exchange. A service that is not S3 has no anonymous
// callers, and tells one that authentication is missing (IAM API reference,
// "Common errors").
func concealFrom(err error, x *exchange) *fault.Error {
	f := Conceal(err, x.grant, x.request.Bucket)
	if f.Code == fault.AccessDenied && x.mustSign() && x.caller.Anonymous() {
		return fault.Of(fault.MissingAuthenticationToken)
	}
	return f
}

// mustSign reports whether the operation is never for anonymous callers.
func (x *exchange) mustSign() bool {
	return x.row != nil && x.service.Rules != sigv4.S3Rules && x.row.Route().Sender() != dialect.Bearer
}

// Conceal answers 403 where an error would tell a caller who may not list the
// bucket whether something is there (S3 API reference, GetObject, Permissions):
// of the request as a whole, of a key in a batch, of the source of a copy.
func Conceal(err error, g authz.Grant, bucket string) *fault.Error {
	f := fault.From(err)
	if f == nil || !f.Tells && f.Code != fault.NoSuchKey && f.Code != fault.NoSuchVersion || g.Allows("s3:ListBucket", arn.Bucket(bucket)) {
		return f
	}
	return fault.Of(fault.AccessDenied).Because(err)
}
