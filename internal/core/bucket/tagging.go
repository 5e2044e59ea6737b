package bucket

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

// tagging is the setting in the record s/ID/tagging. There is no record if there are no tags.
func tagging() setting[tag.Set] {
	return setting[tag.Set]{
		name: "tagging", put: "s3:PutBucketTagging", get: "s3:GetBucketTagging",
		missing: fault.NoSuchTagSet,
		encode:  encodeTags, decode: decodeTags,
		isRemoving: func(tags tag.Set) bool { return len(tags) == 0 },
	}
}

// PutTags replaces a bucket's tags, a set that tag.Bucket made; an empty one
// removes them. It needs s3:PutBucketTagging. Errors: NoSuchBucket.
func (s *Store) PutTags(ctx context.Context, g authz.Grant, name string, tags tag.Set) error {
	return tagging().replace(ctx, s, g, name, tags)
}

// GetTags returns a bucket's tags. It needs s3:GetBucketTagging.
// Errors: NoSuchBucket, NoSuchTagSet where it has none.
func (s *Store) GetTags(ctx context.Context, g authz.Grant, name string) (tag.Set, error) {
	return tagging().read(ctx, s, g, name)
}

const fieldTag = 1 // repeated: name and value

func encodeTags(tags tag.Set) []byte {
	r := record.Start(nil)
	for _, t := range tags {
		r = record.Pair(r, fieldTag, t.Key, t.Value)
	}
	return r
}

func decodeTags(value []byte) (tags tag.Set, err error) {
	f := record.Read(value)
	for f.Next() {
		if f.Number != fieldTag {
			f.Keep(nil) // not kept: a write replaces all tags
			continue
		}
		key, val, ok := f.Pair()
		if !ok {
			return nil, record.ErrMalformed
		}
		tags = append(tags, tag.Tag{Key: key, Value: val})
	}
	if f.Err() != nil {
		return nil, f.Err()
	}
	return tags, nil
}
