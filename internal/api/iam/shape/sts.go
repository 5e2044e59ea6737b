// Package shape contains the inputs and outputs of IAM and STS, with the members as the API
// references name them. It must never know what an operation does.
package shape

import "time"

// Empty is an input or an output without members.
type Empty struct{}

// Credentials are temporary credentials.
type Credentials struct {
	AccessKeyId, SecretAccessKey, SessionToken string
	Expiration                                 time.Time
}

// GetCallerIdentityOutput is the output of GetCallerIdentity.
type GetCallerIdentityOutput struct{ UserId, Account, Arn string }

// GetAccessKeyInfoInput is the input of GetAccessKeyInfo.
type GetAccessKeyInfoInput struct {
	AccessKeyId string `valid:"required 16..128 word"`
}

// GetAccessKeyInfoOutput is the output of GetAccessKeyInfo.
type GetAccessKeyInfoOutput struct{ Account string }

// GetSessionTokenInput is the input of GetSessionToken.
type GetSessionTokenInput struct {
	DurationSeconds *int   `valid:"900..129600" shown:"yes"`
	SerialNumber    string `valid:"9..256 sessionSerial"`
	TokenCode       string `valid:"6..6 digits"`
}

// GetSessionTokenOutput is the output of GetSessionToken.
type GetSessionTokenOutput struct{ Credentials Credentials }

// SessionTag is a tag for a session.
type SessionTag struct {
	Key   string `valid:"required 1..128 tagKey"`
	Value string `valid:"0..256 tagValue"`
}

// PolicyDescriptor names a managed policy for a session.
type PolicyDescriptor struct {
	Arn string `wire:"arn" valid:"20..2048"`
}

// AssumeRoleInput is the input of AssumeRole.
type AssumeRoleInput struct {
	RoleArn           string             `valid:"required 20..2048"`
	RoleSessionName   string             `valid:"required 2..64 sessionName" shown:"yes"`
	PolicyArns        []PolicyDescriptor `valid:"0..10"`
	Policy            string             `valid:"document"`
	DurationSeconds   *int               `valid:"900..43200" shown:"yes"`
	Tags              []SessionTag       `valid:"0..50"`
	TransitiveTagKeys []string           `valid:"0..50"`
	ExternalId        string             `valid:"2..1224 externalId"`
	SerialNumber      string             `valid:"9..256 sessionSerial"`
	TokenCode         string             `valid:"6..6 digits"`
	SourceIdentity    string             `valid:"2..64 sessionName"`
	ProvidedContexts  []ProvidedContext  `valid:"1..5"`
}

// ProvidedContext is a context assertion of a trusted provider.
type ProvidedContext struct{ ProviderArn, ContextAssertion string }

// AssumedRoleUser is a role's session.
type AssumedRoleUser struct{ AssumedRoleId, Arn string }

// AssumeRoleOutput is the output of AssumeRole.
type AssumeRoleOutput struct {
	Credentials      Credentials
	AssumedRoleUser  AssumedRoleUser
	PackedPolicySize *int
	SourceIdentity   string
}

// GetFederationTokenInput is the input of GetFederationToken.
type GetFederationTokenInput struct {
	Name            string             `valid:"required 2..32 sessionName"`
	Policy          string             `valid:"1..2048 document"`
	PolicyArns      []PolicyDescriptor `valid:"0..10"`
	DurationSeconds *int               `valid:"900..129600" shown:"yes"`
	Tags            []SessionTag       `valid:"0..50"`
}

// FederatedUser is a federated user's session.
type FederatedUser struct{ FederatedUserId, Arn string }

// GetFederationTokenOutput is the output of GetFederationToken.
type GetFederationTokenOutput struct {
	Credentials      Credentials
	FederatedUser    FederatedUser
	PackedPolicySize *int
}

// AssumeRoleWithWebIdentityInput is the input of AssumeRoleWithWebIdentity.
type AssumeRoleWithWebIdentityInput struct {
	RoleArn          string             `valid:"required 20..2048"`
	RoleSessionName  string             `valid:"required 2..64 sessionName" shown:"yes"`
	WebIdentityToken string             `valid:"required 4..20000"`
	ProviderId       string             `valid:"4..2048"`
	PolicyArns       []PolicyDescriptor `valid:"0..10"`
	Policy           string             `valid:"1..2048 document"`
	DurationSeconds  *int               `valid:"900..43200" shown:"yes"`
}

// AssumeRoleWithWebIdentityOutput is the output of AssumeRoleWithWebIdentity.
type AssumeRoleWithWebIdentityOutput struct {
	Credentials                 Credentials
	SubjectFromWebIdentityToken string
	AssumedRoleUser             AssumedRoleUser
	PackedPolicySize            *int
	Provider, Audience          string
	SourceIdentity              string
}
