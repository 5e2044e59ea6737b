package shape

// PutObjectLockConfigurationInput is the input of PutObjectLockConfiguration.
type PutObjectLockConfigurationInput struct {
	Bucket              string                   `loc:"uri,Bucket"`
	Configuration       *ObjectLockConfiguration `loc:"body,ObjectLockConfiguration"`
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
