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

func (a *API) keyRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateAccessKey", onCaller[shape.UserInput](a, "iam:CreateAccessKey"), a.createAccessKey),
		define("ListAccessKeys", onCaller[shape.UserPageInput](a, "iam:ListAccessKeys"), a.listAccessKeys),
		define("UpdateAccessKey", onCaller[shape.UpdateAccessKeyInput](a, "iam:UpdateAccessKey"), a.updateAccessKey),
		define("DeleteAccessKey", onCaller[shape.AccessKeyInput](a, "iam:DeleteAccessKey"), a.deleteAccessKey),
		define("GetAccessKeyLastUsed", a.mayGetAccessKeyLastUsed, a.getAccessKeyLastUsed),
		define("GetLoginProfile", onCaller[shape.UserInput](a, "iam:GetLoginProfile"), a.getLoginProfile),
		define("DeleteLoginProfile", onCaller[shape.UserInput](a, "iam:DeleteLoginProfile"), a.deleteLoginProfile),
		define("ListServiceSpecificCredentials", onCaller[shape.UserPageInput](a, "iam:ListServiceSpecificCredentials"),
			a.listAbsentCredentials(identity.ServiceSpecificCredential)),
		define("ListSigningCertificates", onCaller[shape.UserPageInput](a, "iam:ListSigningCertificates"),
			a.listAbsentCredentials(identity.SigningCertificate)),
		define("ListSSHPublicKeys", onCaller[shape.UserPageInput](a, "iam:ListSSHPublicKeys"),
			a.listAbsentCredentials(identity.SSHPublicKey)),
		define("ListInstanceProfilesForRole",
			onEntity[shape.EntityPageInput](a, "iam:ListInstanceProfilesForRole",
				identity.Role), a.listInstanceProfilesForRole),
	}
}

// subjectOf returns the user that an operation is about: the one that the request names, or
// else the caller. "" is the root user. A session of a role is not a user.
func subjectOf(c authz.Caller, named string) (string, error) {
	p := c.Principal()
	switch {
	case named != "":
		return named, nil
	case p.Kind == policy.User:
		return p.Name, nil
	case p.Kind == policy.AccountRoot:
		return "", nil
	}
	return "", invalid("Must specify userName when calling with non-User credentials")
}

// callerInput is an input that may name a user. Without a name, the operation is about the caller.
type callerInput[In any] interface {
	*In
	shape.CallerTarget
}

// onCaller needs one action on the user that the input names, or else on the caller.
func onCaller[In any, P callerInput[In]](a *API, action policy.Action) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		user, err := subjectOf(c, P(in).NamedUser())
		if err != nil {
			return nil, err
		}
		n, err := a.onUser(ctx, c, action, user)
		return []authz.Need{n}, err
	}
}

// onUser needs one action on a user; "" is the root user.
func (a *API) onUser(ctx context.Context, c authz.Caller, action policy.Action, user string) (authz.Need, error) {
	account := c.Principal().Account
	if user == "" {
		return authz.Need{Action: action, Resource: arn.Root(account)}, nil
	}
	s, err := a.Identities.Subject(ctx, account, identity.User, user)
	return authz.Need{Action: action, Resource: s.ARN, Keys: conditionKeys(s, shape.Conditions{})}, err
}

