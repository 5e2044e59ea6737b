package s3

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/bucket"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

func (a *API) listBuckets(
	ctx context.Context, g authz.Grant, in *shape.ListBucketsInput,
) (*shape.ListBucketsOutput, error) {
	list := bucket.ListInput{
		Prefix: in.Prefix, Region: in.BucketRegion, Token: in.ContinuationToken, Max: in.MaxBuckets,
	}
	l, err := a.Buckets.List(ctx, g, list)
	if err != nil {
		return nil, err
	}
	owner, err := a.canonicalID(ctx, l.Owner)
	if err != nil {
		return nil, err
	}
	out := &shape.ListBucketsOutput{Owner: shape.Owner{ID: owner}, Prefix: in.Prefix, ContinuationToken: l.Token}
	for _, b := range l.Buckets {
		out.Buckets = append(out.Buckets, shape.Bucket{
			Name: b.Name, CreationDate: b.Created, BucketRegion: b.Region, BucketArn: "arn:aws:s3:::" + b.Name,
		})
	}
	return out, nil
}

func (a *API) createBucket(
	ctx context.Context, g authz.Grant, in *shape.CreateBucketInput,
) (*shape.CreateBucketOutput, error) {
	ownership, err := ownershipHeader(in.ObjectOwnership)
	if err != nil {
		return nil, err
	}
	request, err := a.aclHeaders(ctx, &in.ACLHeaders, in.GrantWrite, false)
	if err != nil {
		return nil, err
	}
	location := ""
	var tags tag.Set
	if c := in.Configuration; c != nil {
		location = c.LocationConstraint
		if c.Location != nil || c.Bucket != nil {
			return nil, fault.New(fault.NotImplemented, "Directory buckets are not implemented.")
		}
		list, err := tagList(c.Tags)
		if err != nil {
			return nil, err
		}
		if tags, err = tag.NewBucket(list); err != nil {
			return nil, err
		}
	}
	b, err := a.Buckets.Create(ctx, g, bucket.CreateInput{
		Name: in.Bucket, Location: location, Tags: tags, Ownership: ownership, ACL: request,
		ObjectLock: in.ObjectLockEnabledForBucket,
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateBucketOutput{Location: "/" + b.Name, BucketArn: "arn:aws:s3:::" + b.Name}, nil
}

func (a *API) headBucket(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.HeadBucketOutput, error) {
	b, err := a.Buckets.Head(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	return &shape.HeadBucketOutput{
		BucketRegion: b.Region, BucketArn: "arn:aws:s3:::" + b.Name, AccessPointAlias: "false",
	}, nil
}

func (a *API) deleteBucket(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
	return nil, a.Buckets.Delete(ctx, g, in.Bucket)
}

func (a *API) getBucketLocation(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.GetBucketLocationOutput, error) {
	region, err := a.Buckets.Location(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	if region == "us-east-1" { // us-east-1 is shown as an empty location
		region = ""
	}
	return &shape.GetBucketLocationOutput{Value: region}, nil
}

func invalidArgument(name, message string) *fault.Error {
	return fault.New(fault.InvalidArgument, message).With("ArgumentName", name)
}

// notImplemented refuses a header that S3 knows and this server does not implement. Such a
// header is never ignored.
func notImplemented(header string) *fault.Error {
	return fault.Of(fault.NotImplemented).With("Header", header)
}
