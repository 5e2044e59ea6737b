package shape

import "io"

// PutBucketPolicyInput is the input of PutBucketPolicy.
type PutBucketPolicyInput struct {
	Bucket              string `loc:"uri,Bucket"`
	Policy              string `loc:"text"`
	ConfirmRemove       bool   `loc:"header,x-amz-confirm-remove-self-bucket-access"`
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// GetBucketPolicyOutput is the output of GetBucketPolicy: the policy itself.
type GetBucketPolicyOutput struct {
	ContentType   string        `loc:"header,Content-Type"`
	ContentLength int           `loc:"header,Content-Length"`
	Policy        io.ReadCloser `loc:"stream"`
}

// PolicyStatus is the output of GetBucketPolicyStatus.
type PolicyStatus struct {
	_        struct{} `root:"PolicyStatus"`
	IsPublic bool     `emit:"always"`
}

// PublicAccessBlock is the document of Block Public Access. A setting that is left out is off.
type PublicAccessBlock struct {
	BlockPublicAcls       *bool
	IgnorePublicAcls      *bool
	BlockPublicPolicy     *bool
	RestrictPublicBuckets *bool
}

// PutPublicAccessBlockInput is the input of a bucket's PutPublicAccessBlock.
type PutPublicAccessBlockInput struct {
	Bucket              string             `loc:"uri,Bucket"`
	Configuration       *PublicAccessBlock `loc:"body,PublicAccessBlockConfiguration" strict:"true"`
	ExpectedBucketOwner string             `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// PublicAccessBlockOutput is the output of a bucket's GetPublicAccessBlock.
type PublicAccessBlockOutput struct {
	_                     struct{} `root:"PublicAccessBlockConfiguration"`
	BlockPublicAcls       bool     `emit:"always"`
	IgnorePublicAcls      bool     `emit:"always"`
	BlockPublicPolicy     bool     `emit:"always"`
	RestrictPublicBuckets bool     `emit:"always"`
}

// AccountInput is the input of operations on an account.
type AccountInput struct {
	AccountId string `loc:"header,x-amz-account-id"`
}

// PutAccountPublicAccessBlockInput is the input of an account's
// PutPublicAccessBlock.
type PutAccountPublicAccessBlockInput struct {
	AccountId     string             `loc:"header,x-amz-account-id"`
	Configuration *PublicAccessBlock `loc:"body,PublicAccessBlockConfiguration" strict:"true" ns:"http://awss3control.amazonaws.com/doc/2018-08-20/"`
}

// AccountPublicAccessBlockOutput is the output of an account's
// GetPublicAccessBlock.
type AccountPublicAccessBlockOutput struct {
	_                     struct{} `root:"PublicAccessBlockConfiguration" ns:"http://awss3control.amazonaws.com/doc/2018-08-20/"`
	BlockPublicAcls       bool     `emit:"always"`
	IgnorePublicAcls      bool     `emit:"always"`
	BlockPublicPolicy     bool     `emit:"always"`
	RestrictPublicBuckets bool     `emit:"always"`
}
