package iam

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/core/tag"
)

// handler executes an operation.
type handler[In, Out any] func(context.Context, authz.Grant, *In) (*Out, error)

func (a *API) delete(k identity.EntityKind) handler[shape.EntityInput, shape.Empty] {
	return func(ctx context.Context, g authz.Grant, in *shape.EntityInput) (*shape.Empty, error) {
		return nil, a.Identities.Delete(ctx, g, k, in.Entity(k.String()).Value)
	}
}

func (a *API) tag(k identity.EntityKind) handler[shape.TagInput, shape.Empty] {
	return func(ctx context.Context, g authz.Grant, in *shape.TagInput) (*shape.Empty, error) {
		return nil, a.Identities.Tag(ctx, g, k, in.Entity(k.String()).Value, tagsOf(in.Tags))
	}
}

func (a *API) untag(k identity.EntityKind) handler[shape.UntagInput, shape.Empty] {
	return func(ctx context.Context, g authz.Grant, in *shape.UntagInput) (*shape.Empty, error) {
		return nil, a.Identities.Untag(ctx, g, k, in.Entity(k.String()).Value, in.TagKeys)
	}
}

func (a *API) listTags(k identity.EntityKind) handler[shape.TagsInput, shape.TagsOutput] {
	return func(ctx context.Context, g authz.Grant, in *shape.TagsInput) (*shape.TagsOutput, error) {
		return tagsOutput(a.Identities.Tags(ctx, g, k, in.Entity(k.String()).Value, pageOf(in.Marker, in.MaxItems)))
	}
}

func tagsOutput(tags []tag.Tag, next string, err error) (*shape.TagsOutput, error) {
	if err != nil {
		return nil, err
	}
	return &shape.TagsOutput{
		Tags: each(tags, func(t tag.Tag) shape.Tag { return shape.Tag(t) }), IsTruncated: next != "", Marker: next,
	}, nil
}

func (a *API) putPolicy(k identity.EntityKind) handler[shape.PutInlinePolicyInput, shape.Empty] {
	return func(ctx context.Context, g authz.Grant, in *shape.PutInlinePolicyInput) (*shape.Empty, error) {
		return nil, a.Identities.PutInline(ctx, g, k, in.Entity(k.String()).Value, identity.Inline{
			Name: in.PolicyName, Document: in.PolicyDocument,
		})
	}
}

func (a *API) getInline(k identity.EntityKind) handler[shape.InlinePolicyInput, shape.InlinePolicyOutput] {
	return func(ctx context.Context, g authz.Grant, in *shape.InlinePolicyInput) (*shape.InlinePolicyOutput, error) {
		p, e, err := a.Identities.GetInline(ctx, g, k, in.Entity(k.String()).Value, in.PolicyName)
		if err != nil {
			return nil, err
		}
		out := &shape.InlinePolicyOutput{PolicyName: p.Name, PolicyDocument: escape(p.Document)}
		switch k {
		case identity.User:
			out.UserName = e.Name
		case identity.Group:
			out.GroupName = e.Name
		case identity.Role:
			out.RoleName = e.Name
		}
		return out, nil
	}
}

func (a *API) deleteInline(k identity.EntityKind) handler[shape.InlinePolicyInput, shape.Empty] {
	return func(ctx context.Context, g authz.Grant, in *shape.InlinePolicyInput) (*shape.Empty, error) {
		return nil, a.Identities.DeleteInline(ctx, g, k, in.Entity(k.String()).Value, in.PolicyName)
	}
}

func (a *API) listInline(k identity.EntityKind) handler[shape.EntityPageInput, shape.PolicyNamesOutput] {
	return func(ctx context.Context, g authz.Grant, in *shape.EntityPageInput) (*shape.PolicyNamesOutput, error) {
		names, next, err := a.Identities.ListInline(ctx, g, k, in.Entity(k.String()).Value,
			pageOf(in.Marker, in.MaxItems))
		if err != nil {
			return nil, err
		}
		return &shape.PolicyNamesOutput{
			PolicyNames: each(names, func(s string) string { return s }), IsTruncated: next != "", Marker: next,
		}, nil
	}
}

func (a *API) attach(k identity.EntityKind) handler[shape.AttachInput, shape.Empty] {
	return func(ctx context.Context, g authz.Grant, in *shape.AttachInput) (*shape.Empty, error) {
		return nil, a.Identities.Attach(ctx, g, k, in.Entity(k.String()).Value, in.PolicyArn)
	}
}

func (a *API) detach(k identity.EntityKind) handler[shape.AttachInput, shape.Empty] {
	return func(ctx context.Context, g authz.Grant, in *shape.AttachInput) (*shape.Empty, error) {
		return nil, a.Identities.Detach(ctx, g, k, in.Entity(k.String()).Value, in.PolicyArn)
	}
}

func attachedShape(policyARN string) shape.AttachedPolicy {
	return shape.AttachedPolicy{PolicyName: identity.PolicyName(policyARN), PolicyArn: policyARN}
}

func (a *API) listAttached(k identity.EntityKind) handler[shape.EntityPageInput, shape.AttachedPoliciesOutput] {
	return func(ctx context.Context, g authz.Grant, in *shape.EntityPageInput) (*shape.AttachedPoliciesOutput, error) {
		names, next, err := a.Identities.ListAttached(ctx, g, k, in.Entity(k.String()).Value, in.PathPrefix,
			pageOf(in.Marker, in.MaxItems))
		if err != nil {
			return nil, err
		}
		return &shape.AttachedPoliciesOutput{
			AttachedPolicies: each(names, attachedShape), IsTruncated: next != "", Marker: next,
		}, nil
	}
}

func (a *API) putBoundary(k identity.EntityKind) handler[shape.BoundaryInput, shape.Empty] {
	return func(ctx context.Context, g authz.Grant, in *shape.BoundaryInput) (*shape.Empty, error) {
		return nil, a.Identities.PutBoundary(ctx, g, k, in.Entity(k.String()).Value, in.PermissionsBoundary)
	}
}

func (a *API) deleteBoundary(k identity.EntityKind) handler[shape.EntityInput, shape.Empty] {
	return func(ctx context.Context, g authz.Grant, in *shape.EntityInput) (*shape.Empty, error) {
		return nil, a.Identities.DeleteBoundary(ctx, g, k, in.Entity(k.String()).Value)
	}
}
