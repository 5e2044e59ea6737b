// Package shape is the inputs and outputs of IAM and STS, member by member as
// the API references name them. It must never know what an operation does.
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
type GetAccessKeyInfoInput struct{ AccessKeyId string }

// GetAccessKeyInfoOutput is the output of GetAccessKeyInfo.
type GetAccessKeyInfoOutput struct{ Account string }

// GetSessionTokenInput is the input of GetSessionToken.
type GetSessionTokenInput struct {
	DurationSeconds *int
	SerialNumber    string
	TokenCode       string
}

// GetSessionTokenOutput is the output of GetSessionToken.
type GetSessionTokenOutput struct{ Credentials Credentials }
