package s3

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

// Reading what nobody can configure yet answers AWS's own "none", or the truth
// about the default. Each still needs its permission and an existing bucket.

// none is a read that answers a fault.
func none(a *API, name, param string, action policy.Action, code, message string) dispatch.Row {
	return define(a, name, "GET /{Bucket}?"+param, onBucket(action), func(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
		if err := a.exists(ctx, g, in.Bucket); err != nil {
			return nil, err
		}
		return nil, fault.New(fault.NotFound, code, message).With("BucketName", in.Bucket)
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
		return fault.New(fault.NotFound, "NoSuchBucket", "The specified bucket does not exist").With("BucketName", name)
	}
	return nil
}

// unset are the rows of this file.
func (a *API) unset() []dispatch.Row {
	return []dispatch.Row{
		none(a, "GetBucketLifecycleConfiguration", "lifecycle", "s3:GetLifecycleConfiguration", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
		none(a, "GetBucketReplication", "replication", "s3:GetReplicationConfiguration", "ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
		none(a, "GetBucketWebsite", "website", "s3:GetBucketWebsite", "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
		none(a, "GetObjectLockConfiguration", "object-lock", "s3:GetBucketObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket"),
		constant(a, "GetBucketAccelerateConfiguration", "accelerate", "s3:GetAccelerateConfiguration", func() (o shape.AccelerateConfiguration) { return }),
		constant(a, "GetBucketLogging", "logging", "s3:GetBucketLogging", func() (o shape.BucketLoggingStatus) { return }),
		constant(a, "GetBucketNotificationConfiguration", "notification", "s3:GetBucketNotification", func() (o shape.NotificationConfiguration) { return }),
		constant(a, "GetBucketOwnershipControls", "ownershipControls", "s3:GetBucketOwnershipControls", func() shape.OwnershipControls {
			return shape.OwnershipControls{Rules: []shape.OwnershipRule{{ObjectOwnership: "BucketOwnerEnforced"}}}
		}),
		define(a, "GetBucketAcl", "GET /{Bucket}?acl", onBucket("s3:GetBucketAcl"), a.getBucketACL),
		define(a, "GetObjectAcl", "GET /{Bucket}/{Key+}?acl", onObject("s3:GetObjectAcl", "s3:GetObjectVersionAcl"), a.getObjectACL),
	}
}

// ownerOnly is the ACL of everything while ACLs are disabled.
func (a *API) ownerOnly(ctx context.Context, name string) (*shape.AccessControlPolicy, error) {
	owner, err := a.Buckets.OwnerOf(ctx, name)
	if err != nil {
		return nil, err
	}
	id, err := a.canonicalID(ctx, owner)
	if err != nil {
		return nil, err
	}
	return &shape.AccessControlPolicy{
		Owner: shape.Owner{ID: id}, Grants: []shape.Grant{{Grantee: shape.Grantee{ID: id}, Permission: "FULL_CONTROL"}},
	}, nil
}

func (a *API) getBucketACL(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.AccessControlPolicy, error) {
	if err := a.exists(ctx, g, in.Bucket); err != nil {
		return nil, err
	}
	return a.ownerOnly(ctx, in.Bucket)
}

func (a *API) getObjectACL(ctx context.Context, g authz.Grant, in *shape.ObjectInput) (*shape.AccessControlPolicy, error) {
	if err := a.Objects.Exists(ctx, g, versionAction("s3:GetObjectAcl", "s3:GetObjectVersionAcl", in.VersionId), object.GetInput{Bucket: in.Bucket, Key: in.Key, VersionID: in.VersionId}); err != nil {
		return nil, err
	}
	return a.ownerOnly(ctx, in.Bucket)
}
