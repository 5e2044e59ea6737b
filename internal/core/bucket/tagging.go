package bucket

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

const fieldTag = 1 // repeated: name and value

// tagsKey names the record apart from the bucket's own, which every request
// reads. There is none where there are no tags.
func tagsKey(id ID) []byte { return record.Key("s/", string(id[:]), "/tagging") }

// PutTags replaces a bucket's tags, a set that tag.Bucket made; an empty one
// removes them. It needs s3:PutBucketTagging. Errors: NoSuchBucket.
func (s *Store) PutTags(ctx context.Context, g authz.Grant, name string, tags tag.Set) error {
	return s.configure(ctx, g, "s3:PutBucketTagging", name, func(tx kv.Tx, b *Bucket) error {
		setTags(tx, b.ID, tags)
		return nil
	})
}

func setTags(tx kv.Tx, id ID, tags tag.Set) {
	if len(tags) == 0 {
		tx.Delete(tagsKey(id))
		return
	}
	r := record.Start(nil)
	for _, t := range tags {
		r = record.Pair(r, fieldTag, t.Key, t.Value)
	}
	tx.Set(tagsKey(id), r)
}

// GetTags returns a bucket's tags. It needs s3:GetBucketTagging.
// Errors: NoSuchBucket, NoSuchTagSet where it has none.
func (s *Store) GetTags(ctx context.Context, g authz.Grant, name string) (tags tag.Set, err error) {
	if err := g.Demand("s3:GetBucketTagging", arn.Bucket(name)); err != nil {
		return nil, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := Read(r, name)
		if err != nil {
			return err
		}
		v, err := r.Get(tagsKey(b.ID))
		if err != nil {
			return err
		}
		if v == nil {
			return fault.Of(fault.NoSuchTagSet).With("BucketName", name)
		}
		tags, err = decodeTags(name, v)
		return err
	})
	return tags, err
}

func decodeTags(name string, value []byte) (tags tag.Set, err error) {
	f := record.Read(value)
	for f.Next() {
		if f.Number != fieldTag {
			continue
		}
		key, val, ok := f.Pair()
		if !ok {
			return nil, malformed(name)
		}
		tags = append(tags, tag.Tag{Key: key, Value: val})
	}
	if f.Err() != nil {
		return nil, malformed(name)
	}
	return tags, nil
}
