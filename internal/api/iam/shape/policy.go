package shape

import "time"

// Policy is a managed policy.
type Policy struct {
	PolicyName, PolicyId, Arn, Path, DefaultVersionId string
	AttachmentCount, PermissionsBoundaryUsageCount    int
	IsAttachable                                      bool
	Description                                       string
	CreateDate, UpdateDate                            time.Time
	Tags                                              []Tag
}

// PolicyVersion is a version of a managed policy. Its document is URL-encoded.
type PolicyVersion struct {
	Document, VersionId string
	IsDefaultVersion    bool
	CreateDate          time.Time
}

// CreatePolicyInput is the input of CreatePolicy.
type CreatePolicyInput struct {
	PolicyName     string   `valid:"required 1..128 name"`
	Path           string   `valid:"1..512 policyPath"`
	PolicyDocument string   `valid:"required 1..131072 document"`
	Description    string   `valid:"0..1000"`
	Tags           []NewTag `valid:"0..50"`
}

// PolicyOutput is the output of CreatePolicy and GetPolicy.
type PolicyOutput struct{ Policy Policy }

// PolicyInput names a managed policy.
type PolicyInput struct {
	PolicyArn string `valid:"required 20..2048"`
}

// PolicyVersionInput names a version of a managed policy.
type PolicyVersionInput struct {
	PolicyArn string `valid:"required 20..2048"`
	VersionId string `valid:"required versionId"`
}

// CreatePolicyVersionInput is the input of CreatePolicyVersion.
type CreatePolicyVersionInput struct {
	PolicyArn      string `valid:"required 20..2048"`
	PolicyDocument string `valid:"required 1..131072 document"`
	SetAsDefault   bool
}

// PolicyVersionOutput is the output of CreatePolicyVersion and GetPolicyVersion.
type PolicyVersionOutput struct{ PolicyVersion PolicyVersion }

// ListPolicyVersionsInput is the input of ListPolicyVersions.
type ListPolicyVersionsInput struct {
	PolicyArn string `valid:"required 20..2048"`
	Marker    string `valid:"1..320 marker"`
	MaxItems  *int   `valid:"1..1000"`
}

// ListPolicyVersionsOutput is the output of ListPolicyVersions.
type ListPolicyVersionsOutput struct {
	Versions    []PolicyVersion
	IsTruncated bool
	Marker      string
}

// ListPoliciesInput is the input of ListPolicies.
type ListPoliciesInput struct {
	Scope             string `valid:"All|AWS|Local"`
	OnlyAttached      bool
	PathPrefix        string `valid:"1..512 policyPath"`
	PolicyUsageFilter string `valid:"PermissionsPolicy|PermissionsBoundary"`
	Marker            string `valid:"1..320 marker"`
	MaxItems          *int   `valid:"1..1000"`
}

// ListPoliciesOutput is the output of ListPolicies.
type ListPoliciesOutput struct {
	Policies    []Policy
	IsTruncated bool
	Marker      string
}

// ListEntitiesForPolicyInput is the input of ListEntitiesForPolicy.
type ListEntitiesForPolicyInput struct {
	PolicyArn         string `valid:"required 20..2048"`
	EntityFilter      string `valid:"User|Role|Group|LocalManagedPolicy|AWSManagedPolicy"`
	PathPrefix        string `valid:"1..512 path"`
	PolicyUsageFilter string `valid:"PermissionsPolicy|PermissionsBoundary"`
	Marker            string `valid:"1..320 marker"`
	MaxItems          *int   `valid:"1..1000"`
}

// ListEntitiesForPolicyOutput is the output of ListEntitiesForPolicy.
type ListEntitiesForPolicyOutput struct {
	PolicyGroups []PolicyGroup
	PolicyUsers  []PolicyUser
	PolicyRoles  []PolicyRole
	IsTruncated  bool
	Marker       string
}

// PolicyGroup is a group that uses a policy.
type PolicyGroup struct{ GroupName, GroupId string }

// PolicyUser is a user who uses a policy.
type PolicyUser struct{ UserName, UserId string }

// PolicyRole is a role that uses a policy.
type PolicyRole struct{ RoleName, RoleId string }
