package iam

import (
	"context"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

// nothingRows are the reads of what no account has here: listings are empty, and
// nothing has a name.
func (a *API) nothingRows() []dispatch.Row {
	const profile, certificate, saml = identity.InstanceProfile, identity.ServerCertificate, identity.SAMLProvider
	return []dispatch.Row{
		define("ListInstanceProfiles", on("iam:ListInstanceProfiles", listed(profile)), a.listNone("iam:ListInstanceProfiles", profile)),
		define("ListServerCertificates", on("iam:ListServerCertificates", listed(certificate)), a.listNone("iam:ListServerCertificates", certificate)),
		define("ListSAMLProviders", on("iam:ListSAMLProviders", listed(saml)), a.listNone("iam:ListSAMLProviders", saml)),
		define("GetInstanceProfile", onThing(profile, "iam:GetInstanceProfile"), a.noThing(profile, "iam:GetInstanceProfile")),
		define("ListInstanceProfileTags", onThing(profile, "iam:ListInstanceProfileTags"), a.noThing(profile, "iam:ListInstanceProfileTags")),
		define("GetServerCertificate", onThing(certificate, "iam:GetServerCertificate"), a.noThing(certificate, "iam:GetServerCertificate")),
		define("ListServerCertificateTags", onThing(certificate, "iam:ListServerCertificateTags"), a.noThing(certificate, "iam:ListServerCertificateTags")),
		define("GetSAMLProvider", onThing(saml, "iam:GetSAMLProvider"), a.noThing(saml, "iam:GetSAMLProvider")),
		define("ListSAMLProviderTags", onThing(saml, "iam:ListSAMLProviderTags"), a.noThing(saml, "iam:ListSAMLProviderTags")),
		define("ListOrganizationsFeatures", onAny[shape.Empty]("iam:ListOrganizationsFeatures"), a.listOrganizationsFeatures),
	}
}

// listed is what a listing of a kind is asked for on.
func listed(kind string) func(account string, in *shape.ListNothingInput) arn.ARN {
	return func(account string, in *shape.ListNothingInput) arn.ARN {
		return identity.NothingARN(account, kind, strings.TrimSuffix(orRoot(in.PathPrefix), "/")+"/*")
	}
}

func (a *API) listNone(action policy.Action, kind string) handler[shape.ListNothingInput, shape.NothingOutput] {
	return func(_ context.Context, g authz.Grant, in *shape.ListNothingInput) (*shape.NothingOutput, error) {
		if err := a.Identities.Nothing(g, action, listed(kind)(g.Caller().Principal().Account, in)); err != nil {
			return nil, err
		}
		out := &shape.NothingOutput{}
		switch kind {
		case identity.InstanceProfile:
			out.InstanceProfiles = []shape.Empty{}
		case identity.ServerCertificate:
			out.ServerCertificateMetadataList = []shape.Empty{}
		case identity.SAMLProvider:
			out.SAMLProviderList = []shape.Empty{}
		}
		return out, nil
	}
}

// named is what an input names of a kind, and its ARN.
func named(account, kind string, in *shape.NothingInput) (name string, on arn.ARN, err error) {
	member := map[string]string{
		identity.InstanceProfile: "InstanceProfileName", identity.ServerCertificate: "ServerCertificateName", identity.SAMLProvider: "SAMLProviderArn",
	}[kind]
	if err := required(in, member); err != nil {
		return "", arn.ARN{}, err
	}
	name = stringIn(in, member)
	if kind != identity.SAMLProvider {
		return name, identity.NothingARN(account, kind, "/"+name), nil
	}
	if on, err = arn.Parse(name); err != nil || on.Service != "iam" || on.Account != account || !strings.HasPrefix(on.Resource, kind+"/") {
		return "", arn.ARN{}, fault.New(fault.InvalidInput, "Invalid ARN: "+name)
	}
	return name, on, nil
}

func onThing(kind string, action policy.Action) needs[shape.NothingInput] {
	return func(_ context.Context, c authz.Caller, in *shape.NothingInput) ([]authz.Need, error) {
		_, on, err := named(c.Principal().Account, kind, in)
		return []authz.Need{{Action: action, Resource: on}}, err
	}
}

func (a *API) noThing(kind string, action policy.Action) handler[shape.NothingInput, shape.Empty] {
	return func(_ context.Context, g authz.Grant, in *shape.NothingInput) (*shape.Empty, error) {
		name, on, err := named(g.Caller().Principal().Account, kind, in)
		if err != nil {
			return nil, err
		}
		return nil, a.Identities.NoSuchThing(g, action, on, kind, name)
	}
}

// listOrganizationsFeatures: no account belongs to an organization.
func (a *API) listOrganizationsFeatures(_ context.Context, g authz.Grant, _ *shape.Empty) (*shape.ListOrganizationsFeaturesOutput, error) {
	if err := a.Identities.Nothing(g, "iam:ListOrganizationsFeatures", arn.Any()); err != nil {
		return nil, err
	}
	return &shape.ListOrganizationsFeaturesOutput{EnabledFeatures: []string{}}, nil
}
