package authn

import (
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// Service is a service of this server that sends a request on behalf of a resource. Its
// principal belongs to no account, so that only policies of resources allow it anything
// (IAM user guide, "AWS service principals").
type Service struct {
	Name          string // "cloudfront.amazonaws.com"
	SourceARN     string // of the resource on whose behalf it acts: aws:SourceArn
	SourceAccount string // the account that owns this resource: aws:SourceAccount
}

// The payload hash of a request without a body.
const emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// IdentifyService returns a service as the caller of a request that the service itself
// makes in process. The request counts as signed and as sent over TLS, and has no source
// address. Only here and in edgeCaller do requests get aws:SourceArn and aws:SourceAccount.
// A request with any trace of another sender's authentication is refused: InvalidArgument,
// AccessDenied.
func (i *Identifier) IdentifyService(r *protocol.Request, as *Service) (authz.Caller, sigv4.Body, error) {
	claim := new(sigv4.Claim)
	err := i.claim(r, claim)
	switch {
	case err != nil:
		return authz.Caller{}, nil, err
	case claim.Mode != sigv4.None:
		return authz.Caller{}, nil, fault.New(fault.InvalidArgument,
			"Only one auth mechanism allowed; a service signs its requests itself").
			With("ArgumentName", "Authorization").With("ArgumentValue", "")
	case !r.InProcess || as.Name == "" || as.SourceARN == "" || as.SourceAccount == "":
		return authz.Caller{}, nil, fault.Of(fault.AccessDenied)
	}
	body, err := claim.Body(sigv4.Key{})
	if err != nil {
		return authz.Caller{}, nil, err
	}
	from := i.origin(r)
	s := situation(r, from)
	s.Keys = conditionKeys(r, from, claim, i.options.Region, nil)
	s.Keys["aws:sourcearn"], s.Keys["aws:sourceaccount"] = []string{as.SourceARN}, []string{as.SourceAccount}
	s.Keys["s3:authtype"], s.Keys["s3:signatureversion"] = []string{"REST-HEADER"}, []string{"AWS4-HMAC-SHA256"}
	if claim.Payload == "" {
		payload := sigv4.UnsignedPayload
		if r.HTTP.ContentLength == 0 {
			payload = emptyPayload
		}
		s.Keys["s3:x-amz-content-sha256"] = []string{payload}
	}
	return authz.NewCaller(&policy.Principal{Kind: policy.Service, Name: as.Name}, &s), body, nil
}
