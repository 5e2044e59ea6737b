package cloudfront

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/cloudfront/shape"
	"watertight/internal/core/cdn"
	"watertight/internal/gateway/dispatch"
)

func (a *API) responseHeadersPolicyRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateResponseHeadersPolicy", "POST /response-headers-policy", 201,
			onNew[shape.CreateResponseHeadersPolicyInput]("response-headers-policy"), a.createResponseHeadersPolicy),
		define("GetResponseHeadersPolicy", "GET /response-headers-policy/{Id}", 200,
			on[shape.IDInput]("response-headers-policy"), a.getResponseHeadersPolicy),
		define("GetResponseHeadersPolicyConfig", "GET /response-headers-policy/{Id}/config", 200,
			on[shape.IDInput]("response-headers-policy"), a.getResponseHeadersPolicyConfig),
		define("UpdateResponseHeadersPolicy", "PUT /response-headers-policy/{Id}", 200,
			on[shape.UpdateResponseHeadersPolicyInput]("response-headers-policy"), a.updateResponseHeadersPolicy),
		define("DeleteResponseHeadersPolicy", "DELETE /response-headers-policy/{Id}", 204,
			on[shape.DeleteInput]("response-headers-policy"), a.deleteResponseHeadersPolicy),
		define("ListResponseHeadersPolicies", "GET /response-headers-policy", 200,
			onAny[shape.PolicyPageInput], a.listResponseHeadersPolicies),
	}
}

func (a *API) createResponseHeadersPolicy(
	ctx context.Context, g authz.Grant, in *shape.CreateResponseHeadersPolicyInput,
) (*shape.ResponseHeadersPolicyOutput, error) {
	r, err := a.CDN.CreateResponseHeadersPolicy(ctx, g, in.ResponseHeadersPolicyConfig)
	out, err := answer(&r, err, responseHeadersPolicyOutput)
	if err == nil {
		out.New = r.ID
	}
	return out, err
}

func responseHeadersPolicyOutput(r *cdn.ResponseHeadersPolicy) *shape.ResponseHeadersPolicyOutput {
	return &shape.ResponseHeadersPolicyOutput{ETag: r.ETag, ResponseHeadersPolicy: responseHeadersPolicyOf(r)}
}

func responseHeadersPolicyOf(r *cdn.ResponseHeadersPolicy) shape.ResponseHeadersPolicy {
	return shape.ResponseHeadersPolicy{Id: r.ID, LastModifiedTime: r.Modified, ResponseHeadersPolicyConfig: r.Config}
}

func (a *API) getResponseHeadersPolicy(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.ResponseHeadersPolicyOutput, error) {
	r, err := a.CDN.GetResponseHeadersPolicy(ctx, g, in.Id)
	return answer(&r, err, responseHeadersPolicyOutput)
}

func (a *API) getResponseHeadersPolicyConfig(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.ResponseHeadersPolicyConfigOutput, error) {
	r, err := a.CDN.GetResponseHeadersPolicyConfig(ctx, g, in.Id)
	if err != nil {
		return nil, err
	}
	return &shape.ResponseHeadersPolicyConfigOutput{ETag: r.ETag, ResponseHeadersPolicyConfig: r.Config}, nil
}

func (a *API) updateResponseHeadersPolicy(
	ctx context.Context, g authz.Grant, in *shape.UpdateResponseHeadersPolicyInput,
) (*shape.ResponseHeadersPolicyOutput, error) {
	r, err := a.CDN.UpdateResponseHeadersPolicy(ctx, g, in.Id, in.IfMatch, in.ResponseHeadersPolicyConfig)
	return answer(&r, err, responseHeadersPolicyOutput)
}

func (a *API) deleteResponseHeadersPolicy(
	ctx context.Context, g authz.Grant, in *shape.DeleteInput,
) (*shape.Empty, error) {
	return nil, a.CDN.DeleteResponseHeadersPolicy(ctx, g, in.Id, in.IfMatch)
}

func (a *API) listResponseHeadersPolicies(
	ctx context.Context, g authz.Grant, in *shape.PolicyPageInput,
) (*shape.ListResponseHeadersPoliciesOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	all, next, err := a.CDN.ListResponseHeadersPolicies(ctx, g, in.Type, p)
	if err != nil {
		return nil, err
	}
	return &shape.ListResponseHeadersPoliciesOutput{ResponseHeadersPolicyList: shape.ResponseHeadersPolicyList{
		NextMarker: next, MaxItems: p.Size(), Quantity: len(all),
		Items: each(all, func(r *cdn.ResponseHeadersPolicy) shape.ResponseHeadersPolicySummary {
			return shape.ResponseHeadersPolicySummary{
				Type: typeOf(r.Managed), ResponseHeadersPolicy: responseHeadersPolicyOf(r),
			}
		}),
	}}, nil
}
