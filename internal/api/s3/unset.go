package s3

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

// Reading what nobody can configure yet answers AWS's own "none", or the truth
// about the default. Each still needs its permission and an existing bucket.

// none is a read that answers a fault.
func none(a *API, name, param string, action policy.Action, code fault.Code) dispatch.Row {
	return define(a, name, "GET /{Bucket}?"+param, onBucket(action), func(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
		if err := a.exists(ctx, g, in.Bucket); err != nil {
			return nil, err
		}
		return nil, fault.Of(code).With("BucketName", in.Bucket)
	})
}

// constant is a read whose answer is the same for every bucket.
func constant[Out any](a *API, name, param string, action policy.Action, out func() Out) dispatch.Row {
	return define(a, name, "GET /{Bucket}?"+param, onBucket(action), func(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*Out, error) {
		if err := a.exists(ctx, g, in.Bucket); err != nil {
			return nil, err
		}
		o := out()
		return &o, nil
	})
}

// exists refuses a bucket that is not there. That it has an owner is all this
// needs; that the caller may ask was judged before.
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

// unset are the rows of this file.
func (a *API) unset() []dispatch.Row {
	return append(a.unsetLists(), []dispatch.Row{
		none(a, "GetBucketLifecycleConfiguration", "lifecycle", "s3:GetLifecycleConfiguration", fault.NoSuchLifecycleConfiguration),
		none(a, "GetBucketReplication", "replication", "s3:GetReplicationConfiguration", fault.ReplicationConfigurationNotFoundError),
		none(a, "GetBucketWebsite", "website", "s3:GetBucketWebsite", fault.NoSuchWebsiteConfiguration),
		none(a, "GetObjectLockConfiguration", "object-lock", "s3:GetBucketObjectLockConfiguration", fault.ObjectLockConfigurationNotFoundError),
		constant(a, "GetBucketAccelerateConfiguration", "accelerate", "s3:GetAccelerateConfiguration", func() (o shape.AccelerateConfiguration) { return }),
		constant(a, "GetBucketLogging", "logging", "s3:GetBucketLogging", func() (o shape.BucketLoggingStatus) { return }),
		constant(a, "GetBucketNotificationConfiguration", "notification", "s3:GetBucketNotification", func() (o shape.NotificationConfiguration) { return }),
	}...)
}

// unsetLists are the configurations of which a bucket may have many, by their
// ids: there is none of any.
func (a *API) unsetLists() []dispatch.Row {
	return []dispatch.Row{
		constant(a, "ListBucketAnalyticsConfigurations", "analytics", "s3:GetAnalyticsConfiguration", func() (o shape.AnalyticsConfigurations) { return }),
		constant(a, "ListBucketInventoryConfigurations", "inventory", "s3:GetInventoryConfiguration", func() (o shape.InventoryConfigurations) { return }),
		constant(a, "ListBucketMetricsConfigurations", "metrics", "s3:GetMetricsConfiguration", func() (o shape.MetricsConfigurations) { return }),
		constant(a, "ListBucketIntelligentTieringConfigurations", "intelligent-tiering", "s3:GetIntelligentTieringConfiguration", func() (o shape.TieringConfigurations) { return }),
		none(a, "GetBucketAnalyticsConfiguration", "analytics&id", "s3:GetAnalyticsConfiguration", fault.NoSuchConfiguration),
		none(a, "GetBucketInventoryConfiguration", "inventory&id", "s3:GetInventoryConfiguration", fault.NoSuchConfiguration),
		none(a, "GetBucketMetricsConfiguration", "metrics&id", "s3:GetMetricsConfiguration", fault.NoSuchConfiguration),
		none(a, "GetBucketIntelligentTieringConfiguration", "intelligent-tiering&id", "s3:GetIntelligentTieringConfiguration", fault.NoSuchConfiguration),
	}
}
