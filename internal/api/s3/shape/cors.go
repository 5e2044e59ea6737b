package shape

// PutBucketCorsInput is the input of PutBucketCors.
type PutBucketCorsInput struct {
	Bucket              string            `loc:"uri,Bucket"`
	Configuration       CORSConfiguration `loc:"body,CORSConfiguration"`
	ExpectedBucketOwner string            `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// CORSConfiguration is the document of PutBucketCors and the output of
// GetBucketCors.
type CORSConfiguration struct {
	_     struct{}   `root:"CORSConfiguration"`
	Rules []CORSRule `xml:"CORSRule"`
}

// CORSRule is a rule of a CORS configuration.
type CORSRule struct {
	ID             string
	AllowedHeaders []string `xml:"AllowedHeader"`
	AllowedMethods []string `xml:"AllowedMethod"`
	AllowedOrigins []string `xml:"AllowedOrigin"`
	ExposeHeaders  []string `xml:"ExposeHeader"`
	MaxAgeSeconds  *int32
}

// PreflightInput is the OPTIONS request that a browser sends before the actual request.
type PreflightInput struct {
	Bucket         string   `loc:"uri,Bucket"`
	Key            string   `loc:"uri,Key"`
	Origin         string   `loc:"header,Origin"`
	RequestMethod  string   `loc:"header,Access-Control-Request-Method"`
	RequestHeaders []string `loc:"header,Access-Control-Request-Headers"`
}
