package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/fault"
)

// bucketOwner is the only supported payer. This server charges nobody; if it refused
// requests without x-amz-request-payer, it would only look like one that charges.
const bucketOwner = "BucketOwner"

func mayPutBucketRequestPayment(in *shape.PutBucketRequestPaymentInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketRequestPayment", Resource: arn.Bucket(in.Bucket)}
}

func (a *API) getBucketRequestPayment(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.RequestPaymentConfiguration, error) {
	if err := a.exists(ctx, g, in.Bucket); err != nil {
		return nil, err
	}
	return &shape.RequestPaymentConfiguration{Payer: bucketOwner}, nil
}

// putBucketRequestPayment accepts only the state that every bucket has.
func (a *API) putBucketRequestPayment(
	ctx context.Context, g authz.Grant, in *shape.PutBucketRequestPaymentInput,
) (*shape.Empty, error) {
	if err := a.exists(ctx, g, in.Bucket); err != nil {
		return nil, err
	}
	switch in.Configuration.Payer {
	case bucketOwner:
		return nil, nil
	case "Requester":
		return nil, fault.New(fault.NotImplemented,
			"Requester Pays is not implemented: nobody is charged for requests.")
	}
	return nil, fault.Of(fault.MalformedXML)
}
