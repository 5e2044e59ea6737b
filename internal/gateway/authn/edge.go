package authn

import (
	"context"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/credential"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// Edges say which requests the credential of an edge on another machine may send to buckets.
// Package server implements it with core/cdn.
type Edges interface {
	// Sends returns as which service, and on whose behalf, an edge sends a request to a bucket.
	// token is the request's session token, which says what the request is for. Error:
	// AccessDenied.
	Sends(ctx context.Context, accessKeyID, token string, r *protocol.Request) (*Service, error)
}

// edgeCaller returns the caller of a request that an edge's credential signed. Such a
// credential sends requests for objects and delivers access logs, as the service principals
// for one of its distributions, and asks for its own configuration; all else is refused here.
func (i *Identifier) edgeCaller(
	ctx context.Context, r *protocol.Request, claim *sigv4.Claim, c *credential.Credential, at time.Time,
) (authz.Caller, error) {
	if i.options.Edges == nil || claim.Mode != sigv4.Header {
		return authz.Caller{}, fault.Of(fault.AccessDenied)
	}
	from, principal := i.origin(r), &c.Principal
	s := situation(r, origin{tls: from.tls, secure: from.secure}) // like the edge in process, it has no source address
	s.At, s.AccessKeyID = at, c.AccessKeyID
	switch {
	case r.Service.Name == "cloudfront" && claim.Token == "":
	case r.Service.Name == "s3" && claim.Token != "":
		as, err := i.options.Edges.Sends(ctx, c.AccessKeyID, claim.Token, r)
		if err != nil {
			return authz.Caller{}, err
		}
		s.Keys = conditionKeys(r, from, claim, claim.Region, nil)
		s.Keys["aws:sourcearn"], s.Keys["aws:sourceaccount"] = []string{as.SourceARN}, []string{as.SourceAccount}
		r.Claimed.SourceARN = as.SourceARN
		principal = &policy.Principal{Kind: policy.Service, Name: as.Name}
	default:
		return authz.Caller{}, fault.Of(fault.AccessDenied)
	}
	s.Sender = authz.SenderFunc(func(ctx context.Context, at time.Time) (authz.Caller, error) {
		now, err := i.credentials.Lookup(ctx, c.AccessKeyID)
		switch {
		case err != nil:
			return authz.Caller{}, err
		case now == nil || !now.Active || now.Principal.Kind != policy.Service:
			return authz.Caller{}, unknownKey(c.AccessKeyID)
		}
		return i.edgeCaller(ctx, r, claim, now, at)
	})
	return authz.NewCaller(principal, &s), nil
}
