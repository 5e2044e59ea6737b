package iam

import (
	"context"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/gateway/dispatch"
)

// The operations on users, groups and roles. What they share is written once, with the kind
// as a parameter.

func (a *API) userRows() []dispatch.Row {
	const k = identity.User
	return []dispatch.Row{
		define("CreateUser", mayCreate(k, func(in *shape.CreateUserInput) string { return in.Path }), a.createUser),
		define("GetUser", onCaller[shape.GetUserInput](a, "iam:GetUser"), a.getUser),
		define("ListUsers", mayList("iam:ListUsers", k), a.listUsers),
		define("UpdateUser", mayRename(a, k, userRenaming), a.updateUser),
		define("DeleteUser", onEntity[shape.EntityInput](a, "iam:DeleteUser", k), a.delete(k)),
		define("TagUser", onEntity[shape.TagInput](a, "iam:TagUser", k), a.tag(k)),
		define("UntagUser", onEntity[shape.UntagInput](a, "iam:UntagUser", k), a.untag(k)),
		define("ListUserTags", onEntity[shape.TagsInput](a, "iam:ListUserTags", k), a.listTags(k)),
		define("PutUserPolicy", onEntity[shape.PutInlinePolicyInput](a, "iam:PutUserPolicy", k), a.putPolicy(k)),
		define("GetUserPolicy", onEntity[shape.InlinePolicyInput](a, "iam:GetUserPolicy", k), a.getInline(k)),
		define("DeleteUserPolicy", onEntity[shape.InlinePolicyInput](a, "iam:DeleteUserPolicy", k), a.deleteInline(k)),
		define("ListUserPolicies", onEntity[shape.EntityPageInput](a, "iam:ListUserPolicies", k), a.listInline(k)),
		define("AttachUserPolicy", onEntity[shape.AttachInput](a, "iam:AttachUserPolicy", k), a.attach(k)),
		define("DetachUserPolicy", onEntity[shape.AttachInput](a, "iam:DetachUserPolicy", k), a.detach(k)),
		define("ListAttachedUserPolicies", onEntity[shape.EntityPageInput](a, "iam:ListAttachedUserPolicies", k),
			a.listAttached(k)),
		define("PutUserPermissionsBoundary", onEntity[shape.BoundaryInput](a, "iam:PutUserPermissionsBoundary", k),
			a.putBoundary(k)),
		define("DeleteUserPermissionsBoundary", onEntity[shape.EntityInput](a, "iam:DeleteUserPermissionsBoundary", k),
			a.deleteBoundary(k)),
		define("ListGroupsForUser", onEntity[shape.EntityPageInput](a, "iam:ListGroupsForUser", k),
			a.listGroupsForUser),
	}
}

func (a *API) groupRows() []dispatch.Row {
	const k = identity.Group
	return []dispatch.Row{
		define("CreateGroup", mayCreate(k, func(in *shape.CreateGroupInput) string { return in.Path }), a.createGroup),
		define("GetGroup", onEntity[shape.EntityPageInput](a, "iam:GetGroup", k), a.getGroup),
		define("ListGroups", mayList("iam:ListGroups", k), a.listGroups),
		define("UpdateGroup", mayRename(a, k, groupRenaming), a.updateGroup),
		define("DeleteGroup", onEntity[shape.EntityInput](a, "iam:DeleteGroup", k), a.delete(k)),
		define("AddUserToGroup", onEntity[shape.MembershipInput](a, "iam:AddUserToGroup", k), a.addUserToGroup),
		define("RemoveUserFromGroup", onEntity[shape.MembershipInput](a, "iam:RemoveUserFromGroup", k),
			a.removeUserFromGroup),
		define("PutGroupPolicy", onEntity[shape.PutInlinePolicyInput](a, "iam:PutGroupPolicy", k), a.putPolicy(k)),
		define("GetGroupPolicy", onEntity[shape.InlinePolicyInput](a, "iam:GetGroupPolicy", k), a.getInline(k)),
		define("DeleteGroupPolicy", onEntity[shape.InlinePolicyInput](a, "iam:DeleteGroupPolicy", k),
			a.deleteInline(k)),
		define("ListGroupPolicies", onEntity[shape.EntityPageInput](a, "iam:ListGroupPolicies", k), a.listInline(k)),
		define("AttachGroupPolicy", onEntity[shape.AttachInput](a, "iam:AttachGroupPolicy", k), a.attach(k)),
		define("DetachGroupPolicy", onEntity[shape.AttachInput](a, "iam:DetachGroupPolicy", k), a.detach(k)),
		define("ListAttachedGroupPolicies", onEntity[shape.EntityPageInput](a, "iam:ListAttachedGroupPolicies", k),
			a.listAttached(k)),
	}
}

