package s3

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/dispatch"
)

// emptyListing defines an operation that lists nothing of an account. Requests for
// multi-Region access points are signed for us-west-2 in every region.
func emptyListing[Out any](name, route string, list func(g authz.Grant, account string) error) dispatch.Row {
	may := onAccount[shape.AccountInput](policy.Action("s3:" + name))
	return dispatch.Define(name, rest.At(route), may,
		func(_ context.Context, g authz.Grant, in *shape.AccountInput) (*Out, error) {
			if err := list(g, in.AccountId); err != nil {
				return nil, err
			}
			return new(Out), nil
		})
}
