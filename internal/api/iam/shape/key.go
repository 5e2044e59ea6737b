package shape

import "time"

// GetUserInput is the input of GetUser. Without a name, it is about the caller.
type GetUserInput struct {
	UserName string `valid:"1..128 name"`
}

// UserInput names a user. Without a name, it is about the caller. An empty name is refused,
// so that a script whose variable is empty does not change the root user by mistake.
type UserInput struct {
	UserName *string `valid:"1..128 name"`
}

// UserPageInput asks for a page of what a user has. Without a name, it is about the caller.
type UserPageInput struct {
	UserName *string `valid:"1..128 name"`
	Marker   string  `valid:"1..320 marker"`
	MaxItems *int    `valid:"1..1000"`
}

// AccessKey is a new access key with its secret.
type AccessKey struct {
	UserName, AccessKeyId, Status, SecretAccessKey string
	CreateDate                                     time.Time
}

// CreateAccessKeyOutput is the output of CreateAccessKey.
type CreateAccessKeyOutput struct{ AccessKey AccessKey }

// AccessKeyInput names an access key and its user. Without a name, it is about the caller.
type AccessKeyInput struct {
	UserName    *string `valid:"1..128 name"`
	AccessKeyId string  `valid:"required 16..128 word" missing:"parameter"`
}

// UpdateAccessKeyInput is the input of UpdateAccessKey.
type UpdateAccessKeyInput struct {
	UserName    *string `valid:"1..128 name"`
	AccessKeyId string  `valid:"required 16..128 word" missing:"parameter"`
	Status      string  `valid:"required Active|Inactive" missing:"parameter"`
}

// AccessKeyMetadata is an access key without its secret.
type AccessKeyMetadata struct {
	UserName, AccessKeyId, Status string
	CreateDate                    time.Time
}

// ListAccessKeysOutput is the output of ListAccessKeys.
type ListAccessKeysOutput struct {
	AccessKeyMetadata []AccessKeyMetadata
	IsTruncated       bool
	Marker            string
}

// GetAccessKeyLastUsedInput is the input of GetAccessKeyLastUsed.
type GetAccessKeyLastUsedInput struct {
	AccessKeyId string `valid:"required 16..128 word" missing:"parameter"`
}

// GetAccessKeyLastUsedOutput is the output of GetAccessKeyLastUsed.
type GetAccessKeyLastUsedOutput struct {
	UserName          string
	AccessKeyLastUsed AccessKeyLastUsed
}

// AccessKeyLastUsed is the last use; "N/A" for none.
type AccessKeyLastUsed struct {
	LastUsedDate        time.Time
	ServiceName, Region string
}