func (a *API) roleRows() []dispatch.Row {
	const k = identity.Role
	return []dispatch.Row{
		define("CreateRole", mayCreate(k, func(in *shape.CreateRoleInput) string { return in.Path }), a.createRole),
		define("GetRole", onEntity[shape.EntityInput](a, "iam:GetRole", k), a.getRole),
		define("ListRoles", mayList("iam:ListRoles", k), a.listRoles),
		define("UpdateRole", onEntity[shape.UpdateRoleInput](a, "iam:UpdateRole", k), a.updateRole),
		define("UpdateRoleDescription", onEntity[shape.UpdateRoleDescriptionInput](a, "iam:UpdateRoleDescription", k),
			a.updateRoleDescription),
		define("UpdateAssumeRolePolicy",
			onEntity[shape.UpdateAssumeRolePolicyInput](a, "iam:UpdateAssumeRolePolicy", k), a.updateAssumeRolePolicy),
		define("DeleteRole", onEntity[shape.EntityInput](a, "iam:DeleteRole", k), a.delete(k)),
		define("TagRole", onEntity[shape.TagInput](a, "iam:TagRole", k), a.tag(k)),
		define("UntagRole", onEntity[shape.UntagInput](a, "iam:UntagRole", k), a.untag(k)),
		define("ListRoleTags", onEntity[shape.TagsInput](a, "iam:ListRoleTags", k), a.listTags(k)),
		define("PutRolePolicy", onEntity[shape.PutInlinePolicyInput](a, "iam:PutRolePolicy", k), a.putPolicy(k)),
		define("GetRolePolicy", onEntity[shape.InlinePolicyInput](a, "iam:GetRolePolicy", k), a.getInline(k)),
		define("DeleteRolePolicy", onEntity[shape.InlinePolicyInput](a, "iam:DeleteRolePolicy", k), a.deleteInline(k)),
		define("ListRolePolicies", onEntity[shape.EntityPageInput](a, "iam:ListRolePolicies", k), a.listInline(k)),
		define("AttachRolePolicy", onEntity[shape.AttachInput](a, "iam:AttachRolePolicy", k), a.attach(k)),
		define("DetachRolePolicy", onEntity[shape.AttachInput](a, "iam:DetachRolePolicy", k), a.detach(k)),
		define("ListAttachedRolePolicies", onEntity[shape.EntityPageInput](a, "iam:ListAttachedRolePolicies", k),
			a.listAttached(k)),
		define("PutRolePermissionsBoundary", onEntity[shape.BoundaryInput](a, "iam:PutRolePermissionsBoundary", k),
			a.putBoundary(k)),
		define("DeleteRolePermissionsBoundary", onEntity[shape.EntityInput](a, "iam:DeleteRolePermissionsBoundary", k),
			a.deleteBoundary(k)),
	}
}

