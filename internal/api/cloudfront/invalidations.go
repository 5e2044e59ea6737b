package cloudfront

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/cloudfront/shape"
	"watertight/internal/core/cdn"
	"watertight/internal/gateway/dispatch"
)

func (a *API) invalidationRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateInvalidation", "POST /distribution/{DistributionId}/invalidation", 201,
			onDistribution[shape.CreateInvalidationInput](a), a.createInvalidation),
		define("GetInvalidation", "GET /distribution/{DistributionId}/invalidation/{Id}", 200,
			onDistribution[shape.GetInvalidationInput](a), a.getInvalidation),
		define("ListInvalidations", "GET /distribution/{DistributionId}/invalidation", 200,
			onDistribution[shape.ListInvalidationsInput](a), a.listInvalidations),
	}
}

func (a *API) createInvalidation(
	ctx context.Context, g authz.Grant, in *shape.CreateInvalidationInput,
) (*shape.InvalidationOutput, error) {
	i, err := a.CDN.CreateInvalidation(ctx, g, in.DistributionId, in.InvalidationBatch)
	if err != nil {
		return nil, err
	}
	return &shape.InvalidationOutput{New: i.ID, Invalidation: invalidationOf(&i)}, nil
}

func invalidationOf(i *cdn.Invalidation) shape.Invalidation {
	return shape.Invalidation{Id: i.ID, Status: i.Status(), CreateTime: i.Created, InvalidationBatch: i.Batch}
}

func (a *API) getInvalidation(
	ctx context.Context, g authz.Grant, in *shape.GetInvalidationInput,
) (*shape.InvalidationOutput, error) {
	i, err := a.CDN.GetInvalidation(ctx, g, in.DistributionId, in.Id)
	if err != nil {
		return nil, err
	}
	return &shape.InvalidationOutput{Invalidation: invalidationOf(&i)}, nil
}

func (a *API) listInvalidations(
	ctx context.Context, g authz.Grant, in *shape.ListInvalidationsInput,
) (*shape.ListInvalidationsOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	all, next, err := a.CDN.ListInvalidations(ctx, g, in.DistributionId, p)
	if err != nil {
		return nil, err
	}
	return &shape.ListInvalidationsOutput{InvalidationList: shape.InvalidationList{
		Marker: in.Marker, NextMarker: next, MaxItems: p.Size(), IsTruncated: next != "", Quantity: len(all),
		Items: each(all, func(i *cdn.Invalidation) shape.InvalidationSummary {
			return shape.InvalidationSummary{Id: i.ID, CreateTime: i.Created, Status: i.Status()}
		}),
	}}, nil
}
