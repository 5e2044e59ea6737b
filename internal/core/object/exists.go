package object

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/storage/kv"
)

// Exists reports by its error whether a version is there, for whoever may do
// action on it; it takes no customer's key, as no content is told. Errors: NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed.
func (s *Store) Exists(ctx context.Context, g authz.Grant, action policy.Action, in GetInput) error {
	if err := g.Demand(action, arn.Object(in.Bucket, in.Key)); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	return s.store.View(ctx, func(r kv.Reader) error {
		b, err := bucket.Read(r, in.Bucket)
		if err != nil {
			return err
		}
		_, err = slot{&b, in.Key}.asked(r, in.VersionID, "GET")
		return err
	})
}
