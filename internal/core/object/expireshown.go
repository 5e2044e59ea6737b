package object

import (
	"context"
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/lifecycle"
	"watertight/internal/storage/kv"
)

// Scheduled is what a lifecycle rule is going to do to a version or an upload. The zero
// one is nothing.
type Scheduled struct {
	At   time.Time
	Rule string // its ID
}

// scheduled returns what the bucket's rules say. A bucket without a configuration costs
// nothing; a configuration that can't be read says nothing in an answer.
func (s *Store) scheduled(
	ctx context.Context, b *bucket.Bucket, ask func(*lifecycle.Rules) lifecycle.Action,
) (out Scheduled) {
	if b == nil || b.Lifecycle == (bucket.LifecycleID{}) {
		return out
	}
	_ = s.store.View(ctx, func(r kv.Reader) error {
		rules, err := s.buckets.Rules(r, b)
		if err == nil && rules != nil {
			a := ask(rules)
			out = Scheduled{a.At, a.Rule}
		}
		return err
	})
	return out
}

// expires is when a current version expires (x-amz-expiration).
func (s *Store) expires(ctx context.Context, b *bucket.Bucket, key string, v *version) Scheduled {
	return s.scheduled(ctx, b, func(r *lifecycle.Rules) lifecycle.Action {
		return r.Expiration(&lifecycle.Object{Key: key, Size: v.size, Tags: v.tags, Created: v.since()})
	})
}

// aborts is when an upload is aborted (x-amz-abort-date).
func (s *Store) aborts(ctx context.Context, b *bucket.Bucket, key string, u *upload) Scheduled {
	return s.scheduled(ctx, b, func(r *lifecycle.Rules) lifecycle.Action { return r.Upload(key, u.since()) })
}
