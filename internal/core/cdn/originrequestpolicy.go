package cdn

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
)

func ofOriginRequestPolicy(g authz.Grant, id string) arn.ARN {
	return arn.CloudFront(g.Caller().Principal().Account, "origin-request-policy/"+id)
}

func originRequestPolicyLinks(c *distribution.OriginRequestPolicyConfig) links {
	return links{name: c.Name}
}

func originRequestPolicyDraft(
	c distribution.OriginRequestPolicyConfig,
) (*draft[distribution.OriginRequestPolicyConfig], error) {
	if err := c.Complete(); err != nil {
		return nil, err
	}
	return &draft[distribution.OriginRequestPolicyConfig]{config: c, links: originRequestPolicyLinks(&c)}, nil
}

// CreateOriginRequestPolicy creates an origin request policy. It needs cloudfront:CreateOriginRequestPolicy on
// origin-request-policy/*. Errors: OriginRequestPolicyAlreadyExists, TooManyOriginRequestPolicies, and those
// of distribution.OriginRequestPolicyConfig.Complete.
func (s *Store) CreateOriginRequestPolicy(
	ctx context.Context, g authz.Grant, in distribution.OriginRequestPolicyConfig,
) (out OriginRequestPolicy, err error) {
	if err := g.Demand("cloudfront:CreateOriginRequestPolicy", ofOriginRequestPolicy(g, "*")); err != nil {
		return out, err
	}
	d, err := originRequestPolicyDraft(in)
	if err != nil {
		return out, err
	}
	return create(ctx, s, g, originRequestPolicies(), d)
}

// GetOriginRequestPolicy returns an origin request policy, which may be a managed one. It
// needs cloudfront:GetOriginRequestPolicy on it. Error: NoSuchOriginRequestPolicy.
func (s *Store) GetOriginRequestPolicy(
	ctx context.Context, g authz.Grant, id string,
) (out OriginRequestPolicy, err error) {
	if err := g.Demand("cloudfront:GetOriginRequestPolicy", ofOriginRequestPolicy(g, id)); err != nil {
		return out, err
	}
	return getPolicy(ctx, s, g, originRequestPolicies(), id, distribution.ManagedOriginRequestPolicies())
}

// GetOriginRequestPolicyConfig is like GetOriginRequestPolicy, with a permission of its own.
// It needs cloudfront:GetOriginRequestPolicyConfig on it. Error: NoSuchOriginRequestPolicy.
func (s *Store) GetOriginRequestPolicyConfig(
	ctx context.Context, g authz.Grant, id string,
) (out OriginRequestPolicy, err error) {
	if err := g.Demand("cloudfront:GetOriginRequestPolicyConfig", ofOriginRequestPolicy(g, id)); err != nil {
		return out, err
	}
	return getPolicy(ctx, s, g, originRequestPolicies(), id, distribution.ManagedOriginRequestPolicies())
}

// UpdateOriginRequestPolicy replaces an origin request policy. It needs
// cloudfront:UpdateOriginRequestPolicy on it.
// Errors: NoSuchOriginRequestPolicy, IllegalUpdate for a managed one, InvalidIfMatchVersion,
// PreconditionFailed, and those of CreateOriginRequestPolicy.
func (s *Store) UpdateOriginRequestPolicy(
	ctx context.Context, g authz.Grant, id, ifMatch string, in distribution.OriginRequestPolicyConfig,
) (out OriginRequestPolicy, err error) {
	if err := g.Demand("cloudfront:UpdateOriginRequestPolicy", ofOriginRequestPolicy(g, id)); err != nil {
		return out, err
	}
	if _, ok := distribution.ManagedOriginRequestPolicies()[id]; ok {
		return out, fault.New(fault.IllegalUpdate, "You cannot update a managed policy.")
	}
	d, err := originRequestPolicyDraft(in)
	if err != nil {
		return out, err
	}
	return update(ctx, s, g, originRequestPolicies(), id, ifMatch, d, nil)
}

// DeleteOriginRequestPolicy deletes an origin request policy that no distribution names. It needs
// cloudfront:DeleteOriginRequestPolicy on it. Errors: NoSuchOriginRequestPolicy, IllegalDelete for
// a managed one, InvalidIfMatchVersion, PreconditionFailed, OriginRequestPolicyInUse.
func (s *Store) DeleteOriginRequestPolicy(ctx context.Context, g authz.Grant, id, ifMatch string) error {
	if err := g.Demand("cloudfront:DeleteOriginRequestPolicy", ofOriginRequestPolicy(g, id)); err != nil {
		return err
	}
	if _, ok := distribution.ManagedOriginRequestPolicies()[id]; ok {
		return fault.Of(fault.IllegalDelete)
	}
	return remove[distribution.OriginRequestPolicyConfig](ctx, s, g, originRequestPolicies(), id, ifMatch)
}

// ListOriginRequestPolicies returns a page of the managed policies and of those of the caller's
// account, or of the policies of one type ("managed" or "custom"), in the order of their ids,
// and the marker of the next page. It needs cloudfront:ListOriginRequestPolicies on every resource.
// Error: InvalidArgument for another type.
func (s *Store) ListOriginRequestPolicies(
	ctx context.Context, g authz.Grant, typ string, p Page,
) (all []OriginRequestPolicy, next string, err error) {
	if err := g.Demand("cloudfront:ListOriginRequestPolicies", arn.Any()); err != nil {
		return nil, "", err
	}
	return listPolicies(ctx, s, g, originRequestPolicies(), typ, p, distribution.ManagedOriginRequestPolicies())
}
