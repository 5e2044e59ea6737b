package shape

import "time"

// LockHeaders are the headers of Object Lock of writes, and of answers about an object.
type LockHeaders struct {
	ObjectLockMode            string `loc:"header,x-amz-object-lock-mode"`
	ObjectLockRetainUntilDate string `loc:"header,x-amz-object-lock-retain-until-date"` // of ISO 8601
	ObjectLockLegalHoldStatus string `loc:"header,x-amz-object-lock-legal-hold"`
}

// PutObjectLockConfigurationInput is the input of PutObjectLockConfiguration.
type PutObjectLockConfigurationInput struct {
	Bucket              string                   `loc:"uri,Bucket"`
	Configuration       *ObjectLockConfiguration `loc:"body,ObjectLockConfiguration" strict:"true"`
	ExpectedBucketOwner string                   `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// ObjectLockConfiguration is the document of PutObjectLockConfiguration and the
// output of GetObjectLockConfiguration.
type ObjectLockConfiguration struct {
	_                 struct{} `root:"ObjectLockConfiguration"`
	ObjectLockEnabled string
	Rule              *ObjectLockRule
}

// ObjectLockRule is the rule of a bucket's Object Lock.
type ObjectLockRule struct {
	DefaultRetention *DefaultRetention
}

// DefaultRetention is the retention of versions that ask for none.
type DefaultRetention struct {
	Mode  string
	Days  *int
	Years *int
}

// PutObjectRetentionInput is the input of PutObjectRetention.
type PutObjectRetentionInput struct {
	Bucket              string           `loc:"uri,Bucket"`
	Key                 string           `loc:"uri,Key"`
	VersionId           *string          `loc:"query,versionId"`
	Bypass              *bool            `loc:"header,x-amz-bypass-governance-retention"`
	Retention           *ObjectRetention `loc:"body,Retention" strict:"true"`
	ExpectedBucketOwner string           `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// ObjectRetention is the document of PutObjectRetention. An empty one removes the
// retention.
type ObjectRetention struct {
	Mode            *string
	RetainUntilDate *string
}

// ObjectRetentionOutput is the output of GetObjectRetention.
type ObjectRetentionOutput struct {
	_               struct{} `root:"Retention"`
	Mode            string
	RetainUntilDate time.Time
}

// PutObjectLegalHoldInput is the input of PutObjectLegalHold.
type PutObjectLegalHoldInput struct {
	Bucket              string     `loc:"uri,Bucket"`
	Key                 string     `loc:"uri,Key"`
	VersionId           *string    `loc:"query,versionId"`
	LegalHold           *LegalHold `loc:"body,LegalHold" strict:"true"`
	ExpectedBucketOwner string     `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// LegalHold is the document of PutObjectLegalHold and the output of GetObjectLegalHold.
type LegalHold struct {
	_      struct{} `root:"LegalHold"`
	Status string
}
