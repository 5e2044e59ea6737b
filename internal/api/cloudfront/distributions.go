package cloudfront

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/cloudfront/shape"
	"watertight/internal/core/cdn"
	"watertight/internal/gateway/dispatch"
)

func (a *API) distributionRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateDistribution", "POST /distribution", 201,
			onNew[shape.CreateDistributionInput]("distribution"),
			a.createDistribution),
		define("CreateDistributionWithTags", "POST /distribution?WithTags", 201, mayCreateWithTags,
			a.createDistributionWithTags),
		define("GetDistribution", "GET /distribution/{Id}", 200,
			onDistribution[shape.IDInput](a), a.getDistribution),
		define("GetDistributionConfig", "GET /distribution/{Id}/config", 200,
			onDistribution[shape.IDInput](a), a.getDistributionConfig),
		define("UpdateDistribution", "PUT /distribution/{Id}/config", 200,
			onDistribution[shape.UpdateDistributionInput](a), a.updateDistribution),
		define("DeleteDistribution", "DELETE /distribution/{Id}", 204,
			onDistribution[shape.DeleteInput](a), a.deleteDistribution),
		define("ListDistributions", "GET /distribution", 200,
			onAny[shape.PageInput], a.listDistributions),
	}
}

// mayCreateWithTags needs two actions, because there is no action with the operation's name
// (service authorization reference).
func mayCreateWithTags(
	_ context.Context, c authz.Caller, _ policy.Action, in *shape.CreateDistributionWithTagsInput,
) ([]authz.Need, error) {
	r, with := own(c, "distribution", "*"), tagKeys(in.DistributionConfigWithTags.Tags.Items)
	return []authz.Need{
		{Action: "cloudfront:CreateDistribution", Resource: r, New: true, Keys: with},
		{Action: "cloudfront:TagResource", Resource: r, New: true, Keys: with},
	}, nil
}

func (a *API) createDistribution(
	ctx context.Context, g authz.Grant, in *shape.CreateDistributionInput,
) (*shape.DistributionOutput, error) {
	d, err := a.CDN.CreateDistribution(ctx, g, in.DistributionConfig, nil)
	return created(&d, err)
}

func (a *API) createDistributionWithTags(
	ctx context.Context, g authz.Grant, in *shape.CreateDistributionWithTagsInput,
) (*shape.DistributionOutput, error) {
	with := &in.DistributionConfigWithTags
	d, err := a.CDN.CreateDistribution(ctx, g, with.DistributionConfig, tagsOf(with.Tags.Items))
	return created(&d, err)
}

func created(d *cdn.Distribution, err error) (*shape.DistributionOutput, error) {
	out, err := distributionOf(d, err)
	if out != nil {
		out.New = d.ID
	}
	return out, err
}

func distributionOf(d *cdn.Distribution, err error) (*shape.DistributionOutput, error) {
	if err != nil {
		return nil, err
	}
	active := shape.ActiveTrustedKeyGroups{
		Enabled: len(d.KeyGroups) > 0, Quantity: len(d.KeyGroups),
		Items: each(d.KeyGroups, func(k *cdn.ActiveKeyGroup) shape.ActiveKeyGroup {
			return shape.ActiveKeyGroup{
				KeyGroupId: k.ID, KeyPairIds: shape.KeyPairIds{Quantity: len(k.Keys), Items: k.Keys},
			}
		}),
	}
	return &shape.DistributionOutput{
		ETag: d.ETag,
		Distribution: shape.Distribution{
			Id: d.ID, ARN: d.ARN, Status: d.Status(), LastModifiedTime: d.Modified,
			InProgressInvalidationBatches: d.Invalidating, DomainName: d.DomainName, ActiveTrustedKeyGroups: active,
			DistributionConfig: d.Config,
		},
	}, nil
}

func (a *API) getDistribution(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.DistributionOutput, error) {
	d, err := a.CDN.GetDistribution(ctx, g, in.Id)
	return distributionOf(&d, err)
}

func (a *API) getDistributionConfig(
	ctx context.Context, g authz.Grant, in *shape.IDInput,
) (*shape.DistributionConfigOutput, error) {
	d, err := a.CDN.GetDistributionConfig(ctx, g, in.Id)
	if err != nil {
		return nil, err
	}
	return &shape.DistributionConfigOutput{ETag: d.ETag, DistributionConfig: d.Config}, nil
}

func (a *API) updateDistribution(
	ctx context.Context, g authz.Grant, in *shape.UpdateDistributionInput,
) (*shape.DistributionOutput, error) {
	d, err := a.CDN.UpdateDistribution(ctx, g, in.Id, in.IfMatch, in.DistributionConfig)
	return distributionOf(&d, err)
}

func (a *API) deleteDistribution(ctx context.Context, g authz.Grant, in *shape.DeleteInput) (*shape.Empty, error) {
	return nil, a.CDN.DeleteDistribution(ctx, g, in.Id, in.IfMatch)
}

func (a *API) listDistributions(
	ctx context.Context, g authz.Grant, in *shape.PageInput,
) (*shape.ListDistributionsOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	all, next, err := a.CDN.ListDistributions(ctx, g, p)
	if err != nil {
		return nil, err
	}
	return &shape.ListDistributionsOutput{DistributionList: shape.DistributionList{
		Marker: in.Marker, NextMarker: next, MaxItems: p.Size(), IsTruncated: next != "", Quantity: len(all),
		Items: each(all, summary),
	}}, nil
}

func summary(d *cdn.Distribution) shape.DistributionSummary {
	c := &d.Config
	return shape.DistributionSummary{
		Id: d.ID, ARN: d.ARN, ETag: d.ETag, Status: d.Status(), LastModifiedTime: d.Modified, DomainName: d.DomainName,
		Aliases: c.Aliases, Origins: c.Origins, OriginGroups: c.OriginGroups,
		DefaultCacheBehavior: c.DefaultCacheBehavior, CacheBehaviors: c.CacheBehaviors,
		CustomErrorResponses: c.CustomErrorResponses, Comment: c.Comment, PriceClass: c.PriceClass, Enabled: c.Enabled,
		ViewerCertificate: c.ViewerCertificate, Restrictions: c.Restrictions, WebACLId: c.WebACLId,
		HttpVersion: c.HttpVersion, IsIPV6Enabled: c.IsIPV6Enabled != nil && *c.IsIPV6Enabled, Staging: c.Staging,
		ConnectionMode: c.ConnectionMode,
	}
}
