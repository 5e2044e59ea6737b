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
)

func mayPutBucketPolicy(in *shape.PutBucketPolicyInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketPolicy", Resource: arn.Bucket(in.Bucket)}
}

func mayPutPublicAccessBlock(in *shape.PutPublicAccessBlockInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketPublicAccessBlock", Resource: arn.Bucket(in.Bucket)}
}

func (a *API) putBucketPolicy(
	ctx context.Context, g authz.Grant, in *shape.PutBucketPolicyInput,
) (*shape.Empty, error) {
	return nil, a.Buckets.PutPolicy(ctx, g, in.Bucket, in.Policy, in.ConfirmRemove)
}

func (a *API) getBucketPolicy(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.GetBucketPolicyOutput, error) {
	text, err := a.Buckets.GetPolicy(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	return &shape.GetBucketPolicyOutput{
		ContentType: "application/json", ContentLength: len(text), Policy: io.NopCloser(strings.NewReader(text)),
	}, nil
}

func (a *API) deleteBucketPolicy(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
	return nil, a.Buckets.DeletePolicy(ctx, g, in.Bucket)
}

func (a *API) getBucketPolicyStatus(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.PolicyStatus, error) {
	public, err := a.Buckets.PolicyStatus(ctx, g, in.Bucket)
	return &shape.PolicyStatus{IsPublic: public}, err
}

func (a *API) putPublicAccessBlock(
	ctx context.Context, g authz.Grant, in *shape.PutPublicAccessBlockInput,
) (*shape.Empty, error) {
	p, err := publicAccess(in.Configuration)
	if err != nil {
		return nil, err
	}
	return nil, a.Buckets.SetPublic(ctx, g, in.Bucket, &p)
}

func (a *API) getPublicAccessBlock(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.PublicAccessBlockOutput, error) {
	p, err := a.Buckets.GetPublic(ctx, g, in.Bucket)
	return &shape.PublicAccessBlockOutput{
		BlockPublicAcls: p.BlockPublicACLs, IgnorePublicAcls: p.IgnorePublicACLs,
		BlockPublicPolicy: p.BlockPublicPolicy, RestrictPublicBuckets: p.RestrictPublicBuckets,
	}, err
}

func (a *API) deletePublicAccessBlock(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
	return nil, a.Buckets.SetPublic(ctx, g, in.Bucket, nil)
}

func (a *API) putAccountPublicAccessBlock(
	ctx context.Context, g authz.Grant, in *shape.PutAccountPublicAccessBlockInput,
) (*shape.Empty, error) {
	p, err := publicAccess(in.Configuration)
	if err != nil {
		return nil, err
	}
	return nil, a.Buckets.SetAccountPublic(ctx, g, in.AccountId, &p)
}

func (a *API) getAccountPublicAccessBlock(
	ctx context.Context, g authz.Grant, in *shape.AccountInput,
) (*shape.AccountPublicAccessBlockOutput, error) {
	p, err := a.Buckets.GetAccountPublic(ctx, g, in.AccountId)
	return &shape.AccountPublicAccessBlockOutput{
		BlockPublicAcls: p.BlockPublicACLs, IgnorePublicAcls: p.IgnorePublicACLs,
		BlockPublicPolicy: p.BlockPublicPolicy, RestrictPublicBuckets: p.RestrictPublicBuckets,
	}, err
}

func (a *API) deleteAccountPublicAccessBlock(
	ctx context.Context, g authz.Grant, in *shape.AccountInput,
) (*shape.Empty, error) {
	return nil, a.Buckets.SetAccountPublic(ctx, g, in.AccountId, nil)
}

// publicAccess decodes a document. A setting that is left out is off, but the document must
// have at least one.
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
