package shape

// CustomerKey are the headers of SSE-C.
type CustomerKey struct {
	SSECustomerAlgorithm string `loc:"header,x-amz-server-side-encryption-customer-algorithm"`
	SSECustomerKey       string `loc:"header,x-amz-server-side-encryption-customer-key"`
	SSECustomerKeyMD5    string `loc:"header,x-amz-server-side-encryption-customer-key-MD5"`
}

// SourceCustomerKey are the headers of SSE-C of the source of a copy.
type SourceCustomerKey struct {
	SourceSSECustomerAlgorithm string `loc:"header,x-amz-copy-source-server-side-encryption-customer-algorithm"`
	SourceSSECustomerKey       string `loc:"header,x-amz-copy-source-server-side-encryption-customer-key"`
	SourceSSECustomerKeyMD5    string `loc:"header,x-amz-copy-source-server-side-encryption-customer-key-MD5"`
}

// Encrypted says how what was written or read is encrypted: SSE-S3, or SSE-C
// with the MD5 of the key that was sent.
type Encrypted struct {
	ServerSideEncryption string `loc:"header,x-amz-server-side-encryption"`
	SSECustomerAlgorithm string `loc:"header,x-amz-server-side-encryption-customer-algorithm"`
	SSECustomerKeyMD5    string `loc:"header,x-amz-server-side-encryption-customer-key-MD5"`
}
