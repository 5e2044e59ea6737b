package cloudfront

import (
	"context"
	"maps"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/cloudfront/shape"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

func (a *API) tagRows() []dispatch.Row {
	return []dispatch.Row{
		define("TagResource", "POST /tagging?Operation=Tag", 204, a.mayTag, a.tagResource),
		define("UntagResource", "POST /tagging?Operation=Untag", 204, a.mayUntag, a.untagResource),
		define("ListTagsForResource", "GET /tagging", 200, a.mayListTags, a.listTags),
	}
}

// taggingNeed is the need for an action on the resource that an ARN names, with the tags
// that a distribution of the caller's account has.
func (a *API) taggingNeed(
	ctx context.Context, c authz.Caller, action policy.Action, resource string, conditions keys,
) ([]authz.Need, error) {
	r, err := arn.Parse(resource)
	if err != nil || r.Service != "cloudfront" || !arn.IsAccountID(r.Account) {
		return nil, fault.New(fault.InvalidArgument, "Resource is not an ARN of CloudFront.")
	}
	with := keys{}
	if id, ok := strings.CutPrefix(r.Resource, "distribution/"); ok && r.Account == c.Principal().Account {
		n, err := a.distributionNeed(ctx, c, action, id, nil)
		if err != nil {
			return nil, err
		}
		with = n.Keys
	}
	maps.Copy(with, conditions)
	return []authz.Need{{Action: action, Resource: r, Keys: with}}, nil
}

func (a *API) mayTag(
	ctx context.Context, c authz.Caller, action policy.Action, in *shape.TagResourceInput,
) ([]authz.Need, error) {
	return a.taggingNeed(ctx, c, action, in.Resource, tagKeys(in.Tags.Items))
}

func (a *API) mayUntag(
	ctx context.Context, c authz.Caller, action policy.Action, in *shape.UntagResourceInput,
) ([]authz.Need, error) {
	with := keys{}
	if len(in.TagKeys.Items) > 0 {
		with["aws:tagkeys"] = in.TagKeys.Items
	}
	return a.taggingNeed(ctx, c, action, in.Resource, with)
}

func (a *API) mayListTags(
	ctx context.Context, c authz.Caller, action policy.Action, in *shape.ResourceInput,
) ([]authz.Need, error) {
	return a.taggingNeed(ctx, c, action, in.Resource, nil)
}

func (a *API) tagResource(ctx context.Context, g authz.Grant, in *shape.TagResourceInput) (*shape.Empty, error) {
	return nil, a.CDN.TagResource(ctx, g, in.Resource, tagsOf(in.Tags.Items))
}

func (a *API) untagResource(ctx context.Context, g authz.Grant, in *shape.UntagResourceInput) (*shape.Empty, error) {
	return nil, a.CDN.UntagResource(ctx, g, in.Resource, in.TagKeys.Items)
}

func (a *API) listTags(ctx context.Context, g authz.Grant, in *shape.ResourceInput) (*shape.ListTagsOutput, error) {
	all, err := a.CDN.ListTagsForResource(ctx, g, in.Resource)
	if err != nil {
		return nil, err
	}
	return &shape.ListTagsOutput{Tags: shape.Tags{Items: each(all, func(t *tag.Tag) shape.Tag {
		return shape.Tag{Key: t.Key, Value: t.Value}
	})}}, nil
}
