package cloudfront

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/cloudfront/shape"
	"watertight/internal/core/cdn"
	"watertight/internal/gateway/dispatch"
)

func (a *API) keyGroupRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateKeyGroup", "POST /key-group", 201,
			onAny[shape.CreateKeyGroupInput], a.createKeyGroup),
		define("GetKeyGroup", "GET /key-group/{Id}", 200,
			onAny[shape.IDInput], a.getKeyGroup),
		define("GetKeyGroupConfig", "GET /key-group/{Id}/config", 200,
			onAny[shape.IDInput], a.getKeyGroupConfig),
		define("UpdateKeyGroup", "PUT /key-group/{Id}", 200,
			onAny[shape.UpdateKeyGroupInput], a.updateKeyGroup),
		define("DeleteKeyGroup", "DELETE /key-group/{Id}", 204,
			onAny[shape.DeleteInput], a.deleteKeyGroup),
		define("ListKeyGroups", "GET /key-group", 200,
			onAny[shape.PageInput], a.listKeyGroups),
	}
}

func (a *API) createKeyGroup(
	ctx context.Context, g authz.Grant, in *shape.CreateKeyGroupInput,
) (*shape.KeyGroupOutput, error) {
	r, err := a.CDN.CreateKeyGroup(ctx, g, in.KeyGroupConfig)
	out, err := answer(&r, err, keyGroupOutput)
	if err == nil {
		out.New = r.ID
	}
	return out, err
}

func keyGroupOutput(r *cdn.KeyGroup) *shape.KeyGroupOutput {
	return &shape.KeyGroupOutput{ETag: r.ETag, KeyGroup: keyGroupOf(r)}
}

func keyGroupOf(r *cdn.KeyGroup) shape.KeyGroup {
	return shape.KeyGroup{Id: r.ID, LastModifiedTime: r.Modified, KeyGroupConfig: r.Config}
}

func (a *API) getKeyGroup(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.KeyGroupOutput, error) {
	r, err := a.CDN.GetKeyGroup(ctx, g, in.Id)
	return answer(&r, err, keyGroupOutput)
}

func (a *API) getKeyGroupConfig(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.KeyGroupConfigOutput, error) {
	r, err := a.CDN.GetKeyGroupConfig(ctx, g, in.Id)
	if err != nil {
		return nil, err
	}
	return &shape.KeyGroupConfigOutput{ETag: r.ETag, KeyGroupConfig: r.Config}, nil
}

func (a *API) updateKeyGroup(
	ctx context.Context, g authz.Grant, in *shape.UpdateKeyGroupInput,
) (*shape.KeyGroupOutput, error) {
	r, err := a.CDN.UpdateKeyGroup(ctx, g, in.Id, in.IfMatch, in.KeyGroupConfig)
	return answer(&r, err, keyGroupOutput)
}

func (a *API) deleteKeyGroup(
	ctx context.Context, g authz.Grant, in *shape.DeleteInput,
) (*shape.Empty, error) {
	return nil, a.CDN.DeleteKeyGroup(ctx, g, in.Id, in.IfMatch)
}

func (a *API) listKeyGroups(
	ctx context.Context, g authz.Grant, in *shape.PageInput,
) (*shape.ListKeyGroupsOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	all, next, err := a.CDN.ListKeyGroups(ctx, g, p)
	if err != nil {
		return nil, err
	}
	return &shape.ListKeyGroupsOutput{KeyGroupList: shape.KeyGroupList{
		NextMarker: next, MaxItems: p.Size(), Quantity: len(all),
		Items: each(all, func(r *cdn.KeyGroup) shape.KeyGroupSummary {
			return shape.KeyGroupSummary{KeyGroup: keyGroupOf(r)}
		}),
	}}, nil
}
