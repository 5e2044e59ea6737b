package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/core/tag"
)

func mayPutBucketTagging(in *shape.PutBucketTaggingInput) authz.Need {
	return authz.Need{Action: "s3:PutBucketTagging", Resource: arn.Bucket(in.Bucket)}
}

func mayPutObjectTagging(in *shape.PutObjectTaggingInput) ([]authz.Need, error) {
	tags, err := tagsOf(in.Tagging)
	if err != nil {
		return nil, err
	}
	n := versionNeed("s3:PutObjectTagging", "s3:PutObjectVersionTagging", in.Bucket, in.Key, in.VersionId)
	n.Keys = withTags(n.Keys, tags)
	return []authz.Need{n, mayList(in.Bucket)}, nil
}

// mayTag is the additional need for storing an object with tags.
func mayTag(at arn.ARN, tags []tag.Tag) authz.Need {
	return authz.Need{Action: "s3:PutObjectTagging", Resource: at, Keys: withTags(nil, tags)}
}

// withTags adds the condition keys of the tags of a request; without tags there are none
// (S3 service authorization reference, s3:RequestObjectTag/<key> and
// s3:RequestObjectTagKeys).
func withTags(keys map[string][]string, tags []tag.Tag) map[string][]string {
	for _, t := range tags {
		if keys == nil {
			keys = map[string][]string{}
		}
		keys[policy.KeyName("s3:RequestObjectTag/"+t.Key)] = []string{t.Value}
		keys["s3:requestobjecttagkeys"] = append(keys["s3:requestobjecttagkeys"], t.Key)
	}
	return keys
}

// tagsOf decodes a document; core/tag checks the tags.
func tagsOf(t *shape.Tagging) ([]tag.Tag, error) {
	switch {
	case t == nil:
		return nil, missingBody()
	case t.Tags == nil:
		return nil, malformedXML()
	}
	return tagList(t.Tags.Tags)
}

func tagList(list []shape.Tag) ([]tag.Tag, error) {
	tags := make([]tag.Tag, len(list))
	for i, t := range list {
		if t.Key == nil || t.Value == nil {
			return nil, malformedXML()
		}
		tags[i] = tag.Tag{Key: *t.Key, Value: *t.Value}
	}
	return tags, nil
}

func tagSet(tags tag.Set) *shape.TagSet {
	out := &shape.TagSet{Tags: make([]shape.Tag, len(tags))}
	for i := range tags {
		out.Tags[i] = shape.Tag{Key: &tags[i].Key, Value: &tags[i].Value}
	}
	return out
}

func (a *API) putBucketTagging(
	ctx context.Context, g authz.Grant, in *shape.PutBucketTaggingInput,
) (*shape.Empty, error) {
	list, err := tagsOf(in.Tagging)
	if err != nil {
		return nil, err
	}
	tags, err := tag.Bucket(list)
	if err != nil {
		return nil, err
	}
	return nil, a.Buckets.PutTags(ctx, g, in.Bucket, tags)
}

func (a *API) getBucketTagging(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Tagging, error) {
	tags, err := a.Buckets.GetTags(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	return &shape.Tagging{Tags: tagSet(tags)}, nil
}

func (a *API) deleteBucketTagging(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
	return nil, a.Buckets.PutTags(ctx, g, in.Bucket, nil)
}

func (a *API) putObjectTagging(
	ctx context.Context, g authz.Grant, in *shape.PutObjectTaggingInput,
) (*shape.ObjectTaggingOutput, error) {
	list, err := tagsOf(in.Tagging)
	if err != nil {
		return nil, err
	}
	tags, err := tag.Object(list)
	if err != nil {
		return nil, err
	}
	v, err := a.Objects.PutTags(ctx, g, object.VersionInput{Bucket: in.Bucket, Key: in.Key, VersionID: in.VersionId},
		tags)
	if err != nil {
		return nil, err
	}
	return &shape.ObjectTaggingOutput{VersionId: versionOf(&v)}, nil
}

func (a *API) getObjectTagging(
	ctx context.Context, g authz.Grant, in *shape.ObjectInput,
) (*shape.ObjectTagging, error) {
	v, err := a.Objects.GetTags(ctx, g, object.VersionInput{Bucket: in.Bucket, Key: in.Key, VersionID: in.VersionId})
	if err != nil {
		return nil, err
	}
	return &shape.ObjectTagging{VersionId: versionOf(&v), Tags: tagSet(v.Tags)}, nil
}

func (a *API) deleteObjectTagging(
	ctx context.Context, g authz.Grant, in *shape.ObjectInput,
) (*shape.ObjectTaggingOutput, error) {
	v, err := a.Objects.DeleteTags(ctx, g, object.VersionInput{Bucket: in.Bucket, Key: in.Key, VersionID: in.VersionId})
	if err != nil {
		return nil, err
	}
	return &shape.ObjectTaggingOutput{VersionId: versionOf(&v)}, nil
}
