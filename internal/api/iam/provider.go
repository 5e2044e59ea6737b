package iam

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

func (a *API) providerRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateOpenIDConnectProvider", mayCreateProvider, a.createOpenIDConnectProvider),
		define("GetOpenIDConnectProvider", onProvider[shape.ProviderInput](a, "iam:GetOpenIDConnectProvider"),
			a.getOpenIDConnectProvider),
		define("ListOpenIDConnectProviders",
			on("iam:ListOpenIDConnectProviders", func(account string, _ *shape.Empty) arn.ARN {
				return identity.ProvidersARN(account)
			}), a.listOpenIDConnectProviders),
		define("DeleteOpenIDConnectProvider", onProvider[shape.ProviderInput](a, "iam:DeleteOpenIDConnectProvider"),
			a.deleteOpenIDConnectProvider),
		define("AddClientIDToOpenIDConnectProvider",
			onProvider[shape.ClientIDInput](a, "iam:AddClientIDToOpenIDConnectProvider"), a.addClientID),
		define("RemoveClientIDFromOpenIDConnectProvider",
			onProvider[shape.ClientIDInput](a, "iam:RemoveClientIDFromOpenIDConnectProvider"), a.removeClientID),
		define("UpdateOpenIDConnectProviderThumbprint",
			onProvider[shape.ThumbprintInput](a, "iam:UpdateOpenIDConnectProviderThumbprint"), a.updateThumbprint),
		define("TagOpenIDConnectProvider", onProvider[shape.TagInput](a, "iam:TagOpenIDConnectProvider"),
			a.tagProvider),
		define("UntagOpenIDConnectProvider", onProvider[shape.UntagInput](a, "iam:UntagOpenIDConnectProvider"),
			a.untagProvider),
		define("ListOpenIDConnectProviderTags", onProvider[shape.TagsInput](a, "iam:ListOpenIDConnectProviderTags"),
			a.listProviderTags),
	}
}

func mayCreateProvider(
	_ context.Context, c authz.Caller, in *shape.CreateOpenIDConnectProviderInput,
) ([]authz.Need, error) {
	at := identity.ProviderARN(c.Principal().Account, in.Url)
	return []authz.Need{{
		Action: "iam:CreateOpenIDConnectProvider", Resource: at,
		Keys: conditionKeys(identity.Subject{}, in.Conditions()), New: true,
	}}, nil
}

func onProvider[In any, P interface {
	*In
	shape.ProviderTarget
	shape.Conditioned
}](a *API, action policy.Action) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		m := P(in).Provider()
		if err := required(m); err != nil {
			return nil, err
		}
		s, err := a.Identities.ProviderSubject(ctx, c.Principal().Account, m.Value)
		if err != nil {
			return nil, err
		}
		if s.ARN.Account != c.Principal().Account {
			return nil, fault.New(fault.AccessDenied,
				"User: "+c.Principal().ARN.String()+" is not authorized to perform this action on resource: "+
					s.ARN.String())
		}
		return []authz.Need{{Action: action, Resource: s.ARN, Keys: conditionKeys(s, P(in).Conditions())}}, nil
	}
}

func (a *API) createOpenIDConnectProvider(
	ctx context.Context, g authz.Grant, in *shape.CreateOpenIDConnectProviderInput,
) (*shape.CreateOpenIDConnectProviderOutput, error) {
	p, err := a.Identities.CreateProvider(ctx, g, in.Url, in.ClientIDList, in.ThumbprintList, tagsOf(in.Tags))
	if err != nil {
		return nil, err
	}
	return &shape.CreateOpenIDConnectProviderOutput{
		OpenIDConnectProviderArn: p.ARN().String(), Tags: tagShapes(p.Tags),
	}, nil
}

func (a *API) getOpenIDConnectProvider(
	ctx context.Context, g authz.Grant, in *shape.ProviderInput,
) (*shape.GetOpenIDConnectProviderOutput, error) {
	p, err := a.Identities.GetProvider(ctx, g, in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	same := func(s string) string { return s }
	return &shape.GetOpenIDConnectProviderOutput{
		Url: p.URL, ClientIDList: each(p.ClientIDs, same), ThumbprintList: each(p.Thumbprints, same),
		CreateDate: p.Created, Tags: tagShapes(p.Tags),
	}, nil
}

func (a *API) listOpenIDConnectProviders(
	ctx context.Context, g authz.Grant, _ *shape.Empty,
) (*shape.ListOpenIDConnectProvidersOutput, error) {
	all, err := a.Identities.Providers(ctx, g)
	if err != nil {
		return nil, err
	}
	return &shape.ListOpenIDConnectProvidersOutput{
		OpenIDConnectProviderList: each(all, func(s string) shape.ProviderEntry { return shape.ProviderEntry{Arn: s} }),
	}, nil
}

func (a *API) deleteOpenIDConnectProvider(
	ctx context.Context, g authz.Grant, in *shape.ProviderInput,
) (*shape.Empty, error) {
	return nil, a.Identities.DeleteProvider(ctx, g, in.OpenIDConnectProviderArn)
}

func (a *API) addClientID(ctx context.Context, g authz.Grant, in *shape.ClientIDInput) (*shape.Empty, error) {
	return nil, a.Identities.AddClientID(ctx, g, in.OpenIDConnectProviderArn, in.ClientID)
}

func (a *API) removeClientID(ctx context.Context, g authz.Grant, in *shape.ClientIDInput) (*shape.Empty, error) {
	return nil, a.Identities.RemoveClientID(ctx, g, in.OpenIDConnectProviderArn, in.ClientID)
}

func (a *API) updateThumbprint(ctx context.Context, g authz.Grant, in *shape.ThumbprintInput) (*shape.Empty, error) {
	return nil, a.Identities.UpdateThumbprints(ctx, g, in.OpenIDConnectProviderArn, in.ThumbprintList)
}

func (a *API) tagProvider(ctx context.Context, g authz.Grant, in *shape.TagInput) (*shape.Empty, error) {
	return nil, a.Identities.TagProvider(ctx, g, in.OpenIDConnectProviderArn, tagsOf(in.Tags))
}

func (a *API) untagProvider(ctx context.Context, g authz.Grant, in *shape.UntagInput) (*shape.Empty, error) {
	return nil, a.Identities.UntagProvider(ctx, g, in.OpenIDConnectProviderArn, in.TagKeys)
}

func (a *API) listProviderTags(ctx context.Context, g authz.Grant, in *shape.TagsInput) (*shape.TagsOutput, error) {
	return tagsOutput(a.Identities.ProviderTags(ctx, g, in.OpenIDConnectProviderArn, pageOf(in.Marker, in.MaxItems)))
}
