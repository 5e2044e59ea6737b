package iam

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/gateway/dispatch"
)

func (a *API) policyRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreatePolicy", mayCreatePolicy, a.createPolicy),
		define("GetPolicy", onPolicy[shape.PolicyInput](a, "iam:GetPolicy"), a.getPolicy),
		define("ListPolicies", onAny[shape.ListPoliciesInput]("iam:ListPolicies"), a.listPolicies),
		define("DeletePolicy", onPolicy[shape.PolicyInput](a, "iam:DeletePolicy"), a.deletePolicy),
		define("CreatePolicyVersion", onPolicy[shape.CreatePolicyVersionInput](a, "iam:CreatePolicyVersion"),
			a.createPolicyVersion),
		define("GetPolicyVersion", onPolicy[shape.PolicyVersionInput](a, "iam:GetPolicyVersion"), a.getPolicyVersion),
		define("ListPolicyVersions", onPolicy[shape.ListPolicyVersionsInput](a, "iam:ListPolicyVersions"),
			a.listPolicyVersions),
		define("DeletePolicyVersion", onPolicy[shape.PolicyVersionInput](a, "iam:DeletePolicyVersion"),
			a.deletePolicyVersion),
		define("SetDefaultPolicyVersion", onPolicy[shape.PolicyVersionInput](a, "iam:SetDefaultPolicyVersion"),
			a.setDefaultPolicyVersion),
		define("ListEntitiesForPolicy", onPolicy[shape.ListEntitiesForPolicyInput](a, "iam:ListEntitiesForPolicy"),
			a.listEntitiesForPolicy),
		define("TagPolicy", onPolicy[shape.TagInput](a, "iam:TagPolicy"), a.tagPolicy),
		define("UntagPolicy", onPolicy[shape.UntagInput](a, "iam:UntagPolicy"), a.untagPolicy),
		define("ListPolicyTags", onPolicy[shape.TagsInput](a, "iam:ListPolicyTags"), a.listPolicyTags),
	}
}

func mayCreatePolicy(_ context.Context, c authz.Caller, in *shape.CreatePolicyInput) ([]authz.Need, error) {
	at := identity.PolicyARN(c.Principal().Account, orRoot(in.Path), in.PolicyName)
	return []authz.Need{{
		Action: "iam:CreatePolicy", Resource: at, Keys: conditionKeys(identity.Subject{}, in.Conditions()), New: true,
	}}, nil
}

func policyShape(p *identity.ManagedPolicy) shape.Policy {
	return shape.Policy{
		PolicyName: p.Name, PolicyId: p.ID, Arn: p.ARN().String(), Path: p.Path, DefaultVersionId: p.InForce().Name(),
		AttachmentCount: p.Attached, PermissionsBoundaryUsageCount: p.Bounding, IsAttachable: true,
		Description: p.Description, CreateDate: p.Created, UpdateDate: p.Updated, Tags: tagShapes(p.Tags),
	}
}

// versionShape returns a policy version without its document, which listings don't show.
func versionShape(v *identity.PolicyVersion, inForce bool) shape.PolicyVersion {
	return shape.PolicyVersion{VersionId: v.Name(), IsDefaultVersion: inForce, CreateDate: v.Created}
}

