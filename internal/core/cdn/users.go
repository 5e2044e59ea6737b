package cdn

import (
	"context"
	"slices"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/distribution"
	"watertight/internal/storage/kv"
)

// ListDistributionsByCachePolicyId returns a page of the ids of the distributions that name a
// cache policy, and the marker of the next page. It needs
// cloudfront:ListDistributionsByCachePolicyId on every resource. Error: NoSuchCachePolicy.
func (s *Store) ListDistributionsByCachePolicyId(
	ctx context.Context, g authz.Grant, id string, p Page,
) (all []string, next string, err error) {
	if err := g.Demand("cloudfront:ListDistributionsByCachePolicyId", arn.Any()); err != nil {
		return nil, "", err
	}
	return users(ctx, s, g, cachePolicies(), id, distribution.ManagedCachePolicies(), p,
		func(r distribution.References) []string { return r.CachePolicies })
}

// ListDistributionsByOriginRequestPolicyId is the same for origin request policies. It needs
// cloudfront:ListDistributionsByOriginRequestPolicyId on every resource. Error:
// NoSuchOriginRequestPolicy.
func (s *Store) ListDistributionsByOriginRequestPolicyId(
	ctx context.Context, g authz.Grant, id string, p Page,
) (all []string, next string, err error) {
	if err := g.Demand("cloudfront:ListDistributionsByOriginRequestPolicyId", arn.Any()); err != nil {
		return nil, "", err
	}
	return users(ctx, s, g, originRequestPolicies(), id, distribution.ManagedOriginRequestPolicies(), p,
		func(r distribution.References) []string { return r.OriginRequestPolicies })
}

// ListDistributionsByResponseHeadersPolicyId is the same for response headers policies. It
// needs cloudfront:ListDistributionsByResponseHeadersPolicyId on every resource. Error:
// NoSuchResponseHeadersPolicy.
func (s *Store) ListDistributionsByResponseHeadersPolicyId(
	ctx context.Context, g authz.Grant, id string, p Page,
) (all []string, next string, err error) {
	if err := g.Demand("cloudfront:ListDistributionsByResponseHeadersPolicyId", arn.Any()); err != nil {
		return nil, "", err
	}
	return users(ctx, s, g, responseHeadersPolicies(), id, distribution.ManagedResponseHeadersPolicies(), p,
		func(r distribution.References) []string { return r.ResponseHeadersPolicies })
}

// ListDistributionsByKeyGroup is the same for key groups. It needs
// cloudfront:ListDistributionsByKeyGroup on every resource. Error: NoSuchResource.
func (s *Store) ListDistributionsByKeyGroup(
	ctx context.Context, g authz.Grant, id string, p Page,
) (all []string, next string, err error) {
	if err := g.Demand("cloudfront:ListDistributionsByKeyGroup", arn.Any()); err != nil {
		return nil, "", err
	}
	return users[struct{}](ctx, s, g, keyGroups(), id, nil, p,
		func(r distribution.References) []string { return r.KeyGroups })
}

// users returns a page of the ids of the distributions of the grant's account that refer to an
// id. It reads all of them, because an account has few.
func users[C any](
	ctx context.Context, s *Store, g authz.Grant, k kind, id string, managed map[string]C, p Page,
	of func(distribution.References) []string,
) (all []string, next string, err error) {
	owner, err := account(g)
	if err != nil {
		return nil, "", err
	}
	return all, next, change.View(ctx, s.store, g, func(r kv.Reader) error {
		if _, ok := managed[id]; !ok {
			if _, err := readItem(r, k, owner, id); err != nil {
				return err
			}
		}
		ids, err := record.Names(r, ownedKey(distributions(), owner, ""))
		if err != nil {
			return err
		}
		var found []string
		for _, one := range ids {
			_, c, err := read[distribution.Config](r, distributions(), owner, one)
			if err != nil {
				return err
			}
			if slices.Contains(of(c.References()), id) {
				found = append(found, one)
			}
		}
		all, next = cut(found, func(id *string) string { return *id }, p)
		return nil
	})
}
