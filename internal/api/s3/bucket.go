package s3

import (
	"context"
	"strings"

	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/bucket"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

func (a *API) listBuckets(ctx context.Context, g authz.Grant, in *shape.ListBucketsInput) (*shape.ListBucketsOutput, error) {
	list := bucket.ListInput{Prefix: in.Prefix, Region: in.BucketRegion, Token: in.ContinuationToken, Max: in.MaxBuckets}
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
		out.Buckets = append(out.Buckets, shape.Bucket{Name: b.Name, CreationDate: b.Created, BucketRegion: b.Region, BucketArn: "arn:aws:s3:::" + b.Name})
	}
	return out, nil
}

func (a *API) createBucket(ctx context.Context, g authz.Grant, in *shape.CreateBucketInput) (*shape.CreateBucketOutput, error) {
	switch in.ObjectOwnership {
	case "", string(bucket.BucketOwnerEnforced):
	case "BucketOwnerPreferred", "ObjectWriter":
		return nil, notImplemented("x-amz-object-ownership")
	default:
		return nil, invalidArgument("x-amz-object-ownership", "Invalid x-amz-object-ownership header: "+in.ObjectOwnership)
	}
	if in.ObjectLockEnabledForBucket != "" && !strings.EqualFold(in.ObjectLockEnabledForBucket, "false") {
		return nil, notImplemented("x-amz-bucket-object-lock-enabled")
	}
	if err := checkCannedACL(in.ACL); err != nil {
		return nil, err
	}
	if in.ACL != "" && in.ACL != "private" || in.GrantFullControl+in.GrantRead+in.GrantReadACP+in.GrantWrite+in.GrantWriteACP != "" {
		return nil, fault.New(fault.Invalid, "InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	}
	location := ""
	var tags tag.Set
	if c := in.Configuration; c != nil {
		location = c.LocationConstraint
		if c.Location != nil || c.Bucket != nil {
			return nil, fault.New(fault.NotImplemented, "NotImplemented", "Directory buckets are not implemented.")
		}
		list, err := tagList(c.Tags)
		if err != nil {
			return nil, err
		}
		if tags, err = tag.NewBucket(list); err != nil {
			return nil, err
		}
	}
	b, err := a.Buckets.Create(ctx, g, bucket.CreateInput{Name: in.Bucket, Location: location, Tags: tags})
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
	return &shape.HeadBucketOutput{BucketRegion: b.Region, BucketArn: "arn:aws:s3:::" + b.Name, AccessPointAlias: "false"}, nil
}

func (a *API) deleteBucket(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
	return nil, a.Buckets.Delete(ctx, g, in.Bucket)
}

func (a *API) getBucketLocation(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.GetBucketLocationOutput, error) {
	region, err := a.Buckets.Location(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	if region == "us-east-1" { // the only region without a name of its own here
		region = ""
	}
	return &shape.GetBucketLocationOutput{Value: region}, nil
}

// checkCannedACL refuses what is no canned ACL (S3 user guide, "Canned ACL").
func checkCannedACL(acl string) error {
	switch acl {
	case "", "private", "public-read", "public-read-write", "aws-exec-read", "authenticated-read", "bucket-owner-read", "bucket-owner-full-control", "log-delivery-write":
		return nil
	}
	return invalidArgument("x-amz-acl", "").With("ArgumentValue", acl)
}

func invalidArgument(name, message string) *fault.Error {
	return fault.New(fault.Invalid, "InvalidArgument", message).With("ArgumentName", name)
}

// notImplemented refuses what is known and not built; it is never ignored.
func notImplemented(header string) *fault.Error {
	return fault.New(fault.NotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented").With("Header", header)
}
