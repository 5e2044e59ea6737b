package cdn

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
)

func ofResponseHeadersPolicy(g authz.Grant, id string) arn.ARN {
	return arn.CloudFront(g.Caller().Principal().Account, "response-headers-policy/"+id)
}

func responseHeadersPolicyLinks(c *distribution.ResponseHeadersPolicyConfig) links {
	return links{name: c.Name}
}

func responseHeadersPolicyDraft(
	c distribution.ResponseHeadersPolicyConfig,
) (*draft[distribution.ResponseHeadersPolicyConfig], error) {
	if err := c.Complete(); err != nil {
		return nil, err
	}
	return &draft[distribution.ResponseHeadersPolicyConfig]{config: c, links: responseHeadersPolicyLinks(&c)}, nil
}

// CreateResponseHeadersPolicy creates a response headers policy. It needs cloudfront:CreateResponseHeadersPolicy on
// response-headers-policy/*. Errors: ResponseHeadersPolicyAlreadyExists, TooManyResponseHeadersPolicies, and those
// of distribution.ResponseHeadersPolicyConfig.Complete.
func (s *Store) CreateResponseHeadersPolicy(
	ctx context.Context, g authz.Grant, in distribution.ResponseHeadersPolicyConfig,
) (out ResponseHeadersPolicy, err error) {
	if err := g.Demand("cloudfront:CreateResponseHeadersPolicy", ofResponseHeadersPolicy(g, "*")); err != nil {
		return out, err
	}
	d, err := responseHeadersPolicyDraft(in)
	if err != nil {
		return out, err
	}
	return create(ctx, s, g, responseHeadersPolicies(), d)
}

// GetResponseHeadersPolicy returns a response headers policy, which may be a managed one. It
// needs cloudfront:GetResponseHeadersPolicy on it. Error: NoSuchResponseHeadersPolicy.
func (s *Store) GetResponseHeadersPolicy(
	ctx context.Context, g authz.Grant, id string,
) (out ResponseHeadersPolicy, err error) {
	if err := g.Demand("cloudfront:GetResponseHeadersPolicy", ofResponseHeadersPolicy(g, id)); err != nil {
		return out, err
	}
	return getPolicy(ctx, s, g, responseHeadersPolicies(), id, distribution.ManagedResponseHeadersPolicies())
}

// GetResponseHeadersPolicyConfig is like GetResponseHeadersPolicy, with a permission of its
// own. It needs cloudfront:GetResponseHeadersPolicyConfig on it. Error:
// NoSuchResponseHeadersPolicy.
func (s *Store) GetResponseHeadersPolicyConfig(
	ctx context.Context, g authz.Grant, id string,
) (out ResponseHeadersPolicy, err error) {
	if err := g.Demand("cloudfront:GetResponseHeadersPolicyConfig", ofResponseHeadersPolicy(g, id)); err != nil {
		return out, err
	}
	return getPolicy(ctx, s, g, responseHeadersPolicies(), id, distribution.ManagedResponseHeadersPolicies())
}

// UpdateResponseHeadersPolicy replaces a response headers policy. It needs
// cloudfront:UpdateResponseHeadersPolicy on it.
// Errors: NoSuchResponseHeadersPolicy, IllegalUpdate for a managed one, InvalidIfMatchVersion,
// PreconditionFailed, and those of CreateResponseHeadersPolicy.
func (s *Store) UpdateResponseHeadersPolicy(
	ctx context.Context, g authz.Grant, id, ifMatch string, in distribution.ResponseHeadersPolicyConfig,
) (out ResponseHeadersPolicy, err error) {
	if err := g.Demand("cloudfront:UpdateResponseHeadersPolicy", ofResponseHeadersPolicy(g, id)); err != nil {
		return out, err
	}
	if _, ok := distribution.ManagedResponseHeadersPolicies()[id]; ok {
		return out, fault.New(fault.IllegalUpdate, "You cannot update a managed policy.")
	}
	d, err := responseHeadersPolicyDraft(in)
	if err != nil {
		return out, err
	}
	return update(ctx, s, g, responseHeadersPolicies(), id, ifMatch, d, nil)
}

// DeleteResponseHeadersPolicy deletes a response headers policy that no distribution names. It needs
// cloudfront:DeleteResponseHeadersPolicy on it. Errors: NoSuchResponseHeadersPolicy, IllegalDelete for
// a managed one, InvalidIfMatchVersion, PreconditionFailed, ResponseHeadersPolicyInUse.
func (s *Store) DeleteResponseHeadersPolicy(ctx context.Context, g authz.Grant, id, ifMatch string) error {
	if err := g.Demand("cloudfront:DeleteResponseHeadersPolicy", ofResponseHeadersPolicy(g, id)); err != nil {
		return err
	}
	if _, ok := distribution.ManagedResponseHeadersPolicies()[id]; ok {
		return fault.Of(fault.IllegalDelete)
	}
	return remove[distribution.ResponseHeadersPolicyConfig](ctx, s, g, responseHeadersPolicies(), id, ifMatch)
}

// ListResponseHeadersPolicies returns a page of the managed policies and of those of the caller's
// account, or of the policies of one type ("managed" or "custom"), in the order of their ids,
// and the marker of the next page. It needs cloudfront:ListResponseHeadersPolicies on every resource.
// Error: InvalidArgument for another type.
func (s *Store) ListResponseHeadersPolicies(
	ctx context.Context, g authz.Grant, typ string, p Page,
) (all []ResponseHeadersPolicy, next string, err error) {
	if err := g.Demand("cloudfront:ListResponseHeadersPolicies", arn.Any()); err != nil {
		return nil, "", err
	}
	return listPolicies(ctx, s, g, responseHeadersPolicies(), typ, p, distribution.ManagedResponseHeadersPolicies())
}
