package shape

import (
	"time"

	"watertight/internal/gateway/protocol"
)

// CreateMultipartUploadInput is the input of CreateMultipartUpload.
type CreateMultipartUploadInput struct {
	Bucket             string            `loc:"uri,Bucket"`
	Key                string            `loc:"uri,Key"`
	CacheControl       string            `loc:"header,Cache-Control"`
	ContentDisposition string            `loc:"header,Content-Disposition"`
	ContentEncoding    string            `loc:"header,Content-Encoding"`
	ContentLanguage    string            `loc:"header,Content-Language"`
	ContentType        string            `loc:"header,Content-Type"`
	Expires            string            `loc:"header,Expires"`
	Metadata           map[string]string `loc:"prefix,x-amz-meta-"`
	StorageClass       string            `loc:"header,x-amz-storage-class"`
	Tagging            string            `loc:"header,x-amz-tagging"`
	WebsiteRedirect    string            `loc:"header,x-amz-website-redirect-location"`
	ChecksumAlgorithm  string            `loc:"header,x-amz-checksum-algorithm"`
	ChecksumType       string            `loc:"header,x-amz-checksum-type"`
	Unbuilt
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner"`
}

// CreateMultipartUploadOutput is the output of CreateMultipartUpload.
type CreateMultipartUploadOutput struct {
	_                    struct{} `root:"InitiateMultipartUploadResult"`
	ServerSideEncryption string   `loc:"header,x-amz-server-side-encryption"`
	ChecksumAlgorithm    string   `loc:"header,x-amz-checksum-algorithm"`
	ChecksumType         string   `loc:"header,x-amz-checksum-type"`
	Bucket               string
	Key                  string
	UploadId             string
}

// UploadPartInput is the input of UploadPart.
type UploadPartInput struct {
	Bucket     string          `loc:"uri,Bucket"`
	Key        string          `loc:"uri,Key"`
	PartNumber int             `loc:"query,partNumber"`
	UploadId   string          `loc:"query,uploadId"`
	Body       protocol.Stream `loc:"stream"`
	Integrity
	Unbuilt
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner"`
}

// UploadPartOutput is the output of UploadPart.
type UploadPartOutput struct {
	ETag                 string `loc:"header,ETag"`
	ServerSideEncryption string `loc:"header,x-amz-server-side-encryption"`
	Checksums
}

// CompleteMultipartUploadInput is the input of CompleteMultipartUpload.
type CompleteMultipartUploadInput struct {
	Bucket          string                   `loc:"uri,Bucket"`
	Key             string                   `loc:"uri,Key"`
	UploadId        string                   `loc:"query,uploadId"`
	BucketURL       string                   `loc:"uri,BucketURL"`
	MultipartUpload CompletedMultipartUpload `loc:"body,CompleteMultipartUpload"`
	ChecksumType    string                   `loc:"header,x-amz-checksum-type"`
	ObjectSize      *int64                   `loc:"header,x-amz-mp-object-size"`
	CRC32           string                   `loc:"header,x-amz-checksum-crc32"`
	CRC32C          string                   `loc:"header,x-amz-checksum-crc32c"`
	CRC64NVME       string                   `loc:"header,x-amz-checksum-crc64nvme"`
	SHA1            string                   `loc:"header,x-amz-checksum-sha1"`
	SHA256          string                   `loc:"header,x-amz-checksum-sha256"`
	Conditions
	Unbuilt
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner"`
}

// CompletedMultipartUpload is the document of CompleteMultipartUpload.
type CompletedMultipartUpload struct {
	Parts []CompletedPart `xml:"Part"`
}

// CompletedPart is a part as the client lists it.
type CompletedPart struct {
	PartNumber        *int
	ETag              *string
	ChecksumCRC32     string
	ChecksumCRC32C    string
	ChecksumCRC64NVME string
	ChecksumSHA1      string
	ChecksumSHA256    string
}

