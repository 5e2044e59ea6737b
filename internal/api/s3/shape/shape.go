// Package shape contains only the shapes of S3: the inputs and outputs by their names in
// the S3 API reference. It must contain no rules and must not know the caller.
package shape

import (
	"io"
	"time"

	"watertight/internal/gateway/sigv4"
)

// BucketInput is the input of operations that have only a bucket name.
type BucketInput struct {
	Bucket              string `loc:"uri,Bucket"`
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// ObjectInput is the input of operations that have only a bucket and a key.
type ObjectInput struct {
	Bucket              string  `loc:"uri,Bucket"`
	Key                 string  `loc:"uri,Key"`
	VersionId           *string `loc:"query,versionId"`
	ExpectedBucketOwner string  `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// Empty is a response without content.
type Empty struct{}

// Owner is an account as S3 shows it. DisplayName is no longer sent.
type Owner struct {
	ID string
}

// ListBucketsInput is the input of ListBuckets.
type ListBucketsInput struct {
	MaxBuckets        *int    `loc:"query,max-buckets"`
	ContinuationToken *string `loc:"query,continuation-token"`
	Prefix            string  `loc:"query,prefix"`
	BucketRegion      string  `loc:"query,bucket-region"`
}

// ListBucketsOutput is the output of ListBuckets.
type ListBucketsOutput struct {
	_                 struct{} `root:"ListAllMyBucketsResult"`
	Owner             Owner    `emit:"always"`
	Buckets           []Bucket `xml:"Buckets>Bucket" emit:"always"`
	ContinuationToken string
	Prefix            string
}

// Bucket is a bucket as a listing shows it.
type Bucket struct {
	Name         string
	CreationDate time.Time
	BucketRegion string
	BucketArn    string
}

// CreateBucketInput is the input of CreateBucket.
type CreateBucketInput struct {
	Bucket     string `loc:"uri,Bucket"`
	GrantWrite string `loc:"header,x-amz-grant-write"`
	ACLHeaders
	ObjectLockEnabledForBucket bool                       `loc:"header,x-amz-bucket-object-lock-enabled"`
	ObjectOwnership            *string                    `loc:"header,x-amz-object-ownership"`
	Configuration              *CreateBucketConfiguration `loc:"body,CreateBucketConfiguration"`
}

// CreateBucketConfiguration is the document of CreateBucket.
type CreateBucketConfiguration struct {
	LocationConstraint string
	Location           *struct{} // only directory buckets have it
	Bucket             *struct{} // only directory buckets have it
	Tags               []Tag     `xml:"Tags>Tag"`
}

// CreateBucketOutput is the output of CreateBucket.
type CreateBucketOutput struct {
	Location  string `loc:"header,Location"`
	BucketArn string `loc:"header,x-amz-bucket-arn"`
}

// HeadBucketOutput is the output of HeadBucket.
type HeadBucketOutput struct {
	BucketRegion     string `loc:"header,x-amz-bucket-region"`
	BucketArn        string `loc:"header,x-amz-bucket-arn"`
	AccessPointAlias string `loc:"header,x-amz-access-point-alias"`
}

// GetBucketLocationOutput is the output of GetBucketLocation.
type GetBucketLocationOutput struct {
	_     struct{} `root:"LocationConstraint"`
	Value string   `xml:",chardata"`
}

// PutObjectInput is the input of PutObject.
type PutObjectInput struct {
	Bucket string     `loc:"uri,Bucket"`
	Key    string     `loc:"uri,Key"`
	Body   sigv4.Body `loc:"stream"`
	Content
	StorageClass    string `loc:"header,x-amz-storage-class" empty:"InvalidStorageClass"`
	Tagging         string `loc:"header,x-amz-tagging" empty:"ok"`
	WebsiteRedirect string `loc:"header,x-amz-website-redirect-location" empty:"InvalidRedirectLocation"`
	Integrity
	Conditions
	ACLHeaders
	EncryptionHeaders
	CustomerKey
	LockHeaders
	Unbuilt
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// Content is the headers that describe an object.
type Content struct {
	CacheControl       string            `loc:"header,Cache-Control"`
	ContentDisposition string            `loc:"header,Content-Disposition"`
	ContentEncoding    string            `loc:"header,Content-Encoding"`
	ContentLanguage    string            `loc:"header,Content-Language"`
	ContentType        string            `loc:"header,Content-Type"`
	Expires            string            `loc:"header,Expires"`
	Metadata           map[string]string `loc:"prefix,x-amz-meta-"`
}

// Sums are checksums in headers, in base64; "" means that a header was not sent.
type Sums struct {
	ChecksumCRC32     string `loc:"header,x-amz-checksum-crc32" empty:"InvalidRequest"`
	ChecksumCRC32C    string `loc:"header,x-amz-checksum-crc32c" empty:"InvalidRequest"`
	ChecksumCRC64NVME string `loc:"header,x-amz-checksum-crc64nvme" empty:"InvalidRequest"`
	ChecksumMD5       string `loc:"header,x-amz-checksum-md5" empty:"InvalidRequest"`
	ChecksumSHA1      string `loc:"header,x-amz-checksum-sha1" empty:"InvalidRequest"`
	ChecksumSHA256    string `loc:"header,x-amz-checksum-sha256" empty:"InvalidRequest"`
	ChecksumSHA512    string `loc:"header,x-amz-checksum-sha512" empty:"InvalidRequest"`
	ChecksumXXHASH128 string `loc:"header,x-amz-checksum-xxhash128" empty:"InvalidRequest"`
	ChecksumXXHASH3   string `loc:"header,x-amz-checksum-xxhash3" empty:"InvalidRequest"`
	ChecksumXXHASH64  string `loc:"header,x-amz-checksum-xxhash64" empty:"InvalidRequest"`
}

// SumElements are Sums in a document.
type SumElements struct {
	ChecksumCRC32     string
	ChecksumCRC32C    string
	ChecksumCRC64NVME string
	ChecksumMD5       string
	ChecksumSHA1      string
	ChecksumSHA256    string
	ChecksumSHA512    string
	ChecksumXXHASH128 string
	ChecksumXXHASH3   string
	ChecksumXXHASH64  string
}

// Integrity is what a client declares about a body.
type Integrity struct {
	ContentMD5        string `loc:"header,Content-MD5"`
	ChecksumAlgorithm string `loc:"header,x-amz-sdk-checksum-algorithm" empty:"InvalidRequest"`
	Sums
	Trailer string `loc:"header,x-amz-trailer"`
}

// Conditions are the conditions of a write.
type Conditions struct {
	IfMatch     *string `loc:"header,If-Match"`
	IfNoneMatch *string `loc:"header,If-None-Match"`
}

// Unbuilt are headers of features that this server does not implement: it refuses them
// instead of ignoring them.
type Unbuilt struct {
	WriteOffset string `loc:"header,x-amz-write-offset-bytes"`
}

// Checksums are the checksums of a response, of which at most one is set.
type Checksums struct {
	Sums
	ChecksumType string `loc:"header,x-amz-checksum-type" empty:"InvalidRequest"`
}

// PutObjectOutput is the output of PutObject.
type PutObjectOutput struct {
	ETag string `loc:"header,ETag"`
	Encrypted
	SSEKMSEncryptionContext string `loc:"header,x-amz-server-side-encryption-context"`
	VersionId               string `loc:"header,x-amz-version-id"`
	Size                    string `loc:"header,x-amz-object-size"`
	Expiration              string `loc:"header,x-amz-expiration"`
	Checksums
}

// GetObjectInput is the input of GetObject and HeadObject.
type GetObjectInput struct {
	Bucket            string    `loc:"uri,Bucket"`
	Key               string    `loc:"uri,Key"`
	VersionId         *string   `loc:"query,versionId"`
	PartNumber        *int      `loc:"query,partNumber"`
	Range             string    `loc:"header,Range"`
	IfMatch           *string   `loc:"header,If-Match"`
	IfNoneMatch       *string   `loc:"header,If-None-Match"`
	IfModifiedSince   time.Time `loc:"header,If-Modified-Since"`
	IfUnmodifiedSince time.Time `loc:"header,If-Unmodified-Since"`
	IfRange           string    `loc:"header,If-Range"`
	ChecksumMode      string    `loc:"header,x-amz-checksum-mode" empty:"ok"`
	AsOf              string    `loc:"header,x-watertight-as-of"`
	NoEncryption
	CustomerKey
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
	Overrides
}

// Overrides replace headers of the response.
type Overrides struct {
	CacheControl       *string `loc:"query,response-cache-control"`
	ContentDisposition *string `loc:"query,response-content-disposition"`
	ContentEncoding    *string `loc:"query,response-content-encoding"`
	ContentLanguage    *string `loc:"query,response-content-language"`
	ContentType        *string `loc:"query,response-content-type"`
	Expires            *string `loc:"query,response-expires"`
}

// GetObjectOutput is the output of GetObject and HeadObject.
type GetObjectOutput struct {
	Status             int               `loc:"status"`
	Body               io.ReadCloser     `loc:"stream"`
	AcceptRanges       string            `loc:"header,Accept-Ranges"`
	CacheControl       string            `loc:"header,Cache-Control"`
	ContentDisposition string            `loc:"header,Content-Disposition"`
	ContentEncoding    string            `loc:"header,Content-Encoding"`
	ContentLanguage    string            `loc:"header,Content-Language"`
	ContentLength      *int64            `loc:"header,Content-Length"`
	ContentRange       string            `loc:"header,Content-Range"`
	ContentType        string            `loc:"header,Content-Type"`
	ETag               string            `loc:"header,ETag"`
	Expires            string            `loc:"header,Expires"`
	Expiration         string            `loc:"header,x-amz-expiration"`
	LastModified       time.Time         `loc:"header,Last-Modified"`
	Metadata           map[string]string `loc:"prefix,x-amz-meta-"`
	PartsCount         int               `loc:"header,x-amz-mp-parts-count"`
	Encrypted
	StorageClass    string `loc:"header,x-amz-storage-class" empty:"InvalidStorageClass"`
	TaggingCount    int    `loc:"header,x-amz-tagging-count"`
	VersionId       string `loc:"header,x-amz-version-id"`
	WebsiteRedirect string `loc:"header,x-amz-website-redirect-location"`
	LockHeaders
	Checksums
}

// DeleteObjectInput is the input of DeleteObject.
type DeleteObjectInput struct {
	Bucket              string  `loc:"uri,Bucket"`
	Key                 string  `loc:"uri,Key"`
	VersionId           *string `loc:"query,versionId"`
	IfMatch             *string `loc:"header,If-Match"`
	IfMatchModified     string  `loc:"header,x-amz-if-match-last-modified-time"`
	IfMatchSize         string  `loc:"header,x-amz-if-match-size"`
	Bypass              *bool   `loc:"header,x-amz-bypass-governance-retention"`
	MFA                 *string `loc:"header,x-amz-mfa"`
	ExpectedBucketOwner string  `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// DeleteObjectOutput is the output of DeleteObject.
type DeleteObjectOutput struct {
	DeleteMarker bool   `loc:"header,x-amz-delete-marker"`
	VersionId    string `loc:"header,x-amz-version-id"`
}

// DeleteObjectsInput is the input of DeleteObjects.
type DeleteObjectsInput struct {
	Bucket              string  `loc:"uri,Bucket"`
	Delete              Delete  `loc:"body,Delete" strict:"true"`
	Bypass              *bool   `loc:"header,x-amz-bypass-governance-retention"`
	MFA                 *string `loc:"header,x-amz-mfa"`
	ExpectedBucketOwner string  `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// Delete is the document of DeleteObjects.
type Delete struct {
	Objects []ObjectIdentifier `xml:"Object"`
	Quiet   bool
}

// ObjectIdentifier names what to delete.
type ObjectIdentifier struct {
	Key              string
	VersionId        *string
	ETag             *string
	LastModifiedTime *string
	Size             *string
}

// DeleteObjectsOutput is the output of DeleteObjects.
type DeleteObjectsOutput struct {
	_       struct{}      `root:"DeleteResult"`
	Deleted []Deleted     `xml:"Deleted"`
	Errors  []DeleteError `xml:"Error"`
}

// Deleted is a key that was deleted.
type Deleted struct {
	Key                   string
	VersionId             string
	DeleteMarker          bool
	DeleteMarkerVersionId string
}

// DeleteError is a key that was not deleted.
type DeleteError struct {
	Key       string
	VersionId string
	Code      string
	Message   string
}
