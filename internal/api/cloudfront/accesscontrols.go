package cloudfront

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/cloudfront/shape"
	"watertight/internal/core/cdn"
	"watertight/internal/gateway/dispatch"
)

func (a *API) accessControlRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateOriginAccessControl", "POST /origin-access-control", 201,
			onNew[shape.CreateOriginAccessControlInput]("origin-access-control"), a.createOriginAccessControl),
		define("GetOriginAccessControl", "GET /origin-access-control/{Id}", 200,
			on[shape.IDInput]("origin-access-control"), a.getOriginAccessControl),
		define("GetOriginAccessControlConfig", "GET /origin-access-control/{Id}/config", 200,
			on[shape.IDInput]("origin-access-control"), a.getOriginAccessControlConfig),
		define("UpdateOriginAccessControl", "PUT /origin-access-control/{Id}/config", 200,
			on[shape.UpdateOriginAccessControlInput]("origin-access-control"), a.updateOriginAccessControl),
		define("DeleteOriginAccessControl", "DELETE /origin-access-control/{Id}", 204,
			on[shape.DeleteInput]("origin-access-control"), a.deleteOriginAccessControl),
		define("ListOriginAccessControls", "GET /origin-access-control", 200,
			onAny[shape.PageInput], a.listOriginAccessControls),
	}
}

func (a *API) createOriginAccessControl(
	ctx context.Context, g authz.Grant, in *shape.CreateOriginAccessControlInput,
) (*shape.OriginAccessControlOutput, error) {
	r, err := a.CDN.CreateOriginAccessControl(ctx, g, in.OriginAccessControlConfig)
	out, err := answer(&r, err, accessControlOutput)
	if err == nil {
		out.New = r.ID
	}
	return out, err
}

func accessControlOutput(r *cdn.OriginAccessControl) *shape.OriginAccessControlOutput {
	return &shape.OriginAccessControlOutput{ETag: r.ETag, OriginAccessControl: accessControlOf(r)}
}

func accessControlOf(r *cdn.OriginAccessControl) shape.OriginAccessControl {
	return shape.OriginAccessControl{Id: r.ID, OriginAccessControlConfig: r.Config}
}

func (a *API) getOriginAccessControl(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.OriginAccessControlOutput, error) {
	r, err := a.CDN.GetOriginAccessControl(ctx, g, in.Id)
	return answer(&r, err, accessControlOutput)
}

func (a *API) getOriginAccessControlConfig(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.OriginAccessControlConfigOutput, error) {
	r, err := a.CDN.GetOriginAccessControlConfig(ctx, g, in.Id)
	if err != nil {
		return nil, err
	}
	return &shape.OriginAccessControlConfigOutput{ETag: r.ETag, OriginAccessControlConfig: r.Config}, nil
}

func (a *API) updateOriginAccessControl(
	ctx context.Context, g authz.Grant, in *shape.UpdateOriginAccessControlInput,
) (*shape.OriginAccessControlOutput, error) {
	r, err := a.CDN.UpdateOriginAccessControl(ctx, g, in.Id, in.IfMatch, in.OriginAccessControlConfig)
	return answer(&r, err, accessControlOutput)
}

func (a *API) deleteOriginAccessControl(
	ctx context.Context, g authz.Grant, in *shape.DeleteInput,
) (*shape.Empty, error) {
	return nil, a.CDN.DeleteOriginAccessControl(ctx, g, in.Id, in.IfMatch)
}

func (a *API) listOriginAccessControls(
	ctx context.Context, g authz.Grant, in *shape.PageInput,
) (*shape.ListOriginAccessControlsOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	all, next, err := a.CDN.ListOriginAccessControls(ctx, g, p)
	if err != nil {
		return nil, err
	}
	return &shape.ListOriginAccessControlsOutput{OriginAccessControlList: shape.OriginAccessControlList{
		Marker: in.Marker, IsTruncated: next != "", NextMarker: next, MaxItems: p.Size(), Quantity: len(all),
		Items: each(all, func(r *cdn.OriginAccessControl) shape.OriginAccessControlSummary {
			return shape.OriginAccessControlSummary{Id: r.ID, OriginAccessControlConfig: r.Config}
		}),
	}}, nil
}
