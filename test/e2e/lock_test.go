package e2e

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/gateway/dispatch"
	"watertight/test/harness"
)

// ofLocks reports whether an operation needs a bucket with Object Lock.
func ofLocks(row dispatch.Row) bool {
	name := row.Name()
	return strings.Contains(name, "ObjectLock") || strings.HasSuffix(name, "Retention") ||
		strings.HasSuffix(name, "LegalHold")
}

// lockable enables versioning and Object Lock in a bucket.
func lockable(t *testing.T, s *harness.Server, bucket string) {
	t.Helper()
	_, err := s.S3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  &bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.S3.PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{
		Bucket:                  &bucket,
		ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
}
