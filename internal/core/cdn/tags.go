package cdn

import (
	"context"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// TagsOf returns the tags of a distribution, for conditions of policies. They are nil if there
// is no such distribution. It takes no grant, because authorization itself needs the tags.
func (s *Store) TagsOf(ctx context.Context, account, id string) (tags map[string]string, err error) {
	return tags, s.store.View(ctx, func(r kv.Reader) error {
		i, err := readItem(r, distributions(), account, id)
		if err != nil {
			if fault.Is(err, fault.NoSuchDistribution) {
				return nil
			}
			return err
		}
		tags = map[string]string{}
		for _, t := range i.tags {
			tags[t.Key] = t.Value
		}
		return nil
	})
}

// TagResource adds tags to a distribution, which its ARN names, or replaces their values if
// their keys exist. It needs cloudfront:TagResource on it. Errors: InvalidArgument,
// NoSuchResource, InvalidTagging.
func (s *Store) TagResource(ctx context.Context, g authz.Grant, resource string, tags []tag.Tag) error {
	of, err := tagged(resource)
	if err != nil {
		return err
	}
	if err := g.Demand("cloudfront:TagResource", of); err != nil {
		return err
	}
	return s.retag(ctx, g, of, func(old []tag.Tag) ([]tag.Tag, error) { return tag.AddCloudFront(old, tags) })
}

// UntagResource removes tags from a distribution, which its ARN names, by their keys. It needs
// cloudfront:UntagResource on it. Errors: InvalidArgument, NoSuchResource.
func (s *Store) UntagResource(ctx context.Context, g authz.Grant, resource string, keys []string) error {
	of, err := tagged(resource)
	if err != nil {
		return err
	}
	if err := g.Demand("cloudfront:UntagResource", of); err != nil {
		return err
	}
	return s.retag(ctx, g, of, func(old []tag.Tag) ([]tag.Tag, error) { return tag.RemoveKMS(old, keys), nil })
}

// ListTagsForResource returns the tags of a distribution, which its ARN names. It needs
// cloudfront:ListTagsForResource on it. Errors: InvalidArgument, NoSuchResource.
func (s *Store) ListTagsForResource(ctx context.Context, g authz.Grant, resource string) (tags []tag.Tag, err error) {
	of, err := tagged(resource)
	if err != nil {
		return nil, err
	}
	if err := g.Demand("cloudfront:ListTagsForResource", of); err != nil {
		return nil, err
	}
	return tags, change.View(ctx, s.store, g, func(r kv.Reader) error {
		i, err := taggedItem(r, of)
		if err == nil {
			tags = i.tags
		}
		return err
	})
}

func (s *Store) retag(
	ctx context.Context, g authz.Grant, of arn.ARN, how func([]tag.Tag) ([]tag.Tag, error),
) error {
	return s.commit(ctx, g, func(t *transaction) error {
		i, err := taggedItem(t, of)
		if err != nil {
			return err
		}
		if i.tags, err = how(i.tags); err != nil {
			return err
		}
		i.write(t, distributions())
		return nil
	})
}

// tagged returns the ARN of the distribution that a request names. Errors: InvalidArgument,
// NoSuchResource.
func tagged(resource string) (arn.ARN, error) {
	a, err := arn.Parse(resource)
	if err != nil || a.Partition != "aws" || a.Service != "cloudfront" || a.Region != "" ||
		!arn.IsAccountID(a.Account) {
		return arn.ARN{}, fault.New(fault.InvalidArgument, "Resource is not an ARN of CloudFront.")
	}
	if id, ok := strings.CutPrefix(a.Resource, "distribution/"); !ok || !isID(id, 'E') {
		return arn.ARN{}, fault.Of(fault.NoSuchResource)
	}
	return a, nil
}

// taggedItem returns a distribution by its ARN.
func taggedItem(r kv.Reader, of arn.ARN) (*item, error) {
	i, err := readItem(r, distributions(), of.Account, strings.TrimPrefix(of.Resource, "distribution/"))
	if fault.Is(err, fault.NoSuchDistribution) {
		return nil, fault.Of(fault.NoSuchResource)
	}
	return i, err
}
