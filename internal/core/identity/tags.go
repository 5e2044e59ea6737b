package identity

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/page"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

const (
	maxTagKey   = 128
	maxTagValue = 256
)

// tagRules are those of a kind of resource. The keys of most differ by more than
// case (IAM user guide, "Rules for tagging in IAM and AWS STS"); those of OIDC
// providers may not.
type tagRules struct{ cased bool }

func tooManyTags() error {
	return fault.New(fault.LimitExceeded, "The number of tags has reached the maximum limit.")
}

func checkTags(tags []Tag) error { return tagRules{}.check(tags) }

// check checks the tags of one request.
func (r tagRules) check(tags []Tag) error {
	if len(tags) > maxTags {
		return tooManyTags()
	}
	for i, t := range tags {
		if t.Key == "" || utf8.RuneCountInString(t.Key) > maxTagKey || utf8.RuneCountInString(t.Value) > maxTagValue {
			return validation("A tag's key has 1 to %d characters and its value at most %d.", maxTagKey, maxTagValue)
		}
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return invalidInput("Tag keys beginning with 'aws:' are reserved.")
		}
		if r.find(tags[:i], t.Key) < 0 {
			continue
		}
		if r.cased {
			return invalidInput("Duplicate tag keys found.")
		}
		return invalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
	}
	return nil
}

func (r tagRules) same(a, b string) bool { return a == b || !r.cased && strings.EqualFold(a, b) }

func (r tagRules) find(tags []Tag, key string) int {
	return slices.IndexFunc(tags, func(t Tag) bool { return r.same(t.Key, key) })
}

// add returns old with tags added, or their values replaced.
func (r tagRules) add(old, tags []Tag) ([]Tag, error) {
	if err := r.check(tags); err != nil {
		return nil, err
	}
	all := slices.Clone(old)
	for _, t := range tags {
		if i := r.find(all, t.Key); i >= 0 {
			all[i] = t
		} else {
			all = append(all, t)
		}
	}
	if len(all) > maxTags {
		return nil, tooManyTags()
	}
	return all, nil
}

// drop returns old without the tags of these keys.
func (r tagRules) drop(old []Tag, keys []string) []Tag {
	return slices.DeleteFunc(slices.Clone(old), func(t Tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return r.same(k, t.Key) })
	})
}

// pageOfTags returns a page of tags in order of their keys.
func pageOfTags(tags []Tag, p page.Request, scope string) ([]Tag, string, error) {
	key := func(t *Tag) string { return strings.ToLower(t.Key) + "\x00" + t.Key }
	all := slices.SortedFunc(slices.Values(tags), func(a, b Tag) int { return strings.Compare(key(&a), key(&b)) })
	return page.Cut(all, key, p, "tags\x00"+scope)
}

// Tag adds tags to a user or role. It needs iam:TagUser or iam:TagRole.
// Errors: NoSuchEntity, LimitExceeded, InvalidInput, ValidationError.
func (s *Store) Tag(ctx context.Context, g authz.Grant, k EntityKind, name string, tags []Tag) error {
	if err := checkTags(tags); err != nil {
		return err
	}
	return s.modify(ctx, g, policy.Action("iam:Tag"+k.String()), k, name, func(_ kv.Tx, e *Entity) (err error) {
		e.Tags, err = tagRules{}.add(e.Tags, tags)
		return err
	})
}

// Untag removes tags from a user or role. It needs iam:UntagUser or
// iam:UntagRole. Errors: NoSuchEntity.
func (s *Store) Untag(ctx context.Context, g authz.Grant, k EntityKind, name string, keys []string) error {
	return s.modify(ctx, g, policy.Action("iam:Untag"+k.String()), k, name, func(_ kv.Tx, e *Entity) error {
		e.Tags = tagRules{}.drop(e.Tags, keys)
		return nil
	})
}

// Tags returns a page of the tags of a user or role. It needs iam:ListUserTags
// or iam:ListRoleTags. Errors: NoSuchEntity.
func (s *Store) Tags(ctx context.Context, g authz.Grant, k EntityKind, name string, p page.Request) (tags []Tag, next string, err error) {
	err = s.inspect(ctx, g, policy.Action("iam:List"+k.String()+"Tags"), k, name, func(_ kv.Reader, e *Entity) error {
		tags, next, err = pageOfTags(e.Tags, p, e.ID)
		return err
	})
	return tags, next, err
}
