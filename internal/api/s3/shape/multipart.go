package shape

import (
	"time"

	"watertight/internal/gateway/sigv4"
)

// CreateMultipartUploadInput is the input of CreateMultipartUpload.
type CreateMultipartUploadInput struct {
	Bucket string `loc:"uri,Bucket"`
	Key    string `loc:"uri,Key"`
	Content
	StorageClass      string `loc:"header,x-amz-storage-class" empty:"InvalidStorageClass"`
	Tagging           string `loc:"header,x-amz-tagging" empty:"ok"`
	WebsiteRedirect   string `loc:"header,x-amz-website-redirect-location" empty:"InvalidRedirectLocation"`
	ChecksumAlgorithm string `loc:"header,x-amz-checksum-algorithm" empty:"InvalidRequest"`
	ChecksumType      string `loc:"header,x-amz-checksum-type" empty:"InvalidRequest"`
	ACLHeaders
	EncryptionHeaders
	CustomerKey
	LockHeaders
	Unbuilt
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// CreateMultipartUploadOutput is the output of CreateMultipartUpload.
type CreateMultipartUploadOutput struct {
	_ struct{} `root:"InitiateMultipartUploadResult"`
	Encrypted
	SSEKMSEncryptionContext string `loc:"header,x-amz-server-side-encryption-context"`
	ChecksumAlgorithm       string `loc:"header,x-amz-checksum-algorithm" empty:"InvalidRequest"`
	ChecksumType            string `loc:"header,x-amz-checksum-type" empty:"InvalidRequest"`
	Aborts
	Bucket   string
	Key      string
	UploadId string
}

// UploadPartInput is the input of UploadPart.
type UploadPartInput struct {
	Bucket     string     `loc:"uri,Bucket"`
	Key        string     `loc:"uri,Key"`
	PartNumber int        `loc:"query,partNumber"`
	UploadId   string     `loc:"query,uploadId"`
	Body       sigv4.Body `loc:"stream"`
	Integrity
	NoEncryption
	CustomerKey
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// UploadPartOutput is the output of UploadPart.
type UploadPartOutput struct {
	ETag string `loc:"header,ETag"`
	Encrypted
	Sums
}

// SourceConditions are the conditions on the source of a copy.
type SourceConditions struct {
	SourceIfMatch           *string   `loc:"header,x-amz-copy-source-if-match"`
	SourceIfNoneMatch       *string   `loc:"header,x-amz-copy-source-if-none-match"`
	SourceIfModifiedSince   time.Time `loc:"header,x-amz-copy-source-if-modified-since"`
	SourceIfUnmodifiedSince time.Time `loc:"header,x-amz-copy-source-if-unmodified-since"`
}

// UploadPartCopyInput is the input of UploadPartCopy.
type UploadPartCopyInput struct {
	Bucket     string `loc:"uri,Bucket"`
	Key        string `loc:"uri,Key"`
	PartNumber int    `loc:"query,partNumber"`
	UploadId   string `loc:"query,uploadId"`
	CopySource string `loc:"header,x-amz-copy-source" empty:"ok"`
	CopyRange  string `loc:"header,x-amz-copy-source-range"`
	SourceConditions
	SourceCustomerKey
	NoEncryption
	CustomerKey
	ExpectedBucketOwner       string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
	ExpectedSourceBucketOwner string `loc:"header,x-amz-source-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// UploadPartCopyOutput is the output of UploadPartCopy.
type UploadPartCopyOutput struct {
	_                   struct{} `root:"CopyPartResult"`
	CopySourceVersionId string   `loc:"header,x-amz-copy-source-version-id"`
	Encrypted
	ETag         string
	LastModified time.Time
	SumElements
}

// CompleteMultipartUploadInput is the input of CompleteMultipartUpload. Its
// checksums are the object's.
type CompleteMultipartUploadInput struct {
	BucketURL string                    `loc:"uri,BucketURL"`
	Bucket    string                    `loc:"uri,Bucket"`
	Key       string                    `loc:"uri,Key"`
	UploadId  string                    `loc:"query,uploadId"`
	Upload    *CompletedMultipartUpload `loc:"body,CompleteMultipartUpload"`
	Sums
	ChecksumType string `loc:"header,x-amz-checksum-type" empty:"InvalidRequest"`
	ObjectSize   string `loc:"header,x-amz-mp-object-size"`
	Conditions
	CustomerKey
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// CompletedMultipartUpload is the document of CompleteMultipartUpload.
type CompletedMultipartUpload struct {
	Parts []CompletedPart `xml:"Part"`
}

// CompletedPart is a part as the client lists it.
type CompletedPart struct {
	PartNumber *int
	ETag       *string
	SumElements
}

// CompleteMultipartUploadOutput is the output of CompleteMultipartUpload.
type CompleteMultipartUploadOutput struct {
	_                    struct{} `root:"CompleteMultipartUploadResult"`
	ServerSideEncryption string   `loc:"header,x-amz-server-side-encryption"`
	SSEKMSKeyId          string   `loc:"header,x-amz-server-side-encryption-aws-kms-key-id"`
	BucketKeyEnabled     bool     `loc:"header,x-amz-server-side-encryption-bucket-key-enabled"`
	VersionId            string   `loc:"header,x-amz-version-id"`
	Expiration           string   `loc:"header,x-amz-expiration"`
	Location             string
	Bucket               string
	Key                  string
	ETag                 string
	SumElements
	ChecksumType string
}

// AbortMultipartUploadInput is the input of AbortMultipartUpload.
type AbortMultipartUploadInput struct {
	Bucket              string `loc:"uri,Bucket"`
	Key                 string `loc:"uri,Key"`
	UploadId            string `loc:"query,uploadId"`
	IfMatchInitiated    string `loc:"header,x-amz-if-match-initiated-time"`
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// ListPartsInput is the input of ListParts.
type ListPartsInput struct {
	Bucket           string `loc:"uri,Bucket"`
	Key              string `loc:"uri,Key"`
	UploadId         string `loc:"query,uploadId"`
	MaxParts         *int   `loc:"query,max-parts"`
	PartNumberMarker int    `loc:"query,part-number-marker"`
	CustomerKey
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// ListPartsOutput is the output of ListParts.
type ListPartsOutput struct {
	_ struct{} `root:"ListPartsResult"`
	Aborts
	Bucket               string `emit:"always"`
	Key                  string `emit:"always"`
	UploadId             string `emit:"always"`
	PartNumberMarker     int    `emit:"always"`
	NextPartNumberMarker int    `emit:"always"`
	MaxParts             int    `emit:"always"`
	IsTruncated          bool   `emit:"always"`
	Parts                []Part `xml:"Part"`
	Initiator            Initiator
	Owner                *Owner
	StorageClass         string
	ChecksumAlgorithm    string
	ChecksumType         string
}

// Part is a part of an upload.
type Part struct {
	PartNumber   int
	LastModified time.Time
	ETag         string
	Size         int64 `emit:"always"`
	SumElements
}

// Initiator is the principal that began an upload: an account's canonical id, or the ARN of a
// user or session.
type Initiator struct {
	ID          string
	DisplayName string
}

// ListMultipartUploadsInput is the input of ListMultipartUploads.
type ListMultipartUploadsInput struct {
	Bucket              string `loc:"uri,Bucket"`
	Delimiter           string `loc:"query,delimiter"`
	EncodingType        string `loc:"query,encoding-type" enum:"url"`
	KeyMarker           string `loc:"query,key-marker"`
	MaxUploads          *int   `loc:"query,max-uploads"`
	Prefix              string `loc:"query,prefix"`
	UploadIdMarker      string `loc:"query,upload-id-marker"`
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// ListMultipartUploadsOutput is the output of ListMultipartUploads.
type ListMultipartUploadsOutput struct {
	_                  struct{} `root:"ListMultipartUploadsResult"`
	Bucket             string   `emit:"always"`
	KeyMarker          string   `emit:"always"`
	UploadIdMarker     string   `emit:"always"`
	NextKeyMarker      string
	NextUploadIdMarker string
	Prefix             string
	Delimiter          string
	MaxUploads         int `emit:"always"`
	EncodingType       string
	IsTruncated        bool           `emit:"always"`
	Uploads            []UploadEntry  `xml:"Upload"`
	CommonPrefixes     []CommonPrefix `xml:"CommonPrefixes"`
}

// UploadEntry is an upload as a listing shows it.
type UploadEntry struct {
	Key               string `emit:"always"`
	UploadId          string
	Initiator         Initiator
	Owner             *Owner
	StorageClass      string
	Initiated         time.Time
	ChecksumAlgorithm string
	ChecksumType      string
}

// GetObjectAttributesInput is the input of GetObjectAttributes.
type GetObjectAttributesInput struct {
	Bucket           string   `loc:"uri,Bucket"`
	Key              string   `loc:"uri,Key"`
	VersionId        *string  `loc:"query,versionId"`
	MaxParts         *string  `loc:"header,x-amz-max-parts"`
	PartNumberMarker int      `loc:"header,x-amz-part-number-marker"`
	Attributes       []string `loc:"header,x-amz-object-attributes"`
	CustomerKey
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// GetObjectAttributesOutput is the output of GetObjectAttributes.
type GetObjectAttributesOutput struct {
	_            struct{}  `root:"GetObjectAttributesResponse"`
	LastModified time.Time `loc:"header,Last-Modified"`
	VersionId    string    `loc:"header,x-amz-version-id"`
	ETag         string
	Checksum     *Checksum
	ObjectParts  *ObjectParts
	StorageClass string
	ObjectSize   *int64
}

// Checksum is an object's checksum in a document.
type Checksum struct {
	SumElements
	ChecksumType string
}

// ObjectParts is a page of an object's parts.
type ObjectParts struct {
	PartsCount           int          `emit:"always"`
	PartNumberMarker     int          `emit:"always"`
	NextPartNumberMarker int          `emit:"always"`
	MaxParts             int          `emit:"always"`
	IsTruncated          bool         `emit:"always"`
	Parts                []ObjectPart `xml:"Part"`
}

// ObjectPart is a part of an object.
type ObjectPart struct {
	PartNumber int
	Size       int64 `emit:"always"`
	SumElements
}
