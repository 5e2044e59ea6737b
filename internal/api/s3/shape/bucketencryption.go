package shape

// PutBucketEncryptionInput is the input of PutBucketEncryption.
type PutBucketEncryptionInput struct {
	Bucket              string                             `loc:"uri,Bucket"`
	Configuration       *ServerSideEncryptionConfiguration `loc:"body,ServerSideEncryptionConfiguration" strict:"true"`
	ExpectedBucketOwner string                             `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// ServerSideEncryptionConfiguration is the document of PutBucketEncryption and
// the output of GetBucketEncryption.
type ServerSideEncryptionConfiguration struct {
	_     struct{}         `root:"ServerSideEncryptionConfiguration"`
	Rules []EncryptionRule `xml:"Rule"`
}

// EncryptionRule is a rule of default encryption.
type EncryptionRule struct {
	Default          *EncryptionByDefault    `xml:"ApplyServerSideEncryptionByDefault"`
	BucketKeyEnabled bool                    `emit:"always"`
	Blocked          *BlockedEncryptionTypes `xml:"BlockedEncryptionTypes"`
}

// EncryptionByDefault is how objects are encrypted by default.
type EncryptionByDefault struct {
	SSEAlgorithm   string
	KMSMasterKeyID string
}

// BlockedEncryptionTypes are the kinds of encryption that a bucket refuses for writes.
type BlockedEncryptionTypes struct {
	Types []string `xml:"EncryptionType"`
}
