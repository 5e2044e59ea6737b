package identity

import (
	"context"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/storage/kv"
)

// Auditors and tools read resources that AWS has and this server does not. They get an
// empty answer, or NoSuchEntity, instead of an error that the operation is unknown.

// AbsentKind is a kind of resource that no account has, by its name in the API.
type AbsentKind string

// The kinds of resources that no account has.
const (
	InstanceProfile   AbsentKind = "InstanceProfile"
	ServerCertificate AbsentKind = "ServerCertificate"
	SAMLProvider      AbsentKind = "SAMLProvider"
)

// resource returns the kind as ARNs have it.
func (k AbsentKind) resource() string {
	switch k {
	case InstanceProfile:
		return "instance-profile"
	case ServerCertificate:
		return "server-certificate"
	}
	return "saml-provider"
}

func (k AbsentKind) noSuch(name string) error {
	switch k {
	case InstanceProfile:
		return noSuch("Instance Profile %s cannot be found.", name)
	case SAMLProvider:
		return noSuch("Manifest not found for arn %s", name)
	}
	return noSuch("The Server Certificate with name %s cannot be found.", name)
}

// AbsentARN returns the ARN of the resource of a kind that a request names. SAML providers
// are named by their ARNs. Errors: InvalidInput.
func AbsentARN(account string, k AbsentKind, name string) (arn.ARN, error) {
	if k != SAMLProvider {
		return arn.IAM(account, k.resource()+"/"+name), nil
	}
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" || a.Account != account || !strings.HasPrefix(a.Resource, k.resource()+"/") {
		return arn.ARN{}, invalidInput("Invalid ARN: %s", name)
	}
	return a, nil
}

// AbsentListARN returns the resource on which a listing of a kind under a path needs permission.
func AbsentListARN(account string, k AbsentKind, path string) arn.ARN {
	return arn.IAM(account, k.resource()+strings.TrimSuffix(path, "/")+"/*")
}

// ListAbsent finds no resource of a kind under a path. It needs iam:ListInstanceProfiles,
// iam:ListServerCertificates or iam:ListSAMLProviders on AbsentListARN.
func (s *Store) ListAbsent(g authz.Grant, k AbsentKind, path string) error {
	account, err := CallerAccount(g)
	if err != nil {
		return err
	}
	return g.Demand(policy.Action("iam:List"+string(k)+"s"), AbsentListARN(account, k, path))
}

// GetAbsent finds no resource with a name. It needs iam:GetInstanceProfile,
// iam:GetServerCertificate or iam:GetSAMLProvider on AbsentARN. Errors: NoSuchEntity,
// always.
func (s *Store) GetAbsent(g authz.Grant, k AbsentKind, name string) error {
	return demandAbsent(g, policy.Action("iam:Get"+string(k)), k, name)
}

// ListAbsentTags finds no resource with a name. It needs iam:ListInstanceProfileTags,
// iam:ListServerCertificateTags or iam:ListSAMLProviderTags on AbsentARN. Errors:
// NoSuchEntity, always.
func (s *Store) ListAbsentTags(g authz.Grant, k AbsentKind, name string) error {
	return demandAbsent(g, policy.Action("iam:List"+string(k)+"Tags"), k, name)
}

func demandAbsent(g authz.Grant, action policy.Action, k AbsentKind, name string) error {
	account, err := CallerAccount(g)
	if err != nil {
		return err
	}
	a, err := AbsentARN(account, k, name)
	if err != nil {
		return err
	}
	if err := g.Demand(action, a); err != nil {
		return err
	}
	return k.noSuch(name)
}

// ListOrganizationsFeatures finds none: no account belongs to an organization. It
// needs iam:ListOrganizationsFeatures.
func (s *Store) ListOrganizationsFeatures(g authz.Grant) error {
	if _, err := CallerAccount(g); err != nil {
		return err
	}
	return g.Demand("iam:ListOrganizationsFeatures", arn.Any())
}

// AbsentCredential is a kind of credential that no user has, by its name in the API.
type AbsentCredential string

// The kinds of credentials that no user has.
const (
	ServiceSpecificCredential AbsentCredential = "ServiceSpecificCredential"
	SigningCertificate        AbsentCredential = "SigningCertificate"
	SSHPublicKey              AbsentCredential = "SSHPublicKey"
)

// ListAbsentCredentials finds no credentials of a user; an empty name is the root user. It
// needs iam:ListServiceSpecificCredentials, iam:ListSigningCertificates or
// iam:ListSSHPublicKeys. Errors: NoSuchEntity.
func (s *Store) ListAbsentCredentials(ctx context.Context, g authz.Grant, k AbsentCredential, user string) error {
	return s.demandUser(ctx, g, policy.Action("iam:List"+string(k)+"s"), user)
}

// GetLoginProfile finds none: no user has a password. It needs iam:GetLoginProfile.
// Errors: NoSuchEntity, always.
func (s *Store) GetLoginProfile(ctx context.Context, g authz.Grant, user string) error {
	return s.noLoginProfile(ctx, g, "iam:GetLoginProfile", user)
}

// DeleteLoginProfile finds none. It needs iam:DeleteLoginProfile.
// Errors: NoSuchEntity, always.
func (s *Store) DeleteLoginProfile(ctx context.Context, g authz.Grant, user string) error {
	return s.noLoginProfile(ctx, g, "iam:DeleteLoginProfile", user)
}

func (s *Store) noLoginProfile(ctx context.Context, g authz.Grant, action policy.Action, user string) error {
	if err := s.demandUser(ctx, g, action, user); err != nil {
		return err
	}
	return noSuch("Login Profile for User %s cannot be found.", user)
}

func (s *Store) demandUser(ctx context.Context, g authz.Grant, action policy.Action, user string) error {
	return View(ctx, s.store, g, func(r kv.Reader, account string) error {
		_, err := holderOf(r, g, account, action, user)
		return err
	})
}

// ListInstanceProfilesForRole finds none of a role. It needs
// iam:ListInstanceProfilesForRole. Errors: NoSuchEntity.
func (s *Store) ListInstanceProfilesForRole(ctx context.Context, g authz.Grant, role string) error {
	return s.inspect(ctx, g, "iam:ListInstanceProfilesForRole", Role, role, func(kv.Reader, *Entity) error {
		return nil
	})
}
