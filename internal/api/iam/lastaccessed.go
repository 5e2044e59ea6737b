package iam

import (
	"context"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/gateway/dispatch"
)

func (a *API) lastAccessedRows() []dispatch.Row {
	return []dispatch.Row{
		define("GenerateServiceLastAccessedDetails", a.mayGenerateLastAccessed, a.generateLastAccessed),
		define("GetServiceLastAccessedDetails", a.mayGetLastAccessed, a.getLastAccessed),
	}
}

func (a *API) mayGenerateLastAccessed(
	ctx context.Context, c authz.Caller, in *shape.GenerateLastAccessedInput,
) ([]authz.Need, error) {
	s, err := a.Identities.LastAccessedSubject(ctx, c.Principal().Account, in.Arn)
	if err != nil {
		return nil, err
	}
	return []authz.Need{{
		Action: "iam:GenerateServiceLastAccessedDetails", Resource: s.ARN, Keys: conditionKeys(s, shape.Conditions{}),
	}}, nil
}

func (a *API) mayGetLastAccessed(
	ctx context.Context, c authz.Caller, in *shape.GetLastAccessedInput,
) ([]authz.Need, error) {
	all := []authz.Need{{Action: "iam:GetServiceLastAccessedDetails", Resource: arn.Any()}}
	s, found, err := a.Identities.JobSubject(ctx, c.Principal().Account, in.JobId, c.At())
	if found {
		all = append(all, authz.Need{
			Action: "iam:GenerateServiceLastAccessedDetails", Resource: s.ARN,
			Keys: conditionKeys(s, shape.Conditions{}),
		})
	}
	return all, err
}

func (a *API) generateLastAccessed(
	ctx context.Context, g authz.Grant, in *shape.GenerateLastAccessedInput,
) (*shape.GenerateLastAccessedOutput, error) {
	id, err := a.Identities.GenerateLastAccessed(ctx, g, in.Arn)
	if err != nil {
		return nil, err
	}
	return &shape.GenerateLastAccessedOutput{JobId: id}, nil
}

func (a *API) getLastAccessed(
	ctx context.Context, g authz.Grant, in *shape.GetLastAccessedInput,
) (*shape.GetLastAccessedOutput, error) {
	r, err := a.Identities.GetLastAccessed(ctx, g, in.JobId, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.GetLastAccessedOutput{
		JobStatus: "COMPLETED", JobType: "SERVICE_LEVEL", JobCreationDate: r.Asked, JobCompletionDate: r.Asked,
		ServicesLastAccessed: each(r.Services, serviceLastAccessed), IsTruncated: r.Next != "", Marker: r.Next,
	}, nil
}

func serviceLastAccessed(l identity.LastAccessed) shape.ServiceLastAccessed {
	name := action.ServiceName(l.Service)
	return shape.ServiceLastAccessed{
		ServiceName: name, ServiceNamespace: l.Service,
		LastAuthenticated: l.At, LastAuthenticatedEntity: l.Entity, TotalAuthenticatedEntities: l.Entities,
	}
}
