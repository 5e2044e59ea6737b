package cloudfront

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/cloudfront/shape"
	"watertight/internal/core/cdn"
	"watertight/internal/gateway/dispatch"
)

func (a *API) publicKeyRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreatePublicKey", "POST /public-key", 201,
			onAny[shape.CreatePublicKeyInput], a.createPublicKey),
		define("GetPublicKey", "GET /public-key/{Id}", 200,
			onAny[shape.IDInput], a.getPublicKey),
		define("GetPublicKeyConfig", "GET /public-key/{Id}/config", 200,
			onAny[shape.IDInput], a.getPublicKeyConfig),
		define("UpdatePublicKey", "PUT /public-key/{Id}/config", 200,
			onAny[shape.UpdatePublicKeyInput], a.updatePublicKey),
		define("DeletePublicKey", "DELETE /public-key/{Id}", 204,
			onAny[shape.DeleteInput], a.deletePublicKey),
		define("ListPublicKeys", "GET /public-key", 200,
			onAny[shape.PageInput], a.listPublicKeys),
	}
}

func (a *API) createPublicKey(
	ctx context.Context, g authz.Grant, in *shape.CreatePublicKeyInput,
) (*shape.PublicKeyOutput, error) {
	r, err := a.CDN.CreatePublicKey(ctx, g, in.PublicKeyConfig)
	out, err := answer(&r, err, publicKeyOutput)
	if err == nil {
		out.New = r.ID
	}
	return out, err
}

func publicKeyOutput(r *cdn.PublicKey) *shape.PublicKeyOutput {
	return &shape.PublicKeyOutput{ETag: r.ETag, PublicKey: publicKeyOf(r)}
}

func publicKeyOf(r *cdn.PublicKey) shape.PublicKey {
	return shape.PublicKey{Id: r.ID, CreatedTime: r.Created, PublicKeyConfig: r.Config}
}

func (a *API) getPublicKey(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.PublicKeyOutput, error) {
	r, err := a.CDN.GetPublicKey(ctx, g, in.Id)
	return answer(&r, err, publicKeyOutput)
}

func (a *API) getPublicKeyConfig(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.PublicKeyConfigOutput, error) {
	r, err := a.CDN.GetPublicKeyConfig(ctx, g, in.Id)
	if err != nil {
		return nil, err
	}
	return &shape.PublicKeyConfigOutput{ETag: r.ETag, PublicKeyConfig: r.Config}, nil
}

func (a *API) updatePublicKey(
	ctx context.Context, g authz.Grant, in *shape.UpdatePublicKeyInput,
) (*shape.PublicKeyOutput, error) {
	r, err := a.CDN.UpdatePublicKey(ctx, g, in.Id, in.IfMatch, in.PublicKeyConfig)
	return answer(&r, err, publicKeyOutput)
}

func (a *API) deletePublicKey(
	ctx context.Context, g authz.Grant, in *shape.DeleteInput,
) (*shape.Empty, error) {
	return nil, a.CDN.DeletePublicKey(ctx, g, in.Id, in.IfMatch)
}

func (a *API) listPublicKeys(
	ctx context.Context, g authz.Grant, in *shape.PageInput,
) (*shape.ListPublicKeysOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	all, next, err := a.CDN.ListPublicKeys(ctx, g, p)
	if err != nil {
		return nil, err
	}
	return &shape.ListPublicKeysOutput{PublicKeyList: shape.PublicKeyList{
		NextMarker: next, MaxItems: p.Size(), Quantity: len(all),
		Items: each(all, func(r *cdn.PublicKey) shape.PublicKeySummary {
			return shape.PublicKeySummary{
				Id: r.ID, Name: r.Config.Name, CreatedTime: r.Created, EncodedKey: r.Config.EncodedKey,
				Comment: r.Config.Comment,
			}
		}),
	}}, nil
}
