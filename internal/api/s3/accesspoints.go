package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/dispatch"
)

// accessPointRows are the listings of access points, of which there are none.
// Those of multi-Region ones are signed for us-west-2 wherever they are asked.
func (a *API) accessPointRows() []dispatch.Row {
	return []dispatch.Row{
		emptyListing[shape.AccessPoints]("ListAccessPoints", "GET /v20180820/accesspoint", a.Buckets.ListAccessPoints),
		emptyListing[shape.MultiRegionAccessPoints]("ListMultiRegionAccessPoints", "GET /v20180820/mrap/instances", a.Buckets.ListMultiRegionAccessPoints),
	}
}

// emptyListing is a listing of an account, which has nothing to list.
func emptyListing[Out any](name, route string, list func(g authz.Grant, account string) error) dispatch.Row {
	action := policy.Action("s3:" + name)
	may := authz.Ask1(func(*shape.AccountInput) authz.Need { return authz.Need{Action: action, Resource: arn.Any()} })
	return dispatch.Define(name, rest.At(route), may, func(_ context.Context, g authz.Grant, in *shape.AccountInput) (*Out, error) {
		if err := list(g, in.AccountId); err != nil {
			return nil, err
		}
		return new(Out), nil
	})
}
