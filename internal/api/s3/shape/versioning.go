package shape

import "watertight/internal/gateway/dialect/xmldoc"

// PutBucketVersioningInput is the input of PutBucketVersioning.
type PutBucketVersioningInput struct {
	Bucket              string                   `loc:"uri,Bucket"`
	Configuration       *VersioningConfiguration `loc:"body,VersioningConfiguration" strict:"true"`
	MFA                 *string                  `loc:"header,x-amz-mfa"`
	ExpectedBucketOwner string                   `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// VersioningConfiguration is the document of PutBucketVersioning and the output
// of GetBucketVersioning.
type VersioningConfiguration struct {
	_         struct{} `root:"VersioningConfiguration"`
	Status    string
	MfaDelete string
}

// ListObjectVersionsInput is the input of ListObjectVersions.
type ListObjectVersionsInput struct {
	Bucket              string   `loc:"uri,Bucket"`
	Delimiter           *string  `loc:"query,delimiter"`
	EncodingType        string   `loc:"query,encoding-type" enum:"url"`
	KeyMarker           string   `loc:"query,key-marker"`
	MaxKeys             *int     `loc:"query,max-keys"`
	Prefix              *string  `loc:"query,prefix"`
	VersionIdMarker     *string  `loc:"query,version-id-marker"`
	ExpectedBucketOwner string   `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
	OptionalAttributes  []string `loc:"header,x-amz-optional-object-attributes"`
}

// ListObjectVersionsOutput is the output of ListObjectVersions.
type ListObjectVersionsOutput struct {
	_                   struct{} `root:"ListVersionsResult"`
	Name                string   `emit:"always"`
	Prefix              string   `emit:"always"`
	KeyMarker           string   `emit:"always"`
	VersionIdMarker     string   `emit:"always"`
	NextKeyMarker       string
	NextVersionIdMarker string
	MaxKeys             int `emit:"always"`
	Delimiter           string
	EncodingType        string
	IsTruncated         bool             `emit:"always"`
	Entries             *xmldoc.Elements // Version and DeleteMarker
	CommonPrefixes      []CommonPrefix   `xml:"CommonPrefixes"`
}
