package s3

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

// Reading what cannot be configured yet answers AWS's own "none", or the truth
// about the default. Each still needs its permission and an existing bucket.

// none is a read that answers a fault.
func none(a *API, name, param string, action policy.Action, code fault.Code) dispatch.Row {
	return define(a, name, "GET /{Bucket}?"+param, onBucket(action),
		func(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
			if err := a.exists(ctx, g, in.Bucket); err != nil {
				return nil, err
			}
			return nil, fault.Of(code).With("BucketName", in.Bucket)
		})
}

// empty is a read whose answer says nothing, for every bucket.
func empty[Out any](a *API, name, param string, action policy.Action) dispatch.Row {
	return define(a, name, "GET /{Bucket}?"+param, onBucket(action),
		func(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*Out, error) {
			if err := a.exists(ctx, g, in.Bucket); err != nil {
				return nil, err
			}
			return new(Out), nil
		})
}

// exists refuses a bucket that is not there. That it has an owner is all this
// needs; the caller was authorized before.
func (a *API) exists(ctx context.Context, _ authz.Grant, name string) error {
	owner, err := a.Buckets.OwnerOf(ctx, name)
	if err != nil {
		return err
	}
	if owner == "" {
		return fault.Of(fault.NoSuchBucket).With("BucketName", name)
	}
	return nil
}