func (a *API) createPolicy(
	ctx context.Context, g authz.Grant, in *shape.CreatePolicyInput,
) (*shape.PolicyOutput, error) {
	c := identity.CreateInput{Name: in.PolicyName, Path: in.Path, Description: in.Description, Tags: tagsOf(in.Tags)}
	p, err := a.Identities.CreatePolicy(ctx, g, c, in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	out := &shape.PolicyOutput{Policy: policyShape(p)}
	out.Policy.Description = "" // only GetPolicy shows it
	return out, nil
}

func (a *API) getPolicy(ctx context.Context, g authz.Grant, in *shape.PolicyInput) (*shape.PolicyOutput, error) {
	p, err := a.Identities.GetPolicy(ctx, g, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return &shape.PolicyOutput{Policy: policyShape(p)}, nil
}

func (a *API) listPolicies(
	ctx context.Context, g authz.Grant, in *shape.ListPoliciesInput,
) (*shape.ListPoliciesOutput, error) {
	all, next, err := a.Identities.Policies(ctx, g, identity.PoliciesInput{
		AWS: in.Scope != "Local", Local: in.Scope != "AWS", OnlyAttached: in.OnlyAttached, PathPrefix: in.PathPrefix,
		Attached: in.PolicyUsageFilter == "PermissionsPolicy", Bounding: in.PolicyUsageFilter == "PermissionsBoundary",
		Page: pageOf(in.Marker, in.MaxItems),
	})
	if err != nil {
		return nil, err
	}
	return &shape.ListPoliciesOutput{Policies: each(all, listedPolicy), IsTruncated: next != "", Marker: next}, nil
}

// listedPolicy returns a policy as listings show it (API reference, ListPolicies).
func listedPolicy(p *identity.ManagedPolicy) shape.Policy {
	s := policyShape(p)
	s.Description, s.Tags = "", nil
	return s
}

func (a *API) deletePolicy(ctx context.Context, g authz.Grant, in *shape.PolicyInput) (*shape.Empty, error) {
	return nil, a.Identities.DeletePolicy(ctx, g, in.PolicyArn)
}

func (a *API) createPolicyVersion(
	ctx context.Context, g authz.Grant, in *shape.CreatePolicyVersionInput,
) (*shape.PolicyVersionOutput, error) {
	v, err := a.Identities.CreatePolicyVersion(ctx, g, in.PolicyArn, in.PolicyDocument, in.SetAsDefault)
	if err != nil {
		return nil, err
	}
	return &shape.PolicyVersionOutput{PolicyVersion: versionShape(v, in.SetAsDefault)}, nil
}

func (a *API) getPolicyVersion(
	ctx context.Context, g authz.Grant, in *shape.PolicyVersionInput,
) (*shape.PolicyVersionOutput, error) {
	v, inForce, err := a.Identities.GetPolicyVersion(ctx, g, in.PolicyArn, in.VersionId)
	if err != nil {
		return nil, err
	}
	out := &shape.PolicyVersionOutput{PolicyVersion: versionShape(v, inForce)}
	out.PolicyVersion.Document = escape(v.Document)
	return out, nil
}

func (a *API) listPolicyVersions(
	ctx context.Context, g authz.Grant, in *shape.ListPolicyVersionsInput,
) (*shape.ListPolicyVersionsOutput, error) {
	p, err := a.Identities.PolicyVersions(ctx, g, in.PolicyArn, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.ListPolicyVersionsOutput{
		Versions: each(p.Versions, func(v identity.PolicyVersion) shape.PolicyVersion {
			return versionShape(&v, v.Number == p.Policy.Default)
		}),
		IsTruncated: p.Next != "", Marker: p.Next,
	}, nil
}

func (a *API) deletePolicyVersion(
	ctx context.Context, g authz.Grant, in *shape.PolicyVersionInput,
) (*shape.Empty, error) {
	return nil, a.Identities.DeletePolicyVersion(ctx, g, in.PolicyArn, in.VersionId)
}

func (a *API) setDefaultPolicyVersion(
	ctx context.Context, g authz.Grant, in *shape.PolicyVersionInput,
) (*shape.Empty, error) {
	return nil, a.Identities.SetDefaultVersion(ctx, g, in.PolicyArn, in.VersionId)
}

func (a *API) listEntitiesForPolicy(
	ctx context.Context, g authz.Grant, in *shape.ListEntitiesForPolicyInput,
) (*shape.ListEntitiesForPolicyOutput, error) {
	q := identity.UsesInput{
		Policy: in.PolicyArn, PathPrefix: in.PathPrefix, Page: pageOf(in.Marker, in.MaxItems),
		Attached: in.PolicyUsageFilter == "PermissionsPolicy", Bounding: in.PolicyUsageFilter == "PermissionsBoundary",
	}
	for _, k := range []identity.EntityKind{identity.User, identity.Group, identity.Role} {
		if in.EntityFilter == k.String() {
			q.Kind = k
		}
	}
	out := &shape.ListEntitiesForPolicyOutput{
		PolicyGroups: []shape.PolicyGroup{}, PolicyUsers: []shape.PolicyUser{}, PolicyRoles: []shape.PolicyRole{},
	}
	all, next, err := a.Identities.Uses(ctx, g, q)
	if err != nil {
		return nil, err
	}
	// No entity is of the kind that the filter asks for.
	if in.EntityFilter != "" && q.Kind == 0 {
		return out, nil
	}
	out.IsTruncated, out.Marker = next != "", next
	for _, e := range all {
		switch e.Kind {
		case identity.Group:
			out.PolicyGroups = append(out.PolicyGroups, shape.PolicyGroup{GroupName: e.Name, GroupId: e.ID})
		case identity.User:
			out.PolicyUsers = append(out.PolicyUsers, shape.PolicyUser{UserName: e.Name, UserId: e.ID})
		case identity.Role:
			out.PolicyRoles = append(out.PolicyRoles, shape.PolicyRole{RoleName: e.Name, RoleId: e.ID})
		}
	}
	return out, nil
}

func (a *API) tagPolicy(ctx context.Context, g authz.Grant, in *shape.TagInput) (*shape.Empty, error) {
	return nil, a.Identities.TagPolicy(ctx, g, in.PolicyArn, tagsOf(in.Tags))
}

func (a *API) untagPolicy(ctx context.Context, g authz.Grant, in *shape.UntagInput) (*shape.Empty, error) {
	return nil, a.Identities.UntagPolicy(ctx, g, in.PolicyArn, in.TagKeys)
}

func (a *API) listPolicyTags(ctx context.Context, g authz.Grant, in *shape.TagsInput) (*shape.TagsOutput, error) {
	return tagsOutput(a.Identities.PolicyTags(ctx, g, in.PolicyArn, pageOf(in.Marker, in.MaxItems)))
}
