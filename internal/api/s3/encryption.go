package s3

import (
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/bucket"
	"watertight/internal/core/object"
)

// customerKey is what the client sent of a key of its own; core judges it.
// beside is the x-amz-server-side-encryption of the same write.
func customerKey(k *shape.CustomerKey, beside string) object.CustomerKey {
	return object.CustomerKey{Algorithm: k.SSECustomerAlgorithm, Key: k.SSECustomerKey, MD5: k.SSECustomerKeyMD5, Beside: beside}
}

func sourceCustomerKey(k *shape.SourceCustomerKey) object.CustomerKey {
	return object.CustomerKey{Algorithm: k.SourceSSECustomerAlgorithm, Key: k.SourceSSECustomerKey, MD5: k.SourceSSECustomerKeyMD5}
}

// encrypted is how an answer tells of the encryption. Of a customer's key it
// repeats the MD5 that core found right.
func encrypted(e bucket.Encryption, customer bool, k *shape.CustomerKey) shape.Encrypted {
	if customer {
		return shape.Encrypted{SSECustomerAlgorithm: k.SSECustomerAlgorithm, SSECustomerKeyMD5: k.SSECustomerKeyMD5}
	}
	return shape.Encrypted{ServerSideEncryption: string(e)}
}
