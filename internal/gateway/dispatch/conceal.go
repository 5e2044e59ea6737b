package dispatch

import (
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// concealFrom is conceal for an exchange. To a stranger, a service without
// anonymous callers says that authentication is missing (IAM API reference,
// "Common errors").
func concealFrom(err error, x *exchange) *fault.Error {
	f := conceal(err, x.grant, x.request.Bucket)
	if f.Code == "AccessDenied" && x.row != nil && x.row.Route().Action() != "" && !x.row.Route().IsUnsigned() && x.record.Event.Identity.Principal.Kind == policy.Anonymous {
		return fault.New(fault.Denied, "MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	return f
}

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
