package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/bucket"
)

func mayPutObjectLock(in *shape.PutObjectLockConfigurationInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketObjectLockConfiguration", Resource: arn.Bucket(in.Bucket)}
}

func (a *API) putObjectLockConfiguration(
	ctx context.Context, g authz.Grant, in *shape.PutObjectLockConfigurationInput,
) (*shape.Empty, error) {
	if in.Configuration == nil {
		return nil, missingBody()
	}
	if in.Configuration.ObjectLockEnabled != "Enabled" {
		return nil, malformedXML()
	}
	var d *bucket.DefaultRetention
	if rule := in.Configuration.Rule; rule != nil {
		if rule.DefaultRetention == nil {
			return nil, malformedXML()
		}
		d = &bucket.DefaultRetention{Days: rule.DefaultRetention.Days, Years: rule.DefaultRetention.Years}
		d.Mode, _ = bucket.ParseLockMode(rule.DefaultRetention.Mode) // core refuses none
	}
	return nil, a.Buckets.PutObjectLock(ctx, g, in.Bucket, d)
}

func (a *API) getObjectLockConfiguration(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.ObjectLockConfiguration, error) {
	l, err := a.Buckets.GetObjectLock(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	out := &shape.ObjectLockConfiguration{ObjectLockEnabled: "Enabled"}
	if l.Mode == 0 {
		return out, nil
	}
	d := &shape.DefaultRetention{Mode: l.Mode.String(), Days: &l.Days, Years: &l.Years}
	if l.Days == 0 {
		d.Days = nil
	} else {
		d.Years = nil
	}
	out.Rule = &shape.ObjectLockRule{DefaultRetention: d}
	return out, nil
}
