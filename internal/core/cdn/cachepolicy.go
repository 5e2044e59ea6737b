package cdn

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
)

func ofCachePolicy(g authz.Grant, id string) arn.ARN {
	return arn.CloudFront(g.Caller().Principal().Account, "cache-policy/"+id)
}

func cachePolicyLinks(c *distribution.CachePolicyConfig) links { return links{name: c.Name} }

func cachePolicyDraft(c distribution.CachePolicyConfig) (*draft[distribution.CachePolicyConfig], error) {
	if err := c.Complete(); err != nil {
		return nil, err
	}
	return &draft[distribution.CachePolicyConfig]{config: c, links: cachePolicyLinks(&c)}, nil
}

// CreateCachePolicy creates a cache policy. It needs cloudfront:CreateCachePolicy on
// cache-policy/*. Errors: CachePolicyAlreadyExists, TooManyCachePolicies, and those
// of distribution.CachePolicyConfig.Complete.
func (s *Store) CreateCachePolicy(
	ctx context.Context, g authz.Grant, in distribution.CachePolicyConfig,
) (out CachePolicy, err error) {
	if err := g.Demand("cloudfront:CreateCachePolicy", ofCachePolicy(g, "*")); err != nil {
		return out, err
	}
	d, err := cachePolicyDraft(in)
	if err != nil {
		return out, err
	}
	return create(ctx, s, g, cachePolicies(), d)
}

// GetCachePolicy returns a cache policy, which may be a managed one. It needs
// cloudfront:GetCachePolicy on it. Error: NoSuchCachePolicy.
func (s *Store) GetCachePolicy(ctx context.Context, g authz.Grant, id string) (out CachePolicy, err error) {
	if err := g.Demand("cloudfront:GetCachePolicy", ofCachePolicy(g, id)); err != nil {
		return out, err
	}
	return getPolicy(ctx, s, g, cachePolicies(), id, distribution.ManagedCachePolicies())
}

// GetCachePolicyConfig is like GetCachePolicy, with a permission of its own. It needs
// cloudfront:GetCachePolicyConfig on it. Error: NoSuchCachePolicy.
func (s *Store) GetCachePolicyConfig(
	ctx context.Context, g authz.Grant, id string,
) (out CachePolicy, err error) {
	if err := g.Demand("cloudfront:GetCachePolicyConfig", ofCachePolicy(g, id)); err != nil {
		return out, err
	}
	return getPolicy(ctx, s, g, cachePolicies(), id, distribution.ManagedCachePolicies())
}

// UpdateCachePolicy replaces a cache policy. It needs cloudfront:UpdateCachePolicy on it.
// Errors: NoSuchCachePolicy, IllegalUpdate for a managed one, InvalidIfMatchVersion,
// PreconditionFailed, and those of CreateCachePolicy.
func (s *Store) UpdateCachePolicy(
	ctx context.Context, g authz.Grant, id, ifMatch string, in distribution.CachePolicyConfig,
) (out CachePolicy, err error) {
	if err := g.Demand("cloudfront:UpdateCachePolicy", ofCachePolicy(g, id)); err != nil {
		return out, err
	}
	if _, ok := distribution.ManagedCachePolicies()[id]; ok {
		return out, fault.New(fault.IllegalUpdate, "You cannot update a managed policy.")
	}
	d, err := cachePolicyDraft(in)
	if err != nil {
		return out, err
	}
	return update(ctx, s, g, cachePolicies(), id, ifMatch, d, nil)
}

// DeleteCachePolicy deletes a cache policy that no distribution names. It needs
// cloudfront:DeleteCachePolicy on it. Errors: NoSuchCachePolicy, IllegalDelete for
// a managed one, InvalidIfMatchVersion, PreconditionFailed, CachePolicyInUse.
func (s *Store) DeleteCachePolicy(ctx context.Context, g authz.Grant, id, ifMatch string) error {
	if err := g.Demand("cloudfront:DeleteCachePolicy", ofCachePolicy(g, id)); err != nil {
		return err
	}
	if _, ok := distribution.ManagedCachePolicies()[id]; ok {
		return fault.Of(fault.IllegalDelete)
	}
	return remove[distribution.CachePolicyConfig](ctx, s, g, cachePolicies(), id, ifMatch)
}

// ListCachePolicies returns a page of the managed policies and of those of the caller's
// account, or of the policies of one type ("managed" or "custom"), in the order of their ids,
// and the marker of the next page. It needs cloudfront:ListCachePolicies on every resource.
// Error: InvalidArgument for another type.
func (s *Store) ListCachePolicies(
	ctx context.Context, g authz.Grant, typ string, p Page,
) (all []CachePolicy, next string, err error) {
	if err := g.Demand("cloudfront:ListCachePolicies", arn.Any()); err != nil {
		return nil, "", err
	}
	return listPolicies(ctx, s, g, cachePolicies(), typ, p, distribution.ManagedCachePolicies())
}
