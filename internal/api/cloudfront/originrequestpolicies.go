package cloudfront

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/cloudfront/shape"
	"watertight/internal/core/cdn"
	"watertight/internal/gateway/dispatch"
)

func (a *API) originRequestPolicyRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateOriginRequestPolicy", "POST /origin-request-policy", 201,
			onNew[shape.CreateOriginRequestPolicyInput]("origin-request-policy"), a.createOriginRequestPolicy),
		define("GetOriginRequestPolicy", "GET /origin-request-policy/{Id}", 200,
			on[shape.IDInput]("origin-request-policy"), a.getOriginRequestPolicy),
		define("GetOriginRequestPolicyConfig", "GET /origin-request-policy/{Id}/config", 200,
			on[shape.IDInput]("origin-request-policy"), a.getOriginRequestPolicyConfig),
		define("UpdateOriginRequestPolicy", "PUT /origin-request-policy/{Id}", 200,
			on[shape.UpdateOriginRequestPolicyInput]("origin-request-policy"), a.updateOriginRequestPolicy),
		define("DeleteOriginRequestPolicy", "DELETE /origin-request-policy/{Id}", 204,
			on[shape.DeleteInput]("origin-request-policy"), a.deleteOriginRequestPolicy),
		define("ListOriginRequestPolicies", "GET /origin-request-policy", 200,
			onAny[shape.PolicyPageInput], a.listOriginRequestPolicies),
	}
}

func (a *API) createOriginRequestPolicy(
	ctx context.Context, g authz.Grant, in *shape.CreateOriginRequestPolicyInput,
) (*shape.OriginRequestPolicyOutput, error) {
	r, err := a.CDN.CreateOriginRequestPolicy(ctx, g, in.OriginRequestPolicyConfig)
	out, err := answer(&r, err, originRequestPolicyOutput)
	if err == nil {
		out.New = r.ID
	}
	return out, err
}

func originRequestPolicyOutput(r *cdn.OriginRequestPolicy) *shape.OriginRequestPolicyOutput {
	return &shape.OriginRequestPolicyOutput{ETag: r.ETag, OriginRequestPolicy: originRequestPolicyOf(r)}
}

func originRequestPolicyOf(r *cdn.OriginRequestPolicy) shape.OriginRequestPolicy {
	return shape.OriginRequestPolicy{Id: r.ID, LastModifiedTime: r.Modified, OriginRequestPolicyConfig: r.Config}
}

func (a *API) getOriginRequestPolicy(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.OriginRequestPolicyOutput, error) {
	r, err := a.CDN.GetOriginRequestPolicy(ctx, g, in.Id)
	return answer(&r, err, originRequestPolicyOutput)
}

func (a *API) getOriginRequestPolicyConfig(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.OriginRequestPolicyConfigOutput, error) {
	r, err := a.CDN.GetOriginRequestPolicyConfig(ctx, g, in.Id)
	if err != nil {
		return nil, err
	}
	return &shape.OriginRequestPolicyConfigOutput{ETag: r.ETag, OriginRequestPolicyConfig: r.Config}, nil
}

func (a *API) updateOriginRequestPolicy(
	ctx context.Context, g authz.Grant, in *shape.UpdateOriginRequestPolicyInput,
) (*shape.OriginRequestPolicyOutput, error) {
	r, err := a.CDN.UpdateOriginRequestPolicy(ctx, g, in.Id, in.IfMatch, in.OriginRequestPolicyConfig)
	return answer(&r, err, originRequestPolicyOutput)
}

func (a *API) deleteOriginRequestPolicy(
	ctx context.Context, g authz.Grant, in *shape.DeleteInput,
) (*shape.Empty, error) {
	return nil, a.CDN.DeleteOriginRequestPolicy(ctx, g, in.Id, in.IfMatch)
}

func (a *API) listOriginRequestPolicies(
	ctx context.Context, g authz.Grant, in *shape.PolicyPageInput,
) (*shape.ListOriginRequestPoliciesOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	all, next, err := a.CDN.ListOriginRequestPolicies(ctx, g, in.Type, p)
	if err != nil {
		return nil, err
	}
	return &shape.ListOriginRequestPoliciesOutput{OriginRequestPolicyList: shape.OriginRequestPolicyList{
		NextMarker: next, MaxItems: p.Size(), Quantity: len(all),
		Items: each(all, func(r *cdn.OriginRequestPolicy) shape.OriginRequestPolicySummary {
			return shape.OriginRequestPolicySummary{
				Type: typeOf(r.Managed), OriginRequestPolicy: originRequestPolicyOf(r),
			}
		}),
	}}, nil
}
