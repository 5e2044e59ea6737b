package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/bucket"
	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
)

// mayPreflight needs no permission.
func mayPreflight() authz.Access[shape.PreflightInput] {
	return authz.Open[shape.PreflightInput]("a browser sends a preflight without credentials (Fetch standard, 3.3); " +
		"it learns what the bucket's CORS rules say of an origin, and no more")
}

func mayPutBucketCors(in *shape.PutBucketCorsInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketCORS", Resource: arn.Bucket(in.Bucket)}
}

func (a *API) getBucketCors(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.CORSConfiguration, error) {
	rules, err := a.Buckets.GetCORS(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	out := &shape.CORSConfiguration{}
	for _, r := range rules {
		out.Rules = append(out.Rules, shape.CORSRule{
			ID: r.ID, AllowedHeaders: r.Headers, AllowedMethods: r.Methods, AllowedOrigins: r.Origins,
			ExposeHeaders: r.Expose, MaxAgeSeconds: r.MaxAge,
		})
	}
	return out, nil
}

func (a *API) putBucketCors(ctx context.Context, g authz.Grant, in *shape.PutBucketCorsInput) (*shape.Empty, error) {
	rules := make(bucket.CORS, 0, len(in.Configuration.Rules))
	for _, r := range in.Configuration.Rules {
		rules = append(rules, bucket.CORSRule{
			ID: r.ID, Headers: r.AllowedHeaders, Methods: r.AllowedMethods, Origins: r.AllowedOrigins,
			Expose: r.ExposeHeaders, MaxAge: r.MaxAgeSeconds,
		})
	}
	return nil, a.Buckets.PutCORS(ctx, g, in.Bucket, rules)
}

func (a *API) deleteBucketCors(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
	return nil, a.Buckets.DeleteCORS(ctx, g, in.Bucket)
}

// preflight answers 200 or an error. The headers of a 200 are those of every response to
// the origin.
func (a *API) preflight(ctx context.Context, _ authz.Grant, in *shape.PreflightInput) (*shape.Empty, error) {
	return nil, a.Buckets.Preflight(ctx, in.Bucket, in.Key, in.Origin, in.RequestMethod, in.RequestHeaders)
}

// Share implements dispatch.Sharing with the buckets' CORS rules.
func (a *API) Share(ctx context.Context, name, origin, method string, headers []string) (*protocol.Sharing, error) {
	rules, err := a.Buckets.CORS(ctx, name)
	if fault.Is(err, fault.NoSuchBucket) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := rules.Match(origin, method, headers)
	if r == nil {
		return nil, nil
	}
	return &protocol.Sharing{Any: r.AnyOrigin(origin), Methods: r.Methods, Expose: r.Expose, MaxAge: r.MaxAge}, nil
}
