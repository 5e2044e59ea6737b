package iam

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/gateway/dispatch"
)

// nothingRows are the read operations on resources that no account has here: listings are
// empty, and no name exists.
func (a *API) nothingRows() []dispatch.Row {
	const profile, certificate, saml = identity.InstanceProfile, identity.ServerCertificate, identity.SAMLProvider
	return []dispatch.Row{
		define("ListInstanceProfiles", on("iam:ListInstanceProfiles", listed(profile)), a.listAbsent(profile)),
		define("ListServerCertificates", on("iam:ListServerCertificates", listed(certificate)),
			a.listAbsent(certificate)),
		define("ListSAMLProviders", on("iam:ListSAMLProviders", listed(saml)), a.listAbsent(saml)),
		define("GetInstanceProfile", onAbsent("iam:GetInstanceProfile", profile), a.getAbsent(profile)),
		define("ListInstanceProfileTags", onAbsent("iam:ListInstanceProfileTags", profile), a.listAbsentTags(profile)),
		define("GetServerCertificate", onAbsent("iam:GetServerCertificate", certificate), a.getAbsent(certificate)),
		define("ListServerCertificateTags", onAbsent("iam:ListServerCertificateTags", certificate),
			a.listAbsentTags(certificate)),
		define("GetSAMLProvider", onAbsent("iam:GetSAMLProvider", saml), a.getAbsent(saml)),
		define("ListSAMLProviderTags", onAbsent("iam:ListSAMLProviderTags", saml), a.listAbsentTags(saml)),
		define("ListOrganizationsFeatures", onAny[shape.Empty]("iam:ListOrganizationsFeatures"),
			a.listOrganizationsFeatures),
	}
}

// listed returns the resource that a listing of a kind needs permission on.
func listed(k identity.AbsentKind) func(account string, in *shape.ListNothingInput) arn.ARN {
	return func(account string, in *shape.ListNothingInput) arn.ARN {
		return identity.AbsentListARN(account, k, orRoot(in.PathPrefix))
	}
}

func (a *API) listAbsent(k identity.AbsentKind) handler[shape.ListNothingInput, shape.NothingOutput] {
	return func(_ context.Context, g authz.Grant, in *shape.ListNothingInput) (*shape.NothingOutput, error) {
		if err := a.Identities.ListAbsent(g, k, orRoot(in.PathPrefix)); err != nil {
			return nil, err
		}
		out := &shape.NothingOutput{}
		switch k {
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

// absent returns the member that names a resource of a kind.
func absent(k identity.AbsentKind, in *shape.NothingInput) shape.Member {
	switch k {
	case identity.InstanceProfile:
		return shape.Member{Name: "InstanceProfileName", Value: in.InstanceProfileName}
	case identity.ServerCertificate:
		return shape.Member{Name: "ServerCertificateName", Value: in.ServerCertificateName}
	}
	return shape.Member{Name: "SAMLProviderArn", Value: in.SAMLProviderArn}
}

func onAbsent(action policy.Action, k identity.AbsentKind) needs[shape.NothingInput] {
	return func(_ context.Context, c authz.Caller, in *shape.NothingInput) ([]authz.Need, error) {
		m := absent(k, in)
		if err := required(m); err != nil {
			return nil, err
		}
		at, err := identity.AbsentARN(c.Principal().Account, k, m.Value)
		return []authz.Need{{Action: action, Resource: at}}, err
	}
}

func (a *API) getAbsent(k identity.AbsentKind) handler[shape.NothingInput, shape.Empty] {
	return func(_ context.Context, g authz.Grant, in *shape.NothingInput) (*shape.Empty, error) {
		return nil, a.Identities.GetAbsent(g, k, absent(k, in).Value)
	}
}

func (a *API) listAbsentTags(k identity.AbsentKind) handler[shape.NothingInput, shape.Empty] {
	return func(_ context.Context, g authz.Grant, in *shape.NothingInput) (*shape.Empty, error) {
		return nil, a.Identities.ListAbsentTags(g, k, absent(k, in).Value)
	}
}

func (a *API) listOrganizationsFeatures(
	_ context.Context, g authz.Grant, _ *shape.Empty,
) (*shape.ListOrganizationsFeaturesOutput, error) {
	if err := a.Identities.ListOrganizationsFeatures(g); err != nil {
		return nil, err
	}
	return &shape.ListOrganizationsFeaturesOutput{EnabledFeatures: []string{}}, nil
}
