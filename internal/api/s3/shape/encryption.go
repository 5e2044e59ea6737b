package shape

// EncryptionHeaders choose the encryption of what a request writes.
type EncryptionHeaders struct {
	ServerSideEncryption string `loc:"header,x-amz-server-side-encryption" empty:"InvalidEncryptionAlgorithmError"`
	SSEKMSKeyId          string `loc:"header,x-amz-server-side-encryption-aws-kms-key-id" empty:"InvalidArgument"`
	SSEKMSContext        string `loc:"header,x-amz-server-side-encryption-context" empty:"InvalidArgument"`
	BucketKeyEnabled     *bool  `loc:"header,x-amz-server-side-encryption-bucket-key-enabled" empty:"InvalidArgument"`
}

// CustomerKey are the headers of SSE-C.
type CustomerKey struct {
	SSECustomerAlgorithm string `loc:"header,x-amz-server-side-encryption-customer-algorithm"`
	SSECustomerKey       string `loc:"header,x-amz-server-side-encryption-customer-key"`
	SSECustomerKeyMD5    string `loc:"header,x-amz-server-side-encryption-customer-key-MD5"`
}

// SourceCustomerKey are the SSE-C headers for the source of a copy.
type SourceCustomerKey struct {
	SourceSSECustomerAlgorithm string `loc:"header,x-amz-copy-source-server-side-encryption-customer-algorithm"`
	SourceSSECustomerKey       string `loc:"header,x-amz-copy-source-server-side-encryption-customer-key"`
	SourceSSECustomerKeyMD5    string `loc:"header,x-amz-copy-source-server-side-encryption-customer-key-MD5"`
}

// Encrypted are the response headers that say how an object is encrypted: with the KMS key,
// or with the MD5 of the customer's key that was sent.
type Encrypted struct {
	ServerSideEncryption string `loc:"header,x-amz-server-side-encryption"`
	SSEKMSKeyId          string `loc:"header,x-amz-server-side-encryption-aws-kms-key-id"`
	BucketKeyEnabled     bool   `loc:"header,x-amz-server-side-encryption-bucket-key-enabled"`
	SSECustomerAlgorithm string `loc:"header,x-amz-server-side-encryption-customer-algorithm"`
	SSECustomerKeyMD5    string `loc:"header,x-amz-server-side-encryption-customer-key-MD5"`
}

// UpdateObjectEncryptionInput is the input of UpdateObjectEncryption.
type UpdateObjectEncryptionInput struct {
	Bucket              string            `loc:"uri,Bucket"`
	Key                 string            `loc:"uri,Key"`
	VersionId           *string           `loc:"query,versionId"`
	ObjectEncryption    *ObjectEncryption `loc:"body,ObjectEncryption"`
	ExpectedBucketOwner string            `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// ObjectEncryption is the document of UpdateObjectEncryption.
type ObjectEncryption struct {
	SSEKMS *SSEKMSEncryption `xml:"SSE-KMS"`
}

// SSEKMSEncryption names the KMS key that an object is moved to.
type SSEKMSEncryption struct {
	KMSKeyArn        string
	BucketKeyEnabled bool
}

// NoEncryption are encryption headers that operations on an existing object or upload
// refuse: the encryption was chosen when it was created.
type NoEncryption struct {
	RefusedEncryption string `loc:"header,x-amz-server-side-encryption"`
	RefusedKeyId      string `loc:"header,x-amz-server-side-encryption-aws-kms-key-id"`
}
