package shape

import "time"

// GrantConstraints limit a grant to certain encryption contexts.
type GrantConstraints struct {
	EncryptionContextSubset, EncryptionContextEquals map[string]string
}

// CreateGrantInput is the input of CreateGrant.
type CreateGrantInput struct {
	KeyId             *string  `valid:"required 1..2048"`
	GranteePrincipal  *string  `valid:"required 1..256 principal"`
	RetiringPrincipal *string  `valid:"1..256 principal"`
	Operations        []string `valid:"required" each:"grantOperation"`
	Constraints       *GrantConstraints
	GrantTokens       []string `valid:"0..10" each:"1..8192" secret:"true"`
	Name              *string  `valid:"1..256 alias"`
	DryRun            *bool
}

// CreateGrantOutput is the answer of CreateGrant.
type CreateGrantOutput struct{ GrantToken, GrantId string }

// ListGrantsInput is the input of ListGrants.
type ListGrantsInput struct {
	Limit            *int    `valid:"1..1000"`
	Marker           *string `valid:"1..1024 marker"`
	KeyId            *string `valid:"required 1..2048"`
	GrantId          *string `valid:"1..128"`
	GranteePrincipal *string `valid:"1..256 principal"`
}

// ListRetirableGrantsInput is the input of ListRetirableGrants.
type ListRetirableGrantsInput struct {
	Limit             *int    `valid:"1..1000"`
	Marker            *string `valid:"1..1024 marker"`
	RetiringPrincipal *string `valid:"required 1..256 principal"`
}

// GrantListEntry is a grant.
type GrantListEntry struct {
	KeyId, GrantId, Name                                string
	CreationDate                                        time.Time
	GranteePrincipal, RetiringPrincipal, IssuingAccount string
	Operations                                          []string
	Constraints                                         *GrantConstraints
}

// ListGrantsOutput is the answer of ListGrants and ListRetirableGrants.
type ListGrantsOutput struct {
	Grants     []GrantListEntry
	NextMarker string
	Truncated  bool
}

// RevokeGrantInput is the input of RevokeGrant.
type RevokeGrantInput struct {
	KeyId   *string `valid:"required 1..2048"`
	GrantId *string `valid:"required 1..128"`
	DryRun  *bool
}

// RetireGrantInput is the input of RetireGrant: a token, or a key and a grant.
type RetireGrantInput struct {
	GrantToken *string `valid:"1..8192" secret:"true"`
	KeyId      *string `valid:"1..2048"`
	GrantId    *string `valid:"1..128"`
	DryRun     *bool
}
