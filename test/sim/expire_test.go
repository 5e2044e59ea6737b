package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// expire has the current objects of one writer under a prefix expire, through a crash now
// and then. No client writes meanwhile.
func (s *sim) expire() {
	s.t.Helper()
	w := s.writers[3]
	prefix := w.name + draw(s.rng, "", "a", "/")
	_, err := s.p.S3.PutBucketLifecycleConfiguration(s.t.Context(), &s3.PutBucketLifecycleConfigurationInput{
		Bucket: &w.bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: aws.String("gone"), Status: types.ExpirationStatusEnabled,
			Filter: &types.LifecycleRuleFilter{Prefix: &prefix},
			Expiration: &types.LifecycleExpiration{
				Date: aws.Time(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)),
			},
		}}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if s.rng.IntN(2) == 0 {
		time.Sleep(time.Duration(s.rng.IntN(100)) * time.Millisecond)
		s.p.Kill()
		s.p.Restart()
	}
	for {
		out, err := s.p.S3.ListObjectsV2(s.t.Context(), &s3.ListObjectsV2Input{Bucket: &w.bucket, Prefix: &prefix})
		if err != nil {
			s.t.Fatal(err)
		}
		if *out.KeyCount == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	// Once the rule is deleted, nothing else expires: a pass under way must notice.
	_, err = s.p.S3.DeleteBucketLifecycle(s.t.Context(), &s3.DeleteBucketLifecycleInput{Bucket: &w.bucket})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, key := range slices.Sorted(maps.Keys(w.state.Keys)) {
		if strings.HasPrefix(key, prefix) && w.state.Current(key) != nil {
			w.state.Delete(key, unknown)
		}
	}
	s.settle() // the ids of the delete markers become known
}
