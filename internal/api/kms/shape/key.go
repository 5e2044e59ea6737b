// Package shape contains the inputs and outputs of KMS, as the KMS API reference defines
// them. It must never know what an operation does.
//
// Texts of inputs are pointers, which distinguish an empty text from one that was not sent.
// Struct tags state the constraints; see package constraint. A member with the tag secret
// is never repeated in a message.
package shape

import "time"

// Empty is an input or an output without members.
type Empty struct{}

// UnsupportedInput has the members that the audit event of an unsupported operation shows.
type UnsupportedInput struct{ KeyId, CustomKeyStoreId *string }

// Tag is a tag of a key.
type Tag struct {
	TagKey   *string `valid:"required 1..128"`
	TagValue *string `valid:"required 0..256"`
}

// CreateKeyInput is the input of CreateKey.
type CreateKeyInput struct {
	Policy      *string `valid:"1..131072 policy"`
	Description *string `valid:"0..8192"`
	KeyUsage    *string `valid:"SIGN_VERIFY|ENCRYPT_DECRYPT|GENERATE_VERIFY_MAC|KEY_AGREEMENT"`

	CustomerMasterKeySpec *string `valid:"masterKeySpec"`

	KeySpec *string `valid:"keySpec"`
	Origin  *string `valid:"AWS_KMS|EXTERNAL|AWS_CLOUDHSM|EXTERNAL_KEY_STORE"`

	CustomKeyStoreId               *string `valid:"1..64"`
	BypassPolicyLockoutSafetyCheck bool
	Tags                           []Tag
	MultiRegion                    *bool
	XksKeyId                       *string `valid:"1..128 xksKeyId"`
}

// KeyMetadata is a key as CreateKey and DescribeKey show it.
type KeyMetadata struct {
	AWSAccountId                      string
	KeyId, Arn                        string
	CreationDate                      time.Time
	Enabled                           bool
	Description                       *string
	KeyUsage, KeyState                string
	DeletionDate, ValidTo             time.Time
	Origin, ExpirationModel           string
	KeyManager, CustomerMasterKeySpec string
	KeySpec                           string
	EncryptionAlgorithms              []string
	MultiRegion                       bool
	PendingDeletionWindowInDays       *int
	CurrentKeyMaterialId              string
}

// KeyOutput is the answer of CreateKey and DescribeKey.
type KeyOutput struct{ KeyMetadata KeyMetadata }

// KeyInput is the input of operations that need only a key.
type KeyInput struct {
	KeyId *string `valid:"required 1..2048"`
}

// KeyIDOutput is the output of operations that return only a key.
type KeyIDOutput struct{ KeyId string }

// DescribeKeyInput is the input of DescribeKey.
type DescribeKeyInput struct {
	KeyId       *string  `valid:"required 1..2048"`
	GrantTokens []string `valid:"0..10" each:"1..8192" secret:"true"`
}

// PageInput is the input of ListKeys.
type PageInput struct {
	Limit  *int    `valid:"1..1000"`
	Marker *string `valid:"1..1024 marker"`
}

// KeyPageInput is the input of listings of a key's resources.
type KeyPageInput struct {
	KeyId  *string `valid:"required 1..2048"`
	Limit  *int    `valid:"1..1000"`
	Marker *string `valid:"1..1024 marker"`
}

// KeyListEntry is a key in ListKeys.
type KeyListEntry struct{ KeyId, KeyArn string }

// ListKeysOutput is the answer of ListKeys.
type ListKeysOutput struct {
	Keys       []KeyListEntry
	NextMarker string
	Truncated  bool
}

// UpdateKeyDescriptionInput is the input of UpdateKeyDescription.
type UpdateKeyDescriptionInput struct {
	KeyId       *string `valid:"required 1..2048"`
	Description *string `valid:"required 0..8192"`
}

// ScheduleKeyDeletionInput is the input of ScheduleKeyDeletion. The model allows 1 to 365
// days; the operation accepts 7 to 30.
type ScheduleKeyDeletionInput struct {
	KeyId               *string `valid:"required 1..2048"`
	PendingWindowInDays *int    `valid:"1..365"`
}

// ScheduleKeyDeletionOutput is the answer of ScheduleKeyDeletion.
type ScheduleKeyDeletionOutput struct {
	KeyId               string
	DeletionDate        time.Time
	KeyState            string
	PendingWindowInDays *int
}

// TagResourceInput is the input of TagResource.
type TagResourceInput struct {
	KeyId *string `valid:"required 1..2048"`
	Tags  []Tag   `valid:"required"`
}

// UntagResourceInput is the input of UntagResource.
type UntagResourceInput struct {
	KeyId   *string  `valid:"required 1..2048"`
	TagKeys []string `valid:"required" each:"1..128"`
}

// ListResourceTagsOutput is the answer of ListResourceTags.
type ListResourceTagsOutput struct {
	Tags       []Tag
	NextMarker string
	Truncated  bool
}

// GetKeyLastUsageOutput is the answer of GetKeyLastUsage.
type GetKeyLastUsageOutput struct {
	KeyId                              string
	KeyLastUsage                       *KeyLastUsage
	TrackingStartDate, KeyCreationDate time.Time
}

// KeyLastUsage is the last use of a key.
type KeyLastUsage struct {
	Operation         string
	Timestamp         time.Time
	CloudTrailEventId string
	KmsRequestId      string
}
