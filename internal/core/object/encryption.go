package object

import (
	"encoding/base64"
	"strings"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/keys"
	"watertight/internal/fault"
	"watertight/internal/strictjson"
)

// Encryption holds the headers of a write that choose its encryption (S3 API reference,
// PutObject). The zero Encryption asks for the bucket's default. It is never printed.
type Encryption struct {
	Algorithm string      // x-amz-server-side-encryption
	KeyID     string      // ...-aws-kms-key-id: an id, ARN, alias or alias ARN
	Context   string      // ...-context: base64 of a JSON object of strings
	BucketKey *bool       // ...-bucket-key-enabled; nil if the request does not have it
	Customer  CustomerKey // SSE-C
}

// Encrypted is how a version, an upload or a part is encrypted.
type Encrypted struct {
	Encryption  bucket.Encryption // empty if CustomerKey is set
	CustomerKey bool              // reading it needs the key that the client keeps (SSE-C)
	Key         string            // ARN of the KMS key, for SSE-KMS and DSSE-KMS
	BucketKey   bool              // the encryption context is the bucket's ARN
}

// String keeps the customer's key out of logs.
func (Encryption) String() string { return "object.Encryption(hidden)" }

// GoString keeps the customer's key out of logs.
func (e Encryption) GoString() string { return e.String() }

// MarshalText keeps the customer's key out of JSON.
func (e Encryption) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// given reports whether the request chooses an encryption. A bucket key alone only changes
// how the default is used.
func (e *Encryption) given() bool {
	return e.Algorithm+e.KeyID+e.Context != "" || e.BucketKey != nil || e.Customer.Given()
}

// asked is the checked form of Encryption.
type asked struct {
	customer  keys.Choice       // SSE-C; the zero choice means no customer's key
	algorithm bucket.Encryption // "" is the bucket's default
	key       string            // KMS key as the request names it; "" for none
	pairs     map[string]string // the caller's own pairs of the encryption context
	bucketKey *bool
}

// The headers of SSE-KMS, as error documents name them.
const (
	encryptionHeader = "x-amz-server-side-encryption"
	keyHeader        = encryptionHeader + "-aws-kms-key-id"
	contextHeader    = encryptionHeader + "-context"
	bucketKeyHeader  = encryptionHeader + "-bucket-key-enabled"
)

// check checks the headers and returns what they ask for. Errors: InvalidArgument,
// InvalidRequest, InvalidEncryptionAlgorithmError.
func (e *Encryption) check(g authz.Grant) (a asked, err error) {
	if e.Customer.Given() {
		beside := e.Algorithm
		if beside == "" && (e.KeyID != "" || e.Context != "" || e.BucketKey != nil) {
			beside = "null"
		}
		a.customer, err = e.Customer.forWriting(g, beside)
		return a, err
	}
	a.algorithm, a.bucketKey, a.key = bucket.Encryption(e.Algorithm), e.BucketKey, e.KeyID
	switch a.algorithm {
	case "", bucket.AES256:
		if e.KeyID != "" {
			return a, badEncryption(keyHeader, e.KeyID, "Server Side Encryption with AWS KMS managed key requires "+
				"HTTP header x-amz-server-side-encryption : aws:kms")
		}
		if e.Context != "" {
			return a, badEncryption(contextHeader, "", "An encryption context requires HTTP header "+
				"x-amz-server-side-encryption : aws:kms")
		}
		return a, nil
	case bucket.KMS, bucket.DSSE:
	default:
		return a, fault.New(fault.InvalidEncryptionAlgorithmError,
			"The encryption request you specified is not valid. Supported values: AES256, aws:kms, aws:kms:dsse.").
			With("ArgumentName", encryptionHeader).With("ArgumentValue", e.Algorithm)
	}
	if a.algorithm == bucket.DSSE && e.BucketKey != nil && *e.BucketKey {
		return a, badEncryption(bucketKeyHeader, "true", "Bucket keys are not supported with aws:kms:dsse.")
	}
	if len(e.KeyID) > maxKeyName {
		return a, badEncryption(keyHeader, "", "The name of the key is too long.")
	}
	a.pairs, err = encryptionContext(e.Context)
	return a, err
}

// maxKeyName bounds the name of a KMS key (KMS API reference, KeyId), and maxContext the
// bytes of the caller's own pairs of the encryption context: they are stored with each
// version.
const (
	maxKeyName = 2048
	maxContext = 4096
)

func badEncryption(header, value, message string) *fault.Error {
	return fault.New(fault.InvalidArgument, message).With("ArgumentName", header).With("ArgumentValue", value)
}

// encryptionContext decodes the caller's own pairs of the encryption context. It refuses
// S3's own pair, and names that differ only in case: policies could not tell them apart,
// because condition keys ignore case.
func encryptionContext(header string) (map[string]string, error) {
	if header == "" {
		return nil, nil
	}
	invalid := func(why string) error {
		return badEncryption(contextHeader, "", "The header x-amz-server-side-encryption-context must be the base64 "+
			"of a JSON object of strings: "+why)
	}
	document, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return nil, invalid("it is not base64.")
	}
	if len(document) > maxContext {
		return nil, invalid("it is too long.")
	}
	o, err := strictjson.Read(document, 1)
	if err != nil {
		return nil, invalid("it is not such an object.")
	}
	pairs, seen := make(map[string]string, len(o)), make(map[string]bool, len(o))
	for name, v := range o {
		value, err := strictjson.Text(v)
		lower := policy.FoldCase(name)
		switch {
		case err != nil:
			return nil, invalid("a value is not a string.")
		case name == "":
			return nil, invalid("a name is empty.")
		case strings.HasPrefix(lower, "aws:"):
			return nil, invalid("names that begin with aws: are the service's.")
		case seen[lower]:
			return nil, invalid("two names differ only in case.")
		}
		pairs[name], seen[lower] = value, true
	}
	return pairs, nil
}
