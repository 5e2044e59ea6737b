package format

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// locked makes a bucket with Object Lock and a version that it protects.
func (p *populator) locked() {
	t, name := p.t, aws.String("formats-locked")
	ctx := t.Context()
	must[*s3.CreateBucketOutput](t)(p.s3.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: name, ObjectLockEnabledForBucket: aws.Bool(true),
	}))
	must[*s3.PutObjectLockConfigurationOutput](t)(p.s3.PutObjectLockConfiguration(ctx,
		&s3.PutObjectLockConfigurationInput{Bucket: name, ObjectLockConfiguration: &types.ObjectLockConfiguration{
			ObjectLockEnabled: types.ObjectLockEnabledEnabled,
			Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{
				Mode: types.ObjectLockRetentionModeGovernance, Years: aws.Int32(1),
			}},
		}}))
	must[*s3.PutObjectOutput](t)(p.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: name, Key: aws.String("k"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		ObjectLockLegalHoldStatus: types.ObjectLockLegalHoldStatusOn,
	}))
	must[*s3.PutObjectRetentionOutput](t)(p.s3.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{
		Bucket: name, Key: aws.String("k"), Retention: &types.ObjectLockRetention{
			Mode:            types.ObjectLockRetentionModeGovernance,
			RetainUntilDate: aws.Time(time.Now().AddDate(2, 0, 0)),
		},
	}))
}
