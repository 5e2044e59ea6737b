package shape

import "watertight/internal/gateway/dialect/xmldoc"

// ListObjectsInput is the input of ListObjects.
type ListObjectsInput struct {
	Bucket              string   `loc:"uri,Bucket"`
	Delimiter           *string  `loc:"query,delimiter"`
	EncodingType        string   `loc:"query,encoding-type" enum:"url"`
	Marker              string   `loc:"query,marker"`
	MaxKeys             *int     `loc:"query,max-keys"`
	Prefix              *string  `loc:"query,prefix"`
	ExpectedBucketOwner string   `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
	OptionalAttributes  []string `loc:"header,x-amz-optional-object-attributes"`
	AsOf                string   `loc:"header,x-watertight-as-of"`
}

// ListObjectsOutput is the output of ListObjects.
type ListObjectsOutput struct {
	_              struct{} `root:"ListBucketResult"`
	Name           string   `emit:"always"`
	Prefix         string   `emit:"always"`
	Marker         string   `emit:"always"`
	NextMarker     string
	Delimiter      string
	MaxKeys        int `emit:"always"`
	EncodingType   string
	IsTruncated    bool `emit:"always"`
	Contents       *xmldoc.Elements
	CommonPrefixes []CommonPrefix `xml:"CommonPrefixes"`
}

// ListObjectsV2Input is the input of ListObjectsV2.
type ListObjectsV2Input struct {
	Bucket              string   `loc:"uri,Bucket"`
	ContinuationToken   *string  `loc:"query,continuation-token"`
	Delimiter           *string  `loc:"query,delimiter"`
	EncodingType        string   `loc:"query,encoding-type" enum:"url"`
	FetchOwner          bool     `loc:"query,fetch-owner"`
	MaxKeys             *int     `loc:"query,max-keys"`
	Prefix              *string  `loc:"query,prefix"`
	StartAfter          string   `loc:"query,start-after"`
	ExpectedBucketOwner string   `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
	OptionalAttributes  []string `loc:"header,x-amz-optional-object-attributes"`
	AsOf                string   `loc:"header,x-watertight-as-of"`
}

// ListObjectsV2Output is the output of ListObjectsV2.
type ListObjectsV2Output struct {
	_                     struct{} `root:"ListBucketResult"`
	Name                  string   `emit:"always"`
	Prefix                string   `emit:"always"`
	Delimiter             string
	StartAfter            string
	ContinuationToken     *string
	NextContinuationToken string
	KeyCount              int `emit:"always"`
	MaxKeys               int `emit:"always"`
	EncodingType          string
	IsTruncated           bool `emit:"always"`
	Contents              *xmldoc.Elements
	CommonPrefixes        []CommonPrefix `xml:"CommonPrefixes"`
}

// CommonPrefix is a group of keys.
type CommonPrefix struct {
	Prefix string `emit:"always"`
}
