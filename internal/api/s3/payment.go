package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

// bucketOwner is the only payer: nobody is charged here, and a bucket that
// refused requests for want of x-amz-request-payer would only look like one
// that charges.
const bucketOwner = "BucketOwner"

// paymentRows are the operations of this file.
func (a *API) paymentRows() []dispatch.Row {
	return []dispatch.Row{
		constant(a, "GetBucketRequestPayment", "requestPayment", "s3:GetBucketRequestPayment", func() shape.RequestPaymentConfiguration {
			return shape.RequestPaymentConfiguration{Payer: bucketOwner}
		}),
		define(a, "PutBucketRequestPayment", "PUT /{Bucket}?requestPayment", authz.Ask1(mayPutBucketRequestPayment), a.putBucketRequestPayment),
	}
}

func mayPutBucketRequestPayment(in *shape.PutBucketRequestPaymentInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketRequestPayment", Resource: arn.Bucket(in.Bucket)}
}

// putBucketRequestPayment accepts what is so anyway.
func (a *API) putBucketRequestPayment(ctx context.Context, g authz.Grant, in *shape.PutBucketRequestPaymentInput) (*shape.Empty, error) {
	if err := a.exists(ctx, g, in.Bucket); err != nil {
		return nil, err
	}
	switch in.Configuration.Payer {
	case bucketOwner:
		return nil, nil
	case "Requester":
		return nil, fault.New(fault.NotImplemented, "Requester Pays is not implemented: nobody is charged for requests.")
	}
	return nil, fault.Of(fault.MalformedXML)
}
