package shape

import "time"

// AliasInput is the input of CreateAccountAlias and DeleteAccountAlias.
type AliasInput struct {
	AccountAlias string `valid:"required 3..63 alias"`
}

// PageInput asks for a page.
type PageInput struct {
	Marker   string `valid:"1..320 marker"`
	MaxItems *int   `valid:"1..1000"`
}

// ListAccountAliasesOutput is the output of ListAccountAliases.
type ListAccountAliasesOutput struct {
	AccountAliases []string
	IsTruncated    bool
}

// UpdateAccountPasswordPolicyInput is the input of UpdateAccountPasswordPolicy.
type UpdateAccountPasswordPolicyInput struct {
	MinimumPasswordLength      *int `valid:"6..128"`
	RequireSymbols             bool
	RequireNumbers             bool
	RequireUppercaseCharacters bool
	RequireLowercaseCharacters bool
	AllowUsersToChangePassword bool
	MaxPasswordAge             *int `valid:"1..1095"`
	PasswordReusePrevention    *int `valid:"1..24"`
	HardExpiry                 bool
}

// PasswordPolicy is a password policy.
type PasswordPolicy struct {
	MinimumPasswordLength      int
	RequireSymbols             bool
	RequireNumbers             bool
	RequireUppercaseCharacters bool
	RequireLowercaseCharacters bool
	AllowUsersToChangePassword bool
	ExpirePasswords            bool
	MaxPasswordAge             *int
	PasswordReusePrevention    *int
	HardExpiry                 bool
}

// GetAccountPasswordPolicyOutput is the output of GetAccountPasswordPolicy.
type GetAccountPasswordPolicyOutput struct{ PasswordPolicy PasswordPolicy }

// GetAccountSummaryOutput is the output of GetAccountSummary.
type GetAccountSummaryOutput struct{ SummaryMap map[string]int }

// GenerateCredentialReportOutput is the output of GenerateCredentialReport.
type GenerateCredentialReportOutput struct{ State, Description string }

// GetCredentialReportOutput is the output of GetCredentialReport.
type GetCredentialReportOutput struct {
	Content       []byte
	ReportFormat  string
	GeneratedTime time.Time
}

// GetAccountAuthorizationDetailsInput is the input of
// GetAccountAuthorizationDetails.
type GetAccountAuthorizationDetailsInput struct {
	Filter   []string
	Marker   string `valid:"1..320 marker"`
	MaxItems *int   `valid:"1..1000"`
}

// GetAccountAuthorizationDetailsOutput is the output of
// GetAccountAuthorizationDetails.
type GetAccountAuthorizationDetailsOutput struct {
	UserDetailList  []UserDetail
	GroupDetailList []GroupDetail
	RoleDetailList  []RoleDetail
	Policies        []ManagedPolicyDetail
	IsTruncated     bool
	Marker          string
}

// PolicyDetail is an inline policy. Its document is URL-encoded.
type PolicyDetail struct{ PolicyName, PolicyDocument string }

// UserDetail is a user with all its policies.
type UserDetail struct {
	Path, UserName, UserId, Arn string
	CreateDate                  time.Time
	UserPolicyList              []PolicyDetail
	GroupList                   []string
	AttachedManagedPolicies     []AttachedPolicy
	PermissionsBoundary         *PermissionsBoundary
	Tags                        []Tag
}

// GroupDetail is a group with all its policies.
type GroupDetail struct {
	Path, GroupName, GroupId, Arn string
	CreateDate                    time.Time
	GroupPolicyList               []PolicyDetail
	AttachedManagedPolicies       []AttachedPolicy
}

// RoleDetail is a role with all its policies.
type RoleDetail struct {
	Path, RoleName, RoleId, Arn string
	CreateDate                  time.Time
	AssumeRolePolicyDocument    string
	InstanceProfileList         []Empty
	RolePolicyList              []PolicyDetail
	AttachedManagedPolicies     []AttachedPolicy
	PermissionsBoundary         *PermissionsBoundary
	Tags                        []Tag
	RoleLastUsed                *RoleLastUsed
}

// ManagedPolicyDetail is a managed policy with its versions.
type ManagedPolicyDetail struct {
	PolicyName, PolicyId, Arn, Path, DefaultVersionId string
	AttachmentCount, PermissionsBoundaryUsageCount    int
	IsAttachable                                      bool
	Description                                       string
	CreateDate, UpdateDate                            time.Time
	PolicyVersionList                                 []PolicyVersion
}

// CreateOpenIDConnectProviderInput is the input of CreateOpenIDConnectProvider.
type CreateOpenIDConnectProviderInput struct {
	Url            string `valid:"required 1..255"`
	ClientIDList   []string
	ThumbprintList []string
	Tags           []NewTag `valid:"0..50"`
}

// CreateOpenIDConnectProviderOutput is the output of CreateOpenIDConnectProvider.
type CreateOpenIDConnectProviderOutput struct {
	OpenIDConnectProviderArn string
	Tags                     []Tag
}

// ProviderInput names an OIDC provider.
type ProviderInput struct {
	OpenIDConnectProviderArn string `valid:"required 20..2048"`
}

// ClientIDInput names an OIDC provider and one of its clients.
type ClientIDInput struct {
	OpenIDConnectProviderArn string `valid:"required 20..2048"`
	ClientID                 string `valid:"required 1..255"`
}

// ThumbprintInput is the input of UpdateOpenIDConnectProviderThumbprint.
type ThumbprintInput struct {
	OpenIDConnectProviderArn string   `valid:"required 20..2048"`
	ThumbprintList           []string `valid:"required"` // an empty list and a missing one have different errors
}

// GetOpenIDConnectProviderOutput is the output of GetOpenIDConnectProvider.
type GetOpenIDConnectProviderOutput struct {
	Url            string
	ClientIDList   []string
	ThumbprintList []string
	CreateDate     time.Time
	Tags           []Tag
}

// ListOpenIDConnectProvidersOutput is the output of ListOpenIDConnectProviders.
type ListOpenIDConnectProvidersOutput struct {
	OpenIDConnectProviderList []ProviderEntry
}

// ProviderEntry is a provider in a listing.
type ProviderEntry struct{ Arn string }
