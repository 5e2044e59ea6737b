package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/bucket"
)

func mayPutOwnershipControls(in *shape.PutOwnershipControlsInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketOwnershipControls", Resource: arn.Bucket(in.Bucket)}
}

// ownershipHeader decodes x-amz-object-ownership; it returns "" if the header was not sent.
func ownershipHeader(value *string) (bucket.Ownership, error) {
	if value == nil {
		return "", nil
	}
	o := bucket.Ownership(*value)
	if !o.Known() {
		return "", invalidArgument("x-amz-object-ownership", "Invalid x-amz-object-ownership header: "+*value)
	}
	return o, nil
}

func (a *API) getOwnershipControls(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.OwnershipControls, error) {
	o, err := a.Buckets.GetOwnership(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	return &shape.OwnershipControls{Rules: []shape.OwnershipRule{{ObjectOwnership: string(o)}}}, nil
}

func (a *API) putOwnershipControls(
	ctx context.Context, g authz.Grant, in *shape.PutOwnershipControlsInput,
) (*shape.Empty, error) {
	if in.Controls == nil {
		return nil, missingBody()
	}
	if len(in.Controls.Rules) != 1 {
		return nil, malformedXML()
	}
	o := bucket.Ownership(in.Controls.Rules[0].ObjectOwnership)
	if !o.Known() {
		return nil, malformedXML()
	}
	return nil, a.Buckets.SetOwnership(ctx, g, in.Bucket, o)
}

func (a *API) deleteOwnershipControls(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
	return nil, a.Buckets.DeleteOwnership(ctx, g, in.Bucket)
}
