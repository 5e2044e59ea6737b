package sim

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// expire lets the current objects of one writer under a prefix expire, sometimes through a crash. No client
// writes meanwhile.
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
		done, err := expired(s.t.Context(), s.p.S3, w.bucket, prefix)
		if err != nil {
			s.t.Fatal(err)
		}
		if done {
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
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if w.state.Current(key) != nil {
			w.state.Delete(key, unknown)
		}
		if len(w.state.Keys[key]) == 1 && w.state.Current(key) == nil {
			delete(w.state.Keys, key) // a delete marker without older versions
		}
	}
	s.settle() // the ids of the delete markers become known
}

// expired reports whether a prefix has no current object and no delete marker without older versions (S3 user
// guide, "Lifecycle configuration elements", Expiration). That stays so, because no client writes. It only
// lists, because an object may expire before it is read.
func expired(ctx context.Context, client *s3.Client, bucket, prefix string) (bool, error) {
	versions := map[string]int{}
	pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, err
		}
		for _, v := range page.Versions {
			if *v.IsLatest {
				return false, nil
			}
			versions[*v.Key]++
		}
		for _, m := range page.DeleteMarkers {
			versions[*m.Key]++
		}
	}
	for _, n := range versions {
		if n == 1 {
			return false, nil
		}
	}
	return true, nil
}