func mayCreate[In any, P entityInput[In]](k identity.EntityKind, path func(*In) string) needs[In] {
	return func(_ context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		at := identity.EntityARN(c.Principal().Account, k, orRoot(path(in)), P(in).Entity(k.String()).Value)
		keys := conditionKeys(identity.Subject{}, P(in).Conditions())
		return []authz.Need{{
			Action: policy.Action("iam:Create" + k.String()), Resource: at, Keys: keys, New: true,
		}}, nil
	}
}

func mayList(action policy.Action, k identity.EntityKind) needs[shape.ListInput] {
	return on(action, func(account string, in *shape.ListInput) arn.ARN {
		return identity.ListARN(account, k, in.PathPrefix)
	})
}

// mayRename needs the action on the old ARN and on the new one.
func mayRename[In any, P entityInput[In]](a *API, k identity.EntityKind, to func(*In) identity.Renaming) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		at, err := a.Identities.Renamed(ctx, c.Principal().Account, k, P(in).Entity(k.String()).Value, to(in))
		if err != nil {
			return nil, err
		}
		all, err := onEntity[In, P](a, policy.Action("iam:Update"+k.String()), k)(ctx, c, in)
		if err == nil && at != all[0].Resource {
			all = append(all, authz.Need{Action: all[0].Action, Resource: at, Keys: all[0].Keys})
		}
		return all, err
	}
}

func userRenaming(in *shape.UpdateUserInput) identity.Renaming {
	return identity.Renaming{Name: in.NewUserName, Path: in.NewPath}
}

func groupRenaming(in *shape.UpdateGroupInput) identity.Renaming {
	return identity.Renaming{Name: in.NewGroupName, Path: in.NewPath}
}

