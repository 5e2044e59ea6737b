package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/bucket"
	"watertight/internal/core/object"
)

func mayPutBucketEncryption(in *shape.PutBucketEncryptionInput) authz.Need {
	return authz.Need{Action: "s3:PutEncryptionConfiguration", Resource: arn.Bucket(in.Bucket)}
}

func (a *API) putBucketEncryption(
	ctx context.Context, g authz.Grant, in *shape.PutBucketEncryptionInput,
) (*shape.Empty, error) {
	if in.Configuration == nil {
		return nil, missingBody()
	}
	if len(in.Configuration.Rules) != 1 {
		return nil, malformedXML()
	}
	rule := &in.Configuration.Rules[0]
	e := bucket.DefaultEncryption{BucketKey: rule.BucketKeyEnabled}
	if d := rule.Default; d != nil {
		switch e.Algorithm = bucket.Encryption(d.SSEAlgorithm); e.Algorithm {
		case bucket.AES256, bucket.KMS, bucket.DSSE:
		case "aws:fsx":
			return nil, notImplemented("SSEAlgorithm")
		default:
			return nil, malformedXML()
		}
		e.KeyID = d.KMSMasterKeyID
	}
	if rule.Blocked != nil {
		if len(rule.Blocked.Types) != 1 {
			return nil, malformedXML()
		}
		switch rule.Blocked.Types[0] {
		case "SSE-C":
			e.Customer = bucket.CustomerKeysBlocked
		case "NONE":
			e.Customer = bucket.CustomerKeysAllowed
		default:
			return nil, malformedXML()
		}
	}
	return nil, a.Buckets.PutEncryption(ctx, g, in.Bucket, e)
}

func (a *API) getBucketEncryption(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.ServerSideEncryptionConfiguration, error) {
	e, err := a.Buckets.GetEncryption(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	rule := shape.EncryptionRule{
		Default:          &shape.EncryptionByDefault{SSEAlgorithm: string(e.Algorithm), KMSMasterKeyID: e.KeyID},
		BucketKeyEnabled: e.BucketKey,
	}
	switch e.Customer {
	case bucket.CustomerKeysBlocked:
		rule.Blocked = &shape.BlockedEncryptionTypes{Types: []string{"SSE-C"}}
	case bucket.CustomerKeysAllowed:
		rule.Blocked = &shape.BlockedEncryptionTypes{Types: []string{"NONE"}}
	}
	return &shape.ServerSideEncryptionConfiguration{Rules: []shape.EncryptionRule{rule}}, nil
}

// deleteBucketEncryption restores SSE-S3 as the default. If the bucket blocks customers'
// keys, it still does.
func (a *API) deleteBucketEncryption(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
	return nil, a.Buckets.PutEncryption(ctx, g, in.Bucket, bucket.DefaultEncryption{})
}

// encryption returns the encryption headers of a write; core checks them.
func encryption(e *shape.EncryptionHeaders, k *shape.CustomerKey) object.Encryption {
	return object.Encryption{
		Algorithm: e.ServerSideEncryption, KeyID: e.SSEKMSKeyId, Context: e.SSEKMSContext,
		BucketKey: e.BucketKeyEnabled, Customer: customerKey(k),
	}
}

// customerKey returns the headers of a customer-provided key; core checks them.
func customerKey(k *shape.CustomerKey) object.CustomerKey {
	return object.CustomerKey{Algorithm: k.SSECustomerAlgorithm, Key: k.SSECustomerKey, MD5: k.SSECustomerKeyMD5}
}

func sourceCustomerKey(k *shape.SourceCustomerKey) object.CustomerKey {
	return object.CustomerKey{
		Algorithm: k.SourceSSECustomerAlgorithm, Key: k.SourceSSECustomerKey, MD5: k.SourceSSECustomerKeyMD5,
	}
}

// encrypted returns the response headers about the encryption. For a customer's key, they
// repeat the MD5 of the request, which core has checked.
func encrypted(e object.Encrypted, k *shape.CustomerKey) shape.Encrypted {
	if e.CustomerKey {
		return shape.Encrypted{SSECustomerAlgorithm: k.SSECustomerAlgorithm, SSECustomerKeyMD5: k.SSECustomerKeyMD5}
	}
	return shape.Encrypted{
		ServerSideEncryption: string(e.Encryption), SSEKMSKeyId: e.Key, BucketKeyEnabled: e.BucketKey,
	}
}

// refuseEncryption refuses encryption headers for an operation that does not accept them.
func refuseEncryption(in *shape.NoEncryption) error {
	name := ""
	switch {
	case in.RefusedEncryption != "":
		name = "x-amz-server-side-encryption"
	case in.RefusedKeyId != "":
		name = "x-amz-server-side-encryption-aws-kms-key-id"
	default:
		return nil
	}
	return invalidArgument(name, name+" header is not supported for this operation.")
}
