package shape

import "time"

// PutBucketLifecycleInput is the input of PutBucketLifecycleConfiguration, and of the
// older PutBucketLifecycle, which is the same on the wire.
type PutBucketLifecycleInput struct {
	Bucket              string                  `loc:"uri,Bucket"`
	MinimumSize         *string                 `loc:"header,x-amz-transition-default-minimum-object-size"`
	Configuration       *LifecycleConfiguration `loc:"body,LifecycleConfiguration" strict:"true"`
	ExpectedBucketOwner string                  `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// LifecycleConfiguration is the document of PutBucketLifecycleConfiguration.
type LifecycleConfiguration struct {
	Rules []LifecycleRule `xml:"Rule"`
}

// PutBucketLifecycleOutput is the output of PutBucketLifecycleConfiguration.
type PutBucketLifecycleOutput struct {
	MinimumSize string `loc:"header,x-amz-transition-default-minimum-object-size"`
}

// LifecycleOutput is the output of GetBucketLifecycleConfiguration.
type LifecycleOutput struct {
	_           struct{}        `root:"LifecycleConfiguration"`
	MinimumSize string          `loc:"header,x-amz-transition-default-minimum-object-size"`
	Rules       []LifecycleRule `xml:"Rule"`
}

// LifecycleRule is a rule of a lifecycle configuration.
type LifecycleRule struct {
	ID                    string
	Prefix                *string
	Filter                *LifecycleFilter
	Status                string
	Transitions           []LifecycleTransition `xml:"Transition"`
	Expiration            *LifecycleExpiration
	NoncurrentTransitions []NoncurrentTransition `xml:"NoncurrentVersionTransition"`
	NoncurrentExpiration  *NoncurrentExpiration  `xml:"NoncurrentVersionExpiration"`
	Abort                 *AbortUploads          `xml:"AbortIncompleteMultipartUpload"`
}

// LifecycleFilter says which objects a rule is for.
type LifecycleFilter struct {
	Prefix                *string
	Tags                  []Tag `xml:"Tag"` // one at most
	ObjectSizeGreaterThan *int64
	ObjectSizeLessThan    *int64
	And                   *LifecycleAnd
}

// LifecycleAnd is predicates that all have to hold.
type LifecycleAnd struct {
	Prefix                *string
	Tags                  []Tag `xml:"Tag"`
	ObjectSizeGreaterThan *int64
	ObjectSizeLessThan    *int64
}

// LifecycleExpiration is when objects expire. Date is ISO 8601.
type LifecycleExpiration struct {
	Date                      *string
	Days                      *int32
	ExpiredObjectDeleteMarker *bool
}

// LifecycleTransition moves objects to a storage class.
type LifecycleTransition struct {
	Date         *string
	Days         *int32
	StorageClass string
}

// NoncurrentTransition moves noncurrent versions to a storage class.
type NoncurrentTransition struct {
	NoncurrentDays          *int32
	NewerNoncurrentVersions *int32
	StorageClass            string
}

// NoncurrentExpiration removes noncurrent versions.
type NoncurrentExpiration struct {
	NoncurrentDays          *int32
	NewerNoncurrentVersions *int32
}

// AbortUploads ends multipart uploads that were not completed.
type AbortUploads struct {
	DaysAfterInitiation *int32
}

// Aborts says when a lifecycle rule aborts an upload.
type Aborts struct {
	AbortDate   time.Time `loc:"header,x-amz-abort-date"`
	AbortRuleId string    `loc:"header,x-amz-abort-rule-id"`
}
