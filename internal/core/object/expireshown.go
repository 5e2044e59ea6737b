package object

import (
	"context"
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/lifecycle"
	"watertight/internal/storage/kv"
)

// Scheduled says when a lifecycle rule will expire a version or abort an upload. The zero
// value means never.
type Scheduled struct {
	At   time.Time
	Rule string // the rule's ID
}

// scheduled returns what the bucket's rules say. If the configuration can't be read, the
// answer has none of its headers.
func (s *Store) scheduled(
	ctx context.Context, b *bucket.Bucket, ask func(*lifecycle.Rules) lifecycle.Action,
) (out Scheduled) {
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

// expires returns when a current version expires (x-amz-expiration).
func (s *Store) expires(ctx context.Context, b *bucket.Bucket, key string, v *version) Scheduled {
	if b == nil || b.Lifecycle == (bucket.LifecycleID{}) {
		return Scheduled{}
	}
	return s.scheduled(ctx, b, func(r *lifecycle.Rules) lifecycle.Action {
		return r.Expiration(&lifecycle.Object{Key: key, Size: v.size, Tags: v.tags, Created: v.since()})
	})
}

// aborts returns when an upload is aborted (x-amz-abort-date).
func (s *Store) aborts(ctx context.Context, b *bucket.Bucket, key string, u *upload) Scheduled {
	if b == nil || b.Lifecycle == (bucket.LifecycleID{}) {
		return Scheduled{}
	}
	return s.scheduled(ctx, b, func(r *lifecycle.Rules) lifecycle.Action { return r.Upload(key, u.since()) })
}