func (a *API) getUser(ctx context.Context, g authz.Grant, in *shape.GetUserInput) (*shape.UserOutput, error) {
	user, err := subjectOf(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	if user == "" {
		root, err := a.Identities.RootUser(ctx, g)
		if err != nil {
			return nil, err
		}
		return &shape.UserOutput{User: shape.User{
			UserId: root.ID, Arn: arn.Root(root.ID).String(), CreateDate: root.Created,
		}}, nil
	}
	e, err := a.Identities.Get(ctx, g, identity.User, user)
	if err != nil {
		return nil, err
	}
	return &shape.UserOutput{User: userShape(e)}, nil
}

func status(active bool) string {
	if active {
		return "Active"
	}
	return "Inactive"
}

func (a *API) createAccessKey(
	ctx context.Context, g authz.Grant, in *shape.UserInput,
) (*shape.CreateAccessKeyOutput, error) {
	user, err := subjectOf(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	k, err := a.Identities.CreateKey(ctx, g, user)
	if err != nil {
		return nil, err
	}
	return &shape.CreateAccessKeyOutput{AccessKey: shape.AccessKey{
		UserName: user, AccessKeyId: k.AccessKeyID, Status: status(k.Active), SecretAccessKey: k.Secret,
		CreateDate: k.Created,
	}}, nil
}

func (a *API) listAccessKeys(
	ctx context.Context, g authz.Grant, in *shape.UserPageInput,
) (*shape.ListAccessKeysOutput, error) {
	user, err := subjectOf(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	all, next, err := a.Identities.Keys(ctx, g, user, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.ListAccessKeysOutput{AccessKeyMetadata: each(all, func(k identity.Key) shape.AccessKeyMetadata {
		return shape.AccessKeyMetadata{
			UserName: user, AccessKeyId: k.AccessKeyID, Status: status(k.Active), CreateDate: k.Created,
		}
	}), IsTruncated: next != "", Marker: next}, nil
}

func (a *API) updateAccessKey(
	ctx context.Context, g authz.Grant, in *shape.UpdateAccessKeyInput,
) (*shape.Empty, error) {
	user, err := subjectOf(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	return nil, a.Identities.SetKeyActive(ctx, g, user, in.AccessKeyId, in.Status == "Active")
}

func (a *API) deleteAccessKey(ctx context.Context, g authz.Grant, in *shape.AccessKeyInput) (*shape.Empty, error) {
	user, err := subjectOf(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	return nil, a.Identities.DeleteKey(ctx, g, user, in.AccessKeyId)
}

func (a *API) mayGetAccessKeyLastUsed(
	ctx context.Context, c authz.Caller, in *shape.GetAccessKeyLastUsedInput,
) ([]authz.Need, error) {
	user, _, err := a.Identities.KeyOwner(ctx, c.Principal().Account, in.AccessKeyId)
	if err != nil {
		return nil, err
	}
	n, err := a.onUser(ctx, c, "iam:GetAccessKeyLastUsed", user)
	return []authz.Need{n}, err
}

func (a *API) getAccessKeyLastUsed(
	ctx context.Context, g authz.Grant, in *shape.GetAccessKeyLastUsedInput,
) (*shape.GetAccessKeyLastUsedOutput, error) {
	user, use, err := a.Identities.KeyLastUsed(ctx, g, in.AccessKeyId)
	if err != nil {
		return nil, err
	}
	out := &shape.GetAccessKeyLastUsedOutput{
		UserName: user, AccessKeyLastUsed: shape.AccessKeyLastUsed{ServiceName: "N/A", Region: "N/A"},
	}
	if !use.At.IsZero() {
		out.AccessKeyLastUsed = shape.AccessKeyLastUsed{
			LastUsedDate: use.At, ServiceName: use.Service, Region: use.Region,
		}
	}
	return out, nil
}

func (a *API) getLoginProfile(ctx context.Context, g authz.Grant, in *shape.UserInput) (*shape.Empty, error) {
	user, err := subjectOf(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	return nil, a.Identities.GetLoginProfile(ctx, g, user)
}

func (a *API) deleteLoginProfile(ctx context.Context, g authz.Grant, in *shape.UserInput) (*shape.Empty, error) {
	user, err := subjectOf(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	return nil, a.Identities.DeleteLoginProfile(ctx, g, user)
}

// listAbsentCredentials lists credentials of a kind that users don't have here.
func (a *API) listAbsentCredentials(k identity.AbsentCredential) handler[shape.UserPageInput, shape.NothingOutput] {
	return func(ctx context.Context, g authz.Grant, in *shape.UserPageInput) (*shape.NothingOutput, error) {
		user, err := subjectOf(g.Caller(), in.NamedUser())
		if err != nil {
			return nil, err
		}
		if err := a.Identities.ListAbsentCredentials(ctx, g, k, user); err != nil {
			return nil, err
		}
		out := &shape.NothingOutput{}
		switch k {
		case identity.ServiceSpecificCredential:
			out.ServiceSpecificCredentials = []shape.Empty{}
		case identity.SigningCertificate:
			out.Certificates = []shape.Empty{}
		case identity.SSHPublicKey:
			out.SSHPublicKeys = []shape.Empty{}
		}
		return out, nil
	}
}

func (a *API) listInstanceProfilesForRole(
	ctx context.Context, g authz.Grant, in *shape.EntityPageInput,
) (*shape.NothingOutput, error) {
	if err := a.Identities.ListInstanceProfilesForRole(ctx, g, in.RoleName); err != nil {
		return nil, err
	}
	return &shape.NothingOutput{InstanceProfiles: []shape.Empty{}}, nil
}
