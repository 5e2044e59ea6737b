package iam

import (
	"context"
	"slices"

	"watertight/internal/access/authz"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/gateway/dispatch"
)

func (a *API) accountRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateAccountAlias", onAny[shape.AliasInput]("iam:CreateAccountAlias"), a.createAccountAlias),
		define("DeleteAccountAlias", onAny[shape.AliasInput]("iam:DeleteAccountAlias"), a.deleteAccountAlias),
		define("ListAccountAliases", onAny[shape.PageInput]("iam:ListAccountAliases"), a.listAccountAliases),
		define("UpdateAccountPasswordPolicy",
			onAny[shape.UpdateAccountPasswordPolicyInput](
				"iam:UpdateAccountPasswordPolicy"), a.updateAccountPasswordPolicy),
		define("DeleteAccountPasswordPolicy", onAny[shape.Empty]("iam:DeleteAccountPasswordPolicy"),
			a.deleteAccountPasswordPolicy),
		define("GetAccountPasswordPolicy", onAny[shape.Empty]("iam:GetAccountPasswordPolicy"),
			a.getAccountPasswordPolicy),
		define("GetAccountSummary", onAny[shape.Empty]("iam:GetAccountSummary"), a.getAccountSummary),
		define("GenerateCredentialReport", onAny[shape.Empty]("iam:GenerateCredentialReport"),
			a.generateCredentialReport),
		define("GetCredentialReport", onAny[shape.Empty]("iam:GetCredentialReport"), a.getCredentialReport),
		define("GetAccountAuthorizationDetails",
			onAny[shape.GetAccountAuthorizationDetailsInput](
				"iam:GetAccountAuthorizationDetails"), a.getAccountAuthorizationDetails),
	}
}

func (a *API) createAccountAlias(ctx context.Context, g authz.Grant, in *shape.AliasInput) (*shape.Empty, error) {
	return nil, a.Identities.CreateAlias(ctx, g, in.AccountAlias)
}

func (a *API) deleteAccountAlias(ctx context.Context, g authz.Grant, in *shape.AliasInput) (*shape.Empty, error) {
	return nil, a.Identities.DeleteAlias(ctx, g, in.AccountAlias)
}

// listAccountAliases needs no pages, because an account has at most one alias.
func (a *API) listAccountAliases(
	ctx context.Context, g authz.Grant, _ *shape.PageInput,
) (*shape.ListAccountAliasesOutput, error) {
	alias, err := a.Identities.Alias(ctx, g)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAccountAliasesOutput{AccountAliases: []string{}}
	if alias != "" {
		out.AccountAliases = []string{alias}
	}
	return out, nil
}

// minPasswordLength is AWS's default.
const minPasswordLength = 6

func (a *API) updateAccountPasswordPolicy(
	ctx context.Context, g authz.Grant, in *shape.UpdateAccountPasswordPolicyInput,
) (*shape.Empty, error) {
	p := identity.PasswordPolicy{
		MinimumLength: minPasswordLength, Symbols: in.RequireSymbols, Numbers: in.RequireNumbers,
		Uppercase: in.RequireUppercaseCharacters,
		Lower:     in.RequireLowercaseCharacters, UsersMayChange: in.AllowUsersToChangePassword,
		HardExpiry: in.HardExpiry,
	}
	for _, set := range []struct {
		to   *int
		from *int
	}{
		{&p.MinimumLength, in.MinimumPasswordLength}, {&p.MaxAge, in.MaxPasswordAge},
		{&p.ReusePrevention, in.PasswordReusePrevention},
	} {
		if set.from != nil {
			*set.to = *set.from
		}
	}
	return nil, a.Identities.UpdatePasswordPolicy(ctx, g, p)
}

func (a *API) deleteAccountPasswordPolicy(ctx context.Context, g authz.Grant, _ *shape.Empty) (*shape.Empty, error) {
	return nil, a.Identities.DeletePasswordPolicy(ctx, g)
}

func (a *API) getAccountPasswordPolicy(
	ctx context.Context, g authz.Grant, _ *shape.Empty,
) (*shape.GetAccountPasswordPolicyOutput, error) {
	p, err := a.Identities.GetPasswordPolicy(ctx, g)
	if err != nil {
		return nil, err
	}
	out := shape.PasswordPolicy{
		MinimumPasswordLength: p.MinimumLength, RequireSymbols: p.Symbols, RequireNumbers: p.Numbers,
		RequireUppercaseCharacters: p.Uppercase,
		RequireLowercaseCharacters: p.Lower, AllowUsersToChangePassword: p.UsersMayChange,
		ExpirePasswords: p.MaxAge > 0, HardExpiry: p.HardExpiry,
	}
	if p.MaxAge > 0 {
		out.MaxPasswordAge = &p.MaxAge
	}
	if p.ReusePrevention > 0 {
		out.PasswordReusePrevention = &p.ReusePrevention
	}
	return &shape.GetAccountPasswordPolicyOutput{PasswordPolicy: out}, nil
}

func (a *API) getAccountSummary(
	ctx context.Context, g authz.Grant, _ *shape.Empty,
) (*shape.GetAccountSummaryOutput, error) {
	m, err := a.Identities.Summary(ctx, g)
	if err != nil {
		return nil, err
	}
	return &shape.GetAccountSummaryOutput{SummaryMap: m}, nil
}

