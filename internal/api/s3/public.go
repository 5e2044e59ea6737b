package s3

import (
	"context"
	"io"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/gateway/protocol"
)

// publicRows are the operations on who gets in: bucket policies and Block
// Public Access.
func (a *API) publicRows() []dispatch.Row {
	return []dispatch.Row{
		define(a, "PutBucketPolicy", "PUT /{Bucket}?policy", authz.Ask1(mayPutBucketPolicy), a.putBucketPolicy, noContent),
		define(a, "GetBucketPolicy", "GET /{Bucket}?policy", onBucket("s3:GetBucketPolicy"), a.getBucketPolicy),
		define(a, "DeleteBucketPolicy", "DELETE /{Bucket}?policy", onBucket("s3:DeleteBucketPolicy"), a.deleteBucketPolicy, noContent),
		define(a, "GetBucketPolicyStatus", "GET /{Bucket}?policyStatus", onBucket("s3:GetBucketPolicyStatus"), a.getBucketPolicyStatus),
		define(a, "PutPublicAccessBlock", "PUT /{Bucket}?publicAccessBlock", authz.Ask1(mayPutPublicAccessBlock), a.putPublicAccessBlock, rest.Route.NeedChecksum),
		define(a, "GetPublicAccessBlock", "GET /{Bucket}?publicAccessBlock", onBucket("s3:GetBucketPublicAccessBlock"), a.getPublicAccessBlock),
		define(a, "DeletePublicAccessBlock", "DELETE /{Bucket}?publicAccessBlock", onBucket("s3:PutBucketPublicAccessBlock"), a.deletePublicAccessBlock, noContent),
	}
}

// ControlTable is the operations of S3 Control, which are on accounts.
func (a *API) ControlTable() dispatch.Table {
	const at = " /v20180820/configuration/publicAccessBlock"
	onAccount := func(action policy.Action) authz.Access[shape.AccountInput] {
		return authz.Ask1(func(*shape.AccountInput) authz.Need { return authz.Need{Action: action, Resource: arn.Any()} })
	}
	mayPut := authz.Ask1(func(*shape.PutAccountPublicAccessBlockInput) authz.Need {
		return authz.Need{Action: "s3:PutAccountPublicAccessBlock", Resource: arn.Any()}
	})
	return dispatch.Table{Service: protocol.Service{Name: "s3control", SigningName: "s3"}, Dialect: rest.Control, Rows: append([]dispatch.Row{
		dispatch.Define("PutPublicAccessBlock", rest.At("PUT"+at), mayPut, a.putAccountPublicAccessBlock),
		dispatch.Define("GetPublicAccessBlock", rest.At("GET"+at), onAccount("s3:GetAccountPublicAccessBlock"), a.getAccountPublicAccessBlock),
		dispatch.Define("DeletePublicAccessBlock", rest.At("DELETE"+at).Status(204), onAccount("s3:PutAccountPublicAccessBlock"), a.deleteAccountPublicAccessBlock),
	}, a.accessPointRows()...)}
}

func mayPutBucketPolicy(in *shape.PutBucketPolicyInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketPolicy", Resource: arn.Bucket(in.Bucket)}
}

func mayPutPublicAccessBlock(in *shape.PutPublicAccessBlockInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketPublicAccessBlock", Resource: arn.Bucket(in.Bucket)}
}

func (a *API) putBucketPolicy(ctx context.Context, g authz.Grant, in *shape.PutBucketPolicyInput) (*shape.Empty, error) {
	return nil, a.Buckets.PutPolicy(ctx, g, in.Bucket, in.Policy, in.ConfirmRemove)
}

func (a *API) getBucketPolicy(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.GetBucketPolicyOutput, error) {
	text, err := a.Buckets.GetPolicy(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	return &shape.GetBucketPolicyOutput{ContentType: "application/json", ContentLength: len(text), Policy: io.NopCloser(strings.NewReader(text))}, nil
}

func (a *API) deleteBucketPolicy(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
	return nil, a.Buckets.DeletePolicy(ctx, g, in.Bucket)
}

func (a *API) getBucketPolicyStatus(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.PolicyStatus, error) {
	public, err := a.Buckets.PolicyStatus(ctx, g, in.Bucket)
	return &shape.PolicyStatus{IsPublic: public}, err
}

func (a *API) putPublicAccessBlock(ctx context.Context, g authz.Grant, in *shape.PutPublicAccessBlockInput) (*shape.Empty, error) {
	p, err := publicAccess(in.Configuration)
	if err != nil {
		return nil, err
	}
	return nil, a.Buckets.SetPublic(ctx, g, in.Bucket, &p)
}

func (a *API) getPublicAccessBlock(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.PublicAccessBlockOutput, error) {
	p, err := a.Buckets.GetPublic(ctx, g, in.Bucket)
	return &shape.PublicAccessBlockOutput{
		BlockPublicAcls: p.BlockPublicACLs, IgnorePublicAcls: p.IgnorePublicACLs, BlockPublicPolicy: p.BlockPublicPolicy, RestrictPublicBuckets: p.RestrictPublicBuckets,
	}, err
}

func (a *API) deletePublicAccessBlock(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
	return nil, a.Buckets.SetPublic(ctx, g, in.Bucket, nil)
}

func (a *API) putAccountPublicAccessBlock(ctx context.Context, g authz.Grant, in *shape.PutAccountPublicAccessBlockInput) (*shape.Empty, error) {
	p, err := publicAccess(in.Configuration)
	if err != nil {
		return nil, err
	}
	return nil, a.Buckets.SetAccountPublic(ctx, g, in.AccountId, &p)
}

func (a *API) getAccountPublicAccessBlock(ctx context.Context, g authz.Grant, in *shape.AccountInput) (*shape.AccountPublicAccessBlockOutput, error) {
	p, err := a.Buckets.GetAccountPublic(ctx, g, in.AccountId)
	return &shape.AccountPublicAccessBlockOutput{
		BlockPublicAcls: p.BlockPublicACLs, IgnorePublicAcls: p.IgnorePublicACLs, BlockPublicPolicy: p.BlockPublicPolicy, RestrictPublicBuckets: p.RestrictPublicBuckets,
	}, err
}

func (a *API) deleteAccountPublicAccessBlock(ctx context.Context, g authz.Grant, in *shape.AccountInput) (*shape.Empty, error) {
	return nil, a.Buckets.SetAccountPublic(ctx, g, in.AccountId, nil)
}

// publicAccess reads a document; what it leaves out is off, and it may not
// leave out all.
func publicAccess(c *shape.PublicAccessBlock) (policy.PublicAccess, error) {
	switch {
	case c == nil:
		return policy.PublicAccess{}, missingBody()
	case *c == shape.PublicAccessBlock{}:
		return policy.PublicAccess{}, fault.New(fault.InvalidRequest, "Must specify at least one configuration.")
	}
	on := func(b *bool) bool { return b != nil && *b }
	return policy.PublicAccess{
		BlockPublicACLs: on(c.BlockPublicAcls), IgnorePublicACLs: on(c.IgnorePublicAcls),
		BlockPublicPolicy: on(c.BlockPublicPolicy), RestrictPublicBuckets: on(c.RestrictPublicBuckets),
	}, nil
}
