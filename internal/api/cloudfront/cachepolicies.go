package cloudfront

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/cloudfront/shape"
	"watertight/internal/core/cdn"
	"watertight/internal/gateway/dispatch"
)

func (a *API) cachePolicyRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateCachePolicy", "POST /cache-policy", 201,
			onNew[shape.CreateCachePolicyInput]("cache-policy"), a.createCachePolicy),
		define("GetCachePolicy", "GET /cache-policy/{Id}", 200,
			on[shape.IDInput]("cache-policy"), a.getCachePolicy),
		define("GetCachePolicyConfig", "GET /cache-policy/{Id}/config", 200,
			on[shape.IDInput]("cache-policy"), a.getCachePolicyConfig),
		define("UpdateCachePolicy", "PUT /cache-policy/{Id}", 200,
			on[shape.UpdateCachePolicyInput]("cache-policy"), a.updateCachePolicy),
		define("DeleteCachePolicy", "DELETE /cache-policy/{Id}", 204,
			on[shape.DeleteInput]("cache-policy"), a.deleteCachePolicy),
		define("ListCachePolicies", "GET /cache-policy", 200,
			onAny[shape.PolicyPageInput], a.listCachePolicies),
	}
}

func (a *API) createCachePolicy(
	ctx context.Context, g authz.Grant, in *shape.CreateCachePolicyInput,
) (*shape.CachePolicyOutput, error) {
	r, err := a.CDN.CreateCachePolicy(ctx, g, in.CachePolicyConfig)
	out, err := answer(&r, err, cachePolicyOutput)
	if err == nil {
		out.New = r.ID
	}
	return out, err
}

func cachePolicyOutput(r *cdn.CachePolicy) *shape.CachePolicyOutput {
	return &shape.CachePolicyOutput{ETag: r.ETag, CachePolicy: cachePolicyOf(r)}
}

func cachePolicyOf(r *cdn.CachePolicy) shape.CachePolicy {
	return shape.CachePolicy{Id: r.ID, LastModifiedTime: r.Modified, CachePolicyConfig: r.Config}
}

func (a *API) getCachePolicy(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.CachePolicyOutput, error) {
	r, err := a.CDN.GetCachePolicy(ctx, g, in.Id)
	return answer(&r, err, cachePolicyOutput)
}

func (a *API) getCachePolicyConfig(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.CachePolicyConfigOutput, error) {
	r, err := a.CDN.GetCachePolicyConfig(ctx, g, in.Id)
	if err != nil {
		return nil, err
	}
	return &shape.CachePolicyConfigOutput{ETag: r.ETag, CachePolicyConfig: r.Config}, nil
}

func (a *API) updateCachePolicy(
	ctx context.Context, g authz.Grant, in *shape.UpdateCachePolicyInput,
) (*shape.CachePolicyOutput, error) {
	r, err := a.CDN.UpdateCachePolicy(ctx, g, in.Id, in.IfMatch, in.CachePolicyConfig)
	return answer(&r, err, cachePolicyOutput)
}

func (a *API) deleteCachePolicy(
	ctx context.Context, g authz.Grant, in *shape.DeleteInput,
) (*shape.Empty, error) {
	return nil, a.CDN.DeleteCachePolicy(ctx, g, in.Id, in.IfMatch)
}

func (a *API) listCachePolicies(
	ctx context.Context, g authz.Grant, in *shape.PolicyPageInput,
) (*shape.ListCachePoliciesOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	all, next, err := a.CDN.ListCachePolicies(ctx, g, in.Type, p)
	if err != nil {
		return nil, err
	}
	return &shape.ListCachePoliciesOutput{CachePolicyList: shape.CachePolicyList{
		NextMarker: next, MaxItems: p.Size(), Quantity: len(all),
		Items: each(all, func(r *cdn.CachePolicy) shape.CachePolicySummary {
			return shape.CachePolicySummary{
				Type: typeOf(r.Managed), CachePolicy: cachePolicyOf(r),
			}
		}),
	}}, nil
}

// typeOf returns the API's name for who made a policy.
func typeOf(managed bool) string {
	if managed {
		return "managed"
	}
	return "custom"
}
