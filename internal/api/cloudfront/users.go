package cloudfront

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/cloudfront/shape"
	"watertight/internal/core/cdn"
	"watertight/internal/gateway/dispatch"
)

// userRows are listings of the distributions that use something.
func (a *API) userRows() []dispatch.Row {
	return []dispatch.Row{
		define("ListDistributionsByCachePolicyId", "GET /distributionsByCachePolicyId/{Id}", 200,
			onAny[shape.UsersInput], listUsers(a.CDN.ListDistributionsByCachePolicyId)),
		define("ListDistributionsByOriginRequestPolicyId", "GET /distributionsByOriginRequestPolicyId/{Id}", 200,
			onAny[shape.UsersInput], listUsers(a.CDN.ListDistributionsByOriginRequestPolicyId)),
		define("ListDistributionsByResponseHeadersPolicyId", "GET /distributionsByResponseHeadersPolicyId/{Id}", 200,
			onAny[shape.UsersInput], listUsers(a.CDN.ListDistributionsByResponseHeadersPolicyId)),
		define("ListDistributionsByKeyGroup", "GET /distributionsByKeyGroupId/{Id}", 200,
			onAny[shape.UsersInput], listUsers(a.CDN.ListDistributionsByKeyGroup)),
	}
}

// listUsers returns the handler of a listing.
func listUsers(
	list func(context.Context, authz.Grant, string, cdn.Page) ([]string, string, error),
) func(context.Context, authz.Grant, *shape.UsersInput) (*shape.UsersOutput, error) {
	return func(ctx context.Context, g authz.Grant, in *shape.UsersInput) (*shape.UsersOutput, error) {
		p, err := pageOf(in.Marker, in.MaxItems)
		if err != nil {
			return nil, err
		}
		all, next, err := list(ctx, g, in.Id, p)
		if err != nil {
			return nil, err
		}
		return &shape.UsersOutput{DistributionIdList: shape.DistributionIDList{
			Marker: in.Marker, NextMarker: next, MaxItems: p.Size(), IsTruncated: next != "", Quantity: len(all),
			Items: all,
		}}, nil
	}
}
