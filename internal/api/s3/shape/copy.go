package shape

import "time"

// CopyObjectInput is the input of CopyObject.
type CopyObjectInput struct {
	Bucket     string `loc:"uri,Bucket"`
	Key        string `loc:"uri,Key"`
	CopySource string `loc:"header,x-amz-copy-source" empty:"ok"`
	Content
	MetadataDirective string `loc:"header,x-amz-metadata-directive"`
	Tagging           string `loc:"header,x-amz-tagging" empty:"ok"`
	TaggingDirective  string `loc:"header,x-amz-tagging-directive"`
	StorageClass      string `loc:"header,x-amz-storage-class" empty:"InvalidStorageClass"`
	WebsiteRedirect   string `loc:"header,x-amz-website-redirect-location" empty:"InvalidRedirectLocation"`
	ChecksumAlgorithm string `loc:"header,x-amz-checksum-algorithm" empty:"InvalidRequest"`
	SourceConditions
	SourceCustomerKey
	Conditions
	ACLHeaders
	EncryptionHeaders
	CustomerKey
	LockHeaders
	Unbuilt
	ExpectedBucketOwner       string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
	ExpectedSourceBucketOwner string `loc:"header,x-amz-source-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// CopyObjectOutput is the output of CopyObject.
type CopyObjectOutput struct {
	_                   struct{} `root:"CopyObjectResult"`
	CopySourceVersionId string   `loc:"header,x-amz-copy-source-version-id"`
	VersionId           string   `loc:"header,x-amz-version-id"`
	Expiration          string   `loc:"header,x-amz-expiration"`
	Encrypted
	SSEKMSEncryptionContext string `loc:"header,x-amz-server-side-encryption-context"`
	ETag                    string
	LastModified            time.Time
	SumElements
	ChecksumType string
}
