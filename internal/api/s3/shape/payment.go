package shape

// PutBucketRequestPaymentInput is the input of PutBucketRequestPayment.
type PutBucketRequestPaymentInput struct {
	Bucket              string                      `loc:"uri,Bucket"`
	Configuration       RequestPaymentConfiguration `loc:"body,RequestPaymentConfiguration"`
	ExpectedBucketOwner string                      `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// RequestPaymentConfiguration is the document of PutBucketRequestPayment and
// the output of GetBucketRequestPayment.
type RequestPaymentConfiguration struct {
	_     struct{} `root:"RequestPaymentConfiguration"`
	Payer string
}