func (a *API) createUser(ctx context.Context, g authz.Grant, in *shape.CreateUserInput) (*shape.UserOutput, error) {
	e, err := a.Identities.Create(ctx, g, identity.User, identity.CreateInput{
		Name: in.UserName, Path: in.Path, Boundary: in.PermissionsBoundary, Tags: tagsOf(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &shape.UserOutput{User: userShape(e)}, nil
}

func (a *API) createGroup(ctx context.Context, g authz.Grant, in *shape.CreateGroupInput) (*shape.GroupOutput, error) {
	e, err := a.Identities.Create(ctx, g, identity.Group, identity.CreateInput{Name: in.GroupName, Path: in.Path})
	if err != nil {
		return nil, err
	}
	return &shape.GroupOutput{Group: groupShape(e)}, nil
}

func (a *API) createRole(ctx context.Context, g authz.Grant, in *shape.CreateRoleInput) (*shape.RoleOutput, error) {
	c := identity.CreateInput{
		Name: in.RoleName, Path: in.Path, Boundary: in.PermissionsBoundary, Tags: tagsOf(in.Tags),
		Trust: in.AssumeRolePolicyDocument, Description: in.Description,
	}
	if in.MaxSessionDuration != nil {
		c.MaxSession = time.Duration(*in.MaxSessionDuration) * time.Second
	}
	e, err := a.Identities.Create(ctx, g, identity.Role, c)
	if err != nil {
		return nil, err
	}
	return &shape.RoleOutput{Role: roleShape(e)}, nil
}

func (a *API) getRole(ctx context.Context, g authz.Grant, in *shape.EntityInput) (*shape.RoleOutput, error) {
	e, err := a.Identities.Get(ctx, g, identity.Role, in.RoleName)
	if err != nil {
		return nil, err
	}
	return &shape.RoleOutput{Role: roleShape(e)}, nil
}

func (a *API) getGroup(ctx context.Context, g authz.Grant, in *shape.EntityPageInput) (*shape.GetGroupOutput, error) {
	p, err := a.Identities.GetGroup(ctx, g, in.GroupName, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.GetGroupOutput{
		Group: groupShape(p.Group), Users: each(p.Users, plainUser), IsTruncated: p.Next != "", Marker: p.Next,
	}, nil
}

// plainUser returns a user as listings show it: without tags and boundary (API reference,
// ListUsers).
func plainUser(e *identity.Entity) shape.User {
	u := userShape(e)
	u.Tags, u.PermissionsBoundary = nil, nil
	return u
}

// plainRole returns a role as listings show it.
func plainRole(e *identity.Entity) shape.Role {
	r := roleShape(e)
	r.Tags, r.PermissionsBoundary, r.RoleLastUsed = nil, nil, nil
	return r
}

func (a *API) listUsers(ctx context.Context, g authz.Grant, in *shape.ListInput) (*shape.ListUsersOutput, error) {
	all, next, err := a.Identities.List(ctx, g, identity.User, in.PathPrefix, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.ListUsersOutput{Users: each(all, plainUser), IsTruncated: next != "", Marker: next}, nil
}

func (a *API) listGroups(ctx context.Context, g authz.Grant, in *shape.ListInput) (*shape.ListGroupsOutput, error) {
	all, next, err := a.Identities.List(ctx, g, identity.Group, in.PathPrefix, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.ListGroupsOutput{Groups: each(all, groupShape), IsTruncated: next != "", Marker: next}, nil
}

func (a *API) listRoles(ctx context.Context, g authz.Grant, in *shape.ListInput) (*shape.ListRolesOutput, error) {
	all, next, err := a.Identities.List(ctx, g, identity.Role, in.PathPrefix, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.ListRolesOutput{Roles: each(all, plainRole), IsTruncated: next != "", Marker: next}, nil
}

func (a *API) listGroupsForUser(
	ctx context.Context, g authz.Grant, in *shape.EntityPageInput,
) (*shape.ListGroupsOutput, error) {
	all, next, err := a.Identities.GroupsOf(ctx, g, in.UserName, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.ListGroupsOutput{Groups: each(all, groupShape), IsTruncated: next != "", Marker: next}, nil
}

func (a *API) updateUser(ctx context.Context, g authz.Grant, in *shape.UpdateUserInput) (*shape.Empty, error) {
	return nil, a.Identities.Rename(ctx, g, identity.User, in.UserName, userRenaming(in))
}

func (a *API) updateGroup(ctx context.Context, g authz.Grant, in *shape.UpdateGroupInput) (*shape.Empty, error) {
	return nil, a.Identities.Rename(ctx, g, identity.Group, in.GroupName, groupRenaming(in))
}

func (a *API) updateRole(ctx context.Context, g authz.Grant, in *shape.UpdateRoleInput) (*shape.ResultOutput, error) {
	var longest *time.Duration
	if in.MaxSessionDuration != nil {
		d := time.Duration(*in.MaxSessionDuration) * time.Second
		longest = &d
	}
	return &shape.ResultOutput{}, a.Identities.UpdateRole(ctx, g, in.RoleName, in.Description, longest)
}

func (a *API) updateRoleDescription(
	ctx context.Context, g authz.Grant, in *shape.UpdateRoleDescriptionInput,
) (*shape.RoleOutput, error) {
	e, err := a.Identities.UpdateRoleDescription(ctx, g, in.RoleName, *in.Description)
	if err != nil {
		return nil, err
	}
	return &shape.RoleOutput{Role: roleShape(e)}, nil
}

func (a *API) updateAssumeRolePolicy(
	ctx context.Context, g authz.Grant, in *shape.UpdateAssumeRolePolicyInput,
) (*shape.Empty, error) {
	return nil, a.Identities.UpdateTrust(ctx, g, in.RoleName, in.PolicyDocument)
}

func (a *API) addUserToGroup(ctx context.Context, g authz.Grant, in *shape.MembershipInput) (*shape.Empty, error) {
	return nil, a.Identities.AddToGroup(ctx, g, in.GroupName, in.UserName)
}

func (a *API) removeUserFromGroup(ctx context.Context, g authz.Grant, in *shape.MembershipInput) (*shape.Empty, error) {
	return nil, a.Identities.RemoveFromGroup(ctx, g, in.GroupName, in.UserName)
}