func (a *API) generateCredentialReport(
	ctx context.Context, g authz.Grant, _ *shape.Empty,
) (*shape.GenerateCredentialReportOutput, error) {
	made, err := a.Identities.GenerateReport(ctx, g)
	if err != nil {
		return nil, err
	}
	if made {
		return &shape.GenerateCredentialReportOutput{
			State: "STARTED", Description: "No report exists. Starting a new report generation task",
		}, nil
	}
	return &shape.GenerateCredentialReportOutput{State: "COMPLETE"}, nil
}

func (a *API) getCredentialReport(
	ctx context.Context, g authz.Grant, _ *shape.Empty,
) (*shape.GetCredentialReportOutput, error) {
	r, err := a.Identities.GetReport(ctx, g)
	if err != nil {
		return nil, err
	}
	return &shape.GetCredentialReportOutput{
		Content: r.Content, ReportFormat: "text/csv", GeneratedTime: r.Generated,
	}, nil
}

func (a *API) getAccountAuthorizationDetails(
	ctx context.Context, g authz.Grant, in *shape.GetAccountAuthorizationDetailsInput,
) (*shape.GetAccountAuthorizationDetailsOutput, error) {
	q := identity.DetailsInput{Page: pageOf(in.Marker, in.MaxItems)}
	for _, f := range in.Filter {
		switch f {
		case "User":
			q.Kinds = append(q.Kinds, identity.User)
		case "Group":
			q.Kinds = append(q.Kinds, identity.Group)
		case "Role":
			q.Kinds = append(q.Kinds, identity.Role)
		case "LocalManagedPolicy":
			q.Local = true
		case "AWSManagedPolicy":
			q.AWS = true
		default:
			return nil, invalid("1 validation error detected: Value '" + f +
				"' at 'filter' failed to satisfy constraint: Member must satisfy enum value set: [User, Role, Group, " +
				"LocalManagedPolicy, AWSManagedPolicy]")
		}
	}
	d, err := a.Identities.Details(ctx, g, q)
	if err != nil {
		return nil, err
	}
	out := &shape.GetAccountAuthorizationDetailsOutput{
		UserDetailList: []shape.UserDetail{}, GroupDetailList: []shape.GroupDetail{},
		RoleDetailList: []shape.RoleDetail{},
		Policies:       each(d.Policies, policyDetail), IsTruncated: d.Next != "", Marker: d.Next,
	}
	for i := range d.Entities {
		addDetail(out, &d.Entities[i])
	}
	return out, nil
}

func addDetail(out *shape.GetAccountAuthorizationDetailsOutput, e *identity.DetailedEntity) {
	inline := each(e.Inline, func(p identity.Inline) shape.PolicyDetail {
		return shape.PolicyDetail{PolicyName: p.Name, PolicyDocument: escape(p.Document)}
	})
	attached := each(slices.Sorted(slices.Values(e.Attached)), attachedShape)
	name, id, arn := e.Name, e.ID, e.ARN().String()
	switch e.Kind {
	case identity.User:
		out.UserDetailList = append(out.UserDetailList, shape.UserDetail{
			Path: e.Path, UserName: name, UserId: id, Arn: arn, CreateDate: e.Created, UserPolicyList: inline,
			GroupList: each(e.GroupNames, func(s string) string { return s }), AttachedManagedPolicies: attached,
			PermissionsBoundary: boundaryShape(e.Boundary), Tags: tagShapes(e.Tags),
		})
	case identity.Group:
		out.GroupDetailList = append(out.GroupDetailList, shape.GroupDetail{
			Path: e.Path, GroupName: name, GroupId: id, Arn: arn, CreateDate: e.Created, GroupPolicyList: inline,
			AttachedManagedPolicies: attached,
		})
	case identity.Role:
		out.RoleDetailList = append(out.RoleDetailList, shape.RoleDetail{
			Path: e.Path, RoleName: name, RoleId: id, Arn: arn, CreateDate: e.Created,
			AssumeRolePolicyDocument: escape(e.Trust),
			InstanceProfileList:      []shape.Empty{}, RolePolicyList: inline, AttachedManagedPolicies: attached,
			PermissionsBoundary: boundaryShape(e.Boundary), Tags: tagShapes(e.Tags),
		})
	}
}

func policyDetail(p *identity.ManagedPolicy) shape.ManagedPolicyDetail {
	versions := each(p.Versions, func(v identity.PolicyVersion) shape.PolicyVersion {
		s := versionShape(&v, v.Number == p.Default)
		s.Document = escape(v.Document)
		return s
	})
	slices.Reverse(versions) // newest version first
	return shape.ManagedPolicyDetail{
		PolicyName: p.Name, PolicyId: p.ID, Arn: p.ARN().String(), Path: p.Path, DefaultVersionId: p.InForce().Name(),
		AttachmentCount: p.Attached, PermissionsBoundaryUsageCount: p.Bounding, IsAttachable: true,
		Description: p.Description,
		CreateDate:  p.Created, UpdateDate: p.Updated, PolicyVersionList: versions,
	}
}
