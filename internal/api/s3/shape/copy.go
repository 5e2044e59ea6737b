package shape

import "time"

// Source is the object a copy is made of.
type Source struct {
	CopySource          string    `loc:"header,x-amz-copy-source"`
	SourceIfMatch       *string   `loc:"header,x-amz-copy-source-if-match"`
	SourceIfNoneMatch   *string   `loc:"header,x-amz-copy-source-if-none-match"`
	SourceIfModified    time.Time `loc:"header,x-amz-copy-source-if-modified-since"`
	SourceIfUnmodified  time.Time `loc:"header,x-amz-copy-source-if-unmodified-since"`
	SourceSSEAlgorithm  string    `loc:"header,x-amz-copy-source-server-side-encryption-customer-algorithm"`
	SourceSSEKey        string    `loc:"header,x-amz-copy-source-server-side-encryption-customer-key"`
	SourceSSEKeyMD5     string    `loc:"header,x-amz-copy-source-server-side-encryption-customer-key-MD5"`
	ExpectedSourceOwner string    `loc:"header,x-amz-source-expected-bucket-owner"`
}

// CopyObjectInput is the input of CopyObject.
type CopyObjectInput struct {
	Bucket             string            `loc:"uri,Bucket"`
	Key                string            `loc:"uri,Key"`
	CacheControl       string            `loc:"header,Cache-Control"`
	ContentDisposition string            `loc:"header,Content-Disposition"`
	ContentEncoding    string            `loc:"header,Content-Encoding"`
	ContentLanguage    string            `loc:"header,Content-Language"`
	ContentType        string            `loc:"header,Content-Type"`
	Expires            string            `loc:"header,Expires"`
	Metadata           map[string]string `loc:"prefix,x-amz-meta-"`
	MetadataDirective  string            `loc:"header,x-amz-metadata-directive"`
	Tagging            string            `loc:"header,x-amz-tagging"`
	TaggingDirective   string            `loc:"header,x-amz-tagging-directive"`
	StorageClass       string            `loc:"header,x-amz-storage-class"`
	WebsiteRedirect    string            `loc:"header,x-amz-website-redirect-location"`
	ChecksumAlgorithm  string            `loc:"header,x-amz-checksum-algorithm"`
	Source
	Conditions
	Unbuilt
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner"`
}

// CopyObjectOutput is the output of CopyObject.
type CopyObjectOutput struct {
	_                    struct{} `root:"CopyObjectResult"`
	SourceVersionId      string   `loc:"header,x-amz-copy-source-version-id"`
	VersionId            string   `loc:"header,x-amz-version-id"`
	ServerSideEncryption string   `loc:"header,x-amz-server-side-encryption"`
	ETag                 string
	LastModified         time.Time
	ChecksumCRC32        string
	ChecksumCRC32C       string
	ChecksumCRC64NVME    string
	ChecksumSHA1         string
	ChecksumSHA256       string
	ChecksumType         string
}

// UploadPartCopyInput is the input of UploadPartCopy.
type UploadPartCopyInput struct {
	Bucket     string `loc:"uri,Bucket"`
	Key        string `loc:"uri,Key"`
	PartNumber int    `loc:"query,partNumber"`
	UploadId   string `loc:"query,uploadId"`
	Range      string `loc:"header,x-amz-copy-source-range"`
	Source
	Unbuilt
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner"`
}

// UploadPartCopyOutput is the output of UploadPartCopy.
type UploadPartCopyOutput struct {
	_                    struct{} `root:"CopyPartResult"`
	SourceVersionId      string   `loc:"header,x-amz-copy-source-version-id"`
	ServerSideEncryption string   `loc:"header,x-amz-server-side-encryption"`
	ETag                 string
	LastModified         time.Time
	ChecksumCRC32        string
	ChecksumCRC32C       string
	ChecksumCRC64NVME    string
	ChecksumSHA1         string
	ChecksumSHA256       string
}
