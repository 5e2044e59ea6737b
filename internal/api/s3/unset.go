package s3

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

// Operations that read what cannot be configured yet return AWS's answer for "none", or the
// actual default. Each needs its permission and an existing bucket.

// none defines a read that answers an error.
func none(a *API, name, param string, action policy.Action, code fault.Code) dispatch.Row {
	return define(a, name, "GET /{Bucket}?"+param, onBucket(action),
		func(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
			if err := a.exists(ctx, g, in.Bucket); err != nil {
				return nil, err
			}
			return nil, fault.Of(code).With("BucketName", in.Bucket)
		})
}

// empty defines a read that answers an empty document.
func empty[Out any](a *API, name, param string, action policy.Action) dispatch.Row {
	return define(a, name, "GET /{Bucket}?"+param, onBucket(action),
		func(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*Out, error) {
			if err := a.exists(ctx, g, in.Bucket); err != nil {
				return nil, err
			}
			return new(Out), nil
		})
}

// exists refuses a bucket that does not exist. The caller was authorized before.
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
