package shape

import "time"

// The tag valid holds the constraints of a member as the API reference states them:
// required, a length or a range a..b, and the name of a pattern. If a required member has
// the tag missing, its absence is reported as a missing parameter. Pointers distinguish an
// empty value from one that was not sent.

// Tag is a tag as responses and the requests of STS have it.
type Tag struct {
	Key   string `valid:"required 1..128 tagKey"`
	Value string `valid:"0..256 tagValue"`
}

// NewTag is a tag as the requests of IAM have it.
type NewTag struct {
	Key   *string `valid:"required 1..128 tagKey"`
	Value *string `valid:"required 0..256 tagValue"`
}

// PermissionsBoundary is the permissions boundary of a user or role.
type PermissionsBoundary struct {
	PermissionsBoundaryType, PermissionsBoundaryArn string
}

// User is a user.
type User struct {
	Path, UserName, UserId, Arn string
	CreateDate                  time.Time
	PermissionsBoundary         *PermissionsBoundary
	Tags                        []Tag
}

// Group is a group.
type Group struct {
	Path, GroupName, GroupId, Arn string
	CreateDate                    time.Time
}

// Role is a role. AssumeRolePolicyDocument is URL-encoded.
type Role struct {
	Path, RoleName, RoleId, Arn string
	CreateDate                  time.Time
	AssumeRolePolicyDocument    string
	Description                 string
	MaxSessionDuration          *int
	PermissionsBoundary         *PermissionsBoundary
	Tags                        []Tag
	RoleLastUsed                *RoleLastUsed
}

// RoleLastUsed is when a role was last assumed.
type RoleLastUsed struct {
	LastUsedDate time.Time
	Region       string
}

// CreateUserInput is the input of CreateUser.
type CreateUserInput struct {
	Path                string   `valid:"1..512 path"`
	UserName            string   `valid:"required 1..64 name"`
	PermissionsBoundary string   `valid:"20..2048"`
	Tags                []NewTag `valid:"0..50"`
}

// UserOutput is the output of CreateUser and GetUser.
type UserOutput struct{ User User }

// CreateGroupInput is the input of CreateGroup.
type CreateGroupInput struct {
	Path      string `valid:"1..512 path"`
	GroupName string `valid:"required 1..128 name"`
}

// GroupOutput is the output of CreateGroup.
type GroupOutput struct{ Group Group }

// GetGroupOutput is the output of GetGroup.
type GetGroupOutput struct {
	Group       Group
	Users       []User
	IsTruncated bool
	Marker      string
}

// CreateRoleInput is the input of CreateRole.
type CreateRoleInput struct {
	Path                     string   `valid:"1..512 path"`
	RoleName                 string   `valid:"required 1..64 name"`
	AssumeRolePolicyDocument string   `valid:"required 1..131072 document"`
	Description              string   `valid:"0..1000 description"`
	MaxSessionDuration       *int     `valid:"3600..43200"`
	PermissionsBoundary      string   `valid:"20..2048"`
	Tags                     []NewTag `valid:"0..50"`
}

// RoleOutput is the output of CreateRole, GetRole and UpdateRoleDescription.
type RoleOutput struct{ Role Role }

// UpdateRoleInput is the input of UpdateRole.
type UpdateRoleInput struct {
	RoleName           string  `valid:"required 1..64 name"`
	Description        *string `valid:"0..1000 description"`
	MaxSessionDuration *int    `valid:"3600..43200"`
}

// UpdateRoleDescriptionInput is the input of UpdateRoleDescription.
type UpdateRoleDescriptionInput struct {
	RoleName    string  `valid:"required 1..64 name"`
	Description *string `valid:"required 0..1000 description"`
}

// UpdateAssumeRolePolicyInput is the input of UpdateAssumeRolePolicy.
type UpdateAssumeRolePolicyInput struct {
	RoleName       string `valid:"required 1..64 name"`
	PolicyDocument string `valid:"required 1..131072 document"`
}

// UpdateUserInput is the input of UpdateUser.
type UpdateUserInput struct {
	UserName    string `valid:"required 1..128 name"`
	NewPath     string `valid:"1..512 path"`
	NewUserName string `valid:"1..64 name"`
}

// UpdateGroupInput is the input of UpdateGroup.
type UpdateGroupInput struct {
	GroupName    string `valid:"required 1..128 name"`
	NewPath      string `valid:"1..512 path"`
	NewGroupName string `valid:"1..128 name"`
}

// Operations that exist for users, groups and roles share an input. A request names one
// entity, of the kind that its operation is for.

// EntityInput names an entity.
type EntityInput struct {
	UserName  string `valid:"1..128 name" missing:"parameter"`
	GroupName string `valid:"1..128 name" missing:"parameter"`
	RoleName  string `valid:"1..64 name" missing:"parameter"`
}