// CompleteMultipartUploadOutput is the output of CompleteMultipartUpload.
type CompleteMultipartUploadOutput struct {
	_                    struct{} `root:"CompleteMultipartUploadResult"`
	ServerSideEncryption string   `loc:"header,x-amz-server-side-encryption"`
	VersionId            string   `loc:"header,x-amz-version-id"`
	Location             string
	Bucket               string
	Key                  string
	ETag                 string
	ChecksumCRC32        string
	ChecksumCRC32C       string
	ChecksumCRC64NVME    string
	ChecksumSHA1         string
	ChecksumSHA256       string
	ChecksumType         string
}

// UploadInput is the input of operations that need an upload's id alone.
type UploadInput struct {
	Bucket              string `loc:"uri,Bucket"`
	Key                 string `loc:"uri,Key"`
	UploadId            string `loc:"query,uploadId"`
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner"`
}

// ListPartsInput is the input of ListParts.
type ListPartsInput struct {
	UploadInput
	MaxParts         *int `loc:"query,max-parts"`
	PartNumberMarker *int `loc:"query,part-number-marker"`
}

// ListPartsOutput is the output of ListParts.
type ListPartsOutput struct {
	_                    struct{} `root:"ListPartsResult"`
	Bucket               string
	Key                  string
	UploadId             string
	PartNumberMarker     int    `emit:"always"`
	NextPartNumberMarker int    `emit:"always"`
	MaxParts             int    `emit:"always"`
	IsTruncated          bool   `emit:"always"`
	Parts                []Part `xml:"Part"`
	Initiator            *Initiator
	Owner                *Owner
	StorageClass         string
	ChecksumAlgorithm    string
	ChecksumType         string
}

// Part is a part of an upload.
type Part struct {
	PartNumber        int
	LastModified      time.Time
	ETag              string
	Size              int64 `emit:"always"`
	ChecksumCRC32     string
	ChecksumCRC32C    string
	ChecksumCRC64NVME string
	ChecksumSHA1      string
	ChecksumSHA256    string
}

// Initiator is who began an upload.
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
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner"`
}

// ListMultipartUploadsOutput is the output of ListMultipartUploads.
type ListMultipartUploadsOutput struct {
	_                  struct{} `root:"ListMultipartUploadsResult"`
	Bucket             string
	KeyMarker          string `emit:"always"`
	UploadIdMarker     string `emit:"always"`
	NextKeyMarker      string
	NextUploadIdMarker string
	Prefix             string `emit:"always"`
	Delimiter          string
	EncodingType       string
	MaxUploads         int               `emit:"always"`
	IsTruncated        bool              `emit:"always"`
	Uploads            []MultipartUpload `xml:"Upload"`
	CommonPrefixes     []CommonPrefix
}

// MultipartUpload is an upload in progress.
type MultipartUpload struct {
	Key               string
	UploadId          string
	Initiator         *Initiator
	Owner             *Owner
	StorageClass      string
	Initiated         time.Time
	ChecksumAlgorithm string
	ChecksumType      string
}

// GetObjectAttributesInput is the input of GetObjectAttributes.
type GetObjectAttributesInput struct {
	ObjectInput
	MaxParts         *int     `loc:"header,x-amz-max-parts"`
	PartNumberMarker *int     `loc:"header,x-amz-part-number-marker"`
	Attributes       []string `loc:"header,x-amz-object-attributes"`
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

// Checksum is the checksum of an object as a document shows it.
type Checksum struct {
	ChecksumCRC32     string
	ChecksumCRC32C    string
	ChecksumCRC64NVME string
	ChecksumSHA1      string
	ChecksumSHA256    string
	ChecksumType      string
}

// ObjectParts are the parts of an object.
type ObjectParts struct {
	TotalPartsCount      int          `xml:"PartsCount"`
	PartNumberMarker     int          `emit:"always"`
	NextPartNumberMarker int          `emit:"always"`
	MaxParts             int          `emit:"always"`
	IsTruncated          bool         `emit:"always"`
	Parts                []ObjectPart `xml:"Part"`
}

// ObjectPart is a part of an object.
type ObjectPart struct {
	PartNumber        int
	Size              int64 `emit:"always"`
	ChecksumCRC32     string
	ChecksumCRC32C    string
	ChecksumCRC64NVME string
	ChecksumSHA1      string
	ChecksumSHA256    string
}
