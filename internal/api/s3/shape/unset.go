package shape

// The outputs of operations that read what cannot be configured yet: AWS's
// answer for "none", or the truth about the default.

// BucketLoggingStatus is the output of GetBucketLogging.
type BucketLoggingStatus struct {
	_ struct{} `root:"BucketLoggingStatus"`
}

// NotificationConfiguration is the output of GetBucketNotificationConfiguration.
type NotificationConfiguration struct {
	_ struct{} `root:"NotificationConfiguration"`
}

// AccelerateConfiguration is the output of GetBucketAccelerateConfiguration.
type AccelerateConfiguration struct {
	_      struct{} `root:"AccelerateConfiguration"`
	Status string
}

// OwnershipControls is the output of GetBucketOwnershipControls.
type OwnershipControls struct {
	_     struct{}        `root:"OwnershipControls"`
	Rules []OwnershipRule `xml:"Rule"`
}

// OwnershipRule is a rule of ownership.
type OwnershipRule struct {
	ObjectOwnership string
}

// AccessControlPolicy is the output of GetBucketAcl and GetObjectAcl.
type AccessControlPolicy struct {
	_      struct{} `root:"AccessControlPolicy"`
	Owner  Owner
	Grants []Grant `xml:"AccessControlList>Grant"`
}

// Grant is a grant of an ACL.
type Grant struct {
	Grantee    Grantee
	Permission string
}

// Grantee is a canonical user.
type Grantee struct {
	_  struct{} `attr:"xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\""`
	ID string
}
