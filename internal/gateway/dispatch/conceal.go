package dispatch

import (
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/sigv4"
)

// concealFrom is authz.Grant.Conceal for an exchange. Services other than S3 have no
// anonymous callers; they answer such a caller that authentication is missing (IAM API
// reference, "Common errors").
func concealFrom(err error, x *exchange) *fault.Error {
	f := x.grant.Conceal(err, x.request.Bucket)
	if f.Code == fault.AccessDenied && x.mustSign() && x.anonymous {
		return fault.Of(fault.MissingAuthenticationToken)
	}
	return f
}

// mustSign reports whether the operation never accepts anonymous callers.
func (x *exchange) mustSign() bool {
	return x.row != nil && x.service.Rules != sigv4.S3Rules && x.row.Route().Sender() != dialect.Bearer
}
