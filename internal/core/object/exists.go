package object

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
)

// Exists reports by its error whether a version is there, for whoever may do
// action on it. Errors: NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed.
func (s *Store) Exists(ctx context.Context, g authz.Grant, action policy.Action, in GetInput) error {
	if err := g.Demand(action, arn.Object(in.Bucket, in.Key)); err != nil {
		return err
	}
	_, err := s.find(ctx, &in, g.Caller().At(), "GET", false)
	return err
}