// EntityPageInput asks for a page of what an entity has.
type EntityPageInput struct {
	UserName   string `valid:"1..128 name"`
	GroupName  string `valid:"1..128 name"`
	RoleName   string `valid:"1..64 name"`
	PathPrefix string `valid:"1..512 policyPath"`
	Marker     string `valid:"1..320 marker"`
	MaxItems   *int   `valid:"1..1000"`
}

// ListInput asks for a page of entities.
type ListInput struct {
	PathPrefix string `valid:"pathPrefix"`
	Marker     string `valid:"1..320 marker"`
	MaxItems   *int   `valid:"1..1000"`
}

// ListUsersOutput is the output of ListUsers.
type ListUsersOutput struct {
	Users       []User
	IsTruncated bool
	Marker      string
}

// ListGroupsOutput is the output of ListGroups and ListGroupsForUser.
type ListGroupsOutput struct {
	Groups      []Group
	IsTruncated bool
	Marker      string
}

// ListRolesOutput is the output of ListRoles.
type ListRolesOutput struct {
	Roles       []Role
	IsTruncated bool
	Marker      string
}

// MembershipInput is the input of AddUserToGroup and RemoveUserFromGroup.
type MembershipInput struct {
	GroupName string `valid:"required 1..128 name"`
	UserName  string `valid:"required 1..128 name"`
}

// InlinePolicyInput names an entity and one of its inline policies.
type InlinePolicyInput struct {
	UserName   string `valid:"1..128 name"`
	GroupName  string `valid:"1..128 name"`
	RoleName   string `valid:"1..64 name"`
	PolicyName string `valid:"required 1..128 name"`
}

// PutInlinePolicyInput is the input of PutUserPolicy, PutGroupPolicy and
// PutRolePolicy.
type PutInlinePolicyInput struct {
	UserName       string `valid:"1..128 name"`
	GroupName      string `valid:"1..128 name"`
	RoleName       string `valid:"1..64 name"`
	PolicyName     string `valid:"required 1..128 name"`
	PolicyDocument string `valid:"required 1..131072 document"`
}

// InlinePolicyOutput is an inline policy. Its document is URL-encoded.
type InlinePolicyOutput struct {
	UserName, GroupName, RoleName, PolicyName, PolicyDocument string
}

// PolicyNamesOutput is a page of the names of inline policies.
type PolicyNamesOutput struct {
	PolicyNames []string
	IsTruncated bool
	Marker      string
}

// AttachInput names an entity and a managed policy.
type AttachInput struct {
	UserName  string `valid:"1..64 name"`
	GroupName string `valid:"1..128 name"`
	RoleName  string `valid:"1..64 name"`
	PolicyArn string `valid:"required 20..2048"`
}

// AttachedPolicy is a managed policy as listings of an entity show it.
type AttachedPolicy struct{ PolicyName, PolicyArn string }

// AttachedPoliciesOutput is a page of the managed policies of an entity.
type AttachedPoliciesOutput struct {
	AttachedPolicies []AttachedPolicy
	IsTruncated      bool
	Marker           string
}

// BoundaryInput names an entity and its boundary.
type BoundaryInput struct {
	UserName            string `valid:"1..64 name"`
	GroupName           string `valid:"1..128 name"`
	RoleName            string `valid:"1..64 name"`
	PermissionsBoundary string `valid:"required 20..2048"`
}

// TagInput names a resource to tag, and the tags.
type TagInput struct {
	UserName                 string   `valid:"1..128 name"`
	RoleName                 string   `valid:"1..64 name"`
	PolicyArn                string   `valid:"20..2048"`
	SerialNumber             string   `valid:"9..256 serial"`
	OpenIDConnectProviderArn string   `valid:"20..2048"`
	Tags                     []NewTag `valid:"required 0..50"`
}

// UntagInput names a resource and the keys of the tags to remove.
type UntagInput struct {
	UserName                 string   `valid:"1..128 name"`
	RoleName                 string   `valid:"1..64 name"`
	PolicyArn                string   `valid:"20..2048"`
	SerialNumber             string   `valid:"9..256 serial"`
	OpenIDConnectProviderArn string   `valid:"20..2048"`
	TagKeys                  []string `valid:"required 0..50 tagKeys"`
}

// TagsInput asks for a page of tags.
type TagsInput struct {
	UserName                 string `valid:"1..128 name"`
	RoleName                 string `valid:"1..64 name"`
	PolicyArn                string `valid:"20..2048"`
	SerialNumber             string `valid:"9..256 serial"`
	OpenIDConnectProviderArn string `valid:"20..2048"`
	Marker                   string `valid:"1..320 marker"`
	MaxItems                 *int   `valid:"1..1000"`
}

// TagsOutput is a page of tags.
type TagsOutput struct {
	Tags        []Tag
	IsTruncated bool
	Marker      string
}

// ResultOutput is a response with an empty result element, which clients of a few
// operations require.
type ResultOutput struct{ Nothing *Empty }
