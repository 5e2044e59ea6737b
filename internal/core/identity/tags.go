package identity

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/page"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// Tag adds tags to a user or role. It needs iam:TagUser or iam:TagRole.
// Errors: NoSuchEntity, LimitExceeded, InvalidInput, ValidationError.
func (s *Store) Tag(ctx context.Context, g authz.Grant, k EntityKind, name string, tags []tag.Tag) error {
	if err := tag.CheckIAM(tags); err != nil {
		return err
	}
	return s.modify(ctx, g, policy.Action("iam:Tag"+k.String()), k, name, func(_ kv.Tx, e *Entity) (err error) {
		e.Tags, err = tag.IAM{}.Add(e.Tags, tags)
		return err
	})
}

// Untag removes tags from a user or role. It needs iam:UntagUser or
// iam:UntagRole. Errors: NoSuchEntity.
func (s *Store) Untag(ctx context.Context, g authz.Grant, k EntityKind, name string, keys []string) error {
	return s.modify(ctx, g, policy.Action("iam:Untag"+k.String()), k, name, func(_ kv.Tx, e *Entity) error {
		e.Tags = tag.IAM{}.Remove(e.Tags, keys)
		return nil
	})
}

// Tags returns a page of the tags of a user or role. It needs iam:ListUserTags
// or iam:ListRoleTags. Errors: NoSuchEntity.
func (s *Store) Tags(
	ctx context.Context, g authz.Grant, k EntityKind, name string, p page.Request,
) (tags []tag.Tag, next string, err error) {
	err = s.inspect(ctx, g, policy.Action("iam:List"+k.String()+"Tags"), k, name, func(_ kv.Reader, e *Entity) error {
		tags, next, err = tag.Page(e.Tags, p, e.ID)
		return err
	})
	return tags, next, err
}
