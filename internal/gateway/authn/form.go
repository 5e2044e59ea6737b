package authn

import (
	"context"
	"slices"
	"strings"

	"watertight/internal/access/authz"
	"watertight/internal/access/objectkey"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/gateway/form"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// IdentifyForm is Identify for a POST form. It reads the form up to its file, which is the
// body that it returns, and sets the request's key and fields. It verifies the signature
// and the policy of a signed form; a form without any trace of a signature is anonymous.
func (i *Identifier) IdentifyForm(ctx context.Context, r *protocol.Request) (authz.Caller, sigv4.Body, error) {
	if err := i.checkBare(r); err != nil {
		return authz.Caller{}, nil, err
	}
	f, err := form.Read(r.HTTP)
	if err != nil {
		return authz.Caller{}, nil, err
	}
	r.Arrive() // the time of the request is that of its fields
	r.Key, r.Fields = f.Key, f.Header()
	if err := objectkey.Check(r.Key); err != nil {
		return authz.Caller{}, nil, err
	}
	claim, err := sigv4.ParseForm(f.Field, sigv4.Target{Service: r.Service.SigningName, Region: i.options.Region}, r.At)
	claimed(r, claim)
	if err != nil {
		return authz.Caller{}, nil, err
	}
	if claim.Mode == sigv4.None {
		return i.anonymous(r, claim), f.File, nil
	}
	c, _, err := i.verify(ctx, claim, r.At)
	if err != nil {
		return authz.Caller{}, nil, err
	}
	if c.Principal.Kind == policy.Service {
		return authz.Caller{}, nil, fault.Of(fault.AccessDenied) // edges send no forms
	}
	p, err := form.ParsePolicy(f.Field("policy"))
	if err != nil {
		return authz.Caller{}, nil, err
	}
	if err := p.Check(f, r.Bucket, r.At); err != nil {
		return authz.Caller{}, nil, err
	}
	by := &signer{i: i, request: r, claim: claim}
	return by.caller(c, r.At), f.File, nil
}

// checkBare refuses a form whose request is also signed, or has headers that would change
// its meaning: the form's signature does not cover them.
func (i *Identifier) checkBare(r *protocol.Request) error {
	claim := new(sigv4.Claim)
	if err := i.claim(r, claim); err != nil {
		return err
	}
	if claim.Mode != sigv4.None {
		return fault.New(fault.InvalidArgument,
			"Only one auth mechanism allowed; a POST form is authenticated by its fields alone").
			With("ArgumentName", "Authorization").With("ArgumentValue", "")
	}
	var unsigned []string
	for name := range r.HTTP.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") &&
			(lower != "x-amz-content-sha256" || claim.Payload != sigv4.UnsignedPayload) {
			unsigned = append(unsigned, lower)
		}
	}
	if unsigned == nil {
		return nil
	}
	slices.Sort(unsigned)
	return fault.New(fault.AccessDenied, "There were headers present in the request which were not signed").
		With("HeadersNotSigned", strings.Join(unsigned, ", "))
}
