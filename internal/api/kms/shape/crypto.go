package shape

// RecipientInfo asks for a response that only an enclave can read.
type RecipientInfo struct {
	KeyEncryptionAlgorithm *string `valid:"RSAES_OAEP_SHA_256"`
	AttestationDocument    []byte  `valid:"1..262144"`
}

// EncryptInput is the input of Encrypt.
type EncryptInput struct {
	KeyId               *string `valid:"required 1..2048"`
	Plaintext           []byte  `valid:"required 1..4096"`
	EncryptionContext   map[string]string
	GrantTokens         []string `valid:"0..10" each:"1..8192" secret:"true"`
	EncryptionAlgorithm *string  `valid:"encryptionAlgorithm"`
	DryRun              *bool
}

// EncryptOutput is the answer of Encrypt.
type EncryptOutput struct {
	CiphertextBlob             []byte
	KeyId, EncryptionAlgorithm string
}

// DecryptInput is the input of Decrypt.
type DecryptInput struct {
	CiphertextBlob      []byte `valid:"1..6144"`
	EncryptionContext   map[string]string
	GrantTokens         []string `valid:"0..10" each:"1..8192" secret:"true"`
	KeyId               *string  `valid:"1..2048"`
	EncryptionAlgorithm *string  `valid:"encryptionAlgorithm"`
	Recipient           *RecipientInfo
	DryRun              *bool
	DryRunModifiers     []string `each:"IGNORE_CIPHERTEXT"`
}

// DecryptOutput is the answer of Decrypt.
type DecryptOutput struct {
	KeyId                              string
	Plaintext                          []byte
	EncryptionAlgorithm, KeyMaterialId string
}

// ReEncryptInput is the input of ReEncrypt.
type ReEncryptInput struct {
	CiphertextBlob                 []byte `valid:"1..6144"`
	SourceEncryptionContext        map[string]string
	SourceKeyId                    *string `valid:"1..2048"`
	DestinationKeyId               *string `valid:"required 1..2048"`
	DestinationEncryptionContext   map[string]string
	SourceEncryptionAlgorithm      *string  `valid:"encryptionAlgorithm"`
	DestinationEncryptionAlgorithm *string  `valid:"encryptionAlgorithm"`
	GrantTokens                    []string `valid:"0..10" each:"1..8192" secret:"true"`
	DryRun                         *bool
	DryRunModifiers                []string `each:"IGNORE_CIPHERTEXT"`
}

// ReEncryptOutput is the answer of ReEncrypt.
type ReEncryptOutput struct {
	CiphertextBlob                                            []byte
	SourceKeyId, KeyId                                        string
	SourceEncryptionAlgorithm, DestinationEncryptionAlgorithm string
	SourceKeyMaterialId, DestinationKeyMaterialId             string
}

// GenerateDataKeyInput is the input of GenerateDataKey and of
// GenerateDataKeyWithoutPlaintext, which has no recipient.
type GenerateDataKeyInput struct {
	KeyId             *string `valid:"required 1..2048"`
	EncryptionContext map[string]string
	NumberOfBytes     *int     `valid:"1..1024"`
	KeySpec           *string  `valid:"AES_256|AES_128"`
	GrantTokens       []string `valid:"0..10" each:"1..8192" secret:"true"`
	Recipient         *RecipientInfo
	DryRun            *bool
}

// GenerateDataKeyOutput is the answer of GenerateDataKey and of
// GenerateDataKeyWithoutPlaintext, which has no plaintext.
type GenerateDataKeyOutput struct {
	CiphertextBlob       []byte
	Plaintext            []byte
	KeyId, KeyMaterialId string
}

// GenerateRandomInput is the input of GenerateRandom.
type GenerateRandomInput struct {
	NumberOfBytes    *int    `valid:"1..1024"`
	CustomKeyStoreId *string `valid:"1..64"`
	Recipient        *RecipientInfo
}

// GenerateRandomOutput is the answer of GenerateRandom.
type GenerateRandomOutput struct{ Plaintext []byte }
