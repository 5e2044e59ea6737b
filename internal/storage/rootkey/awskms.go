package rootkey

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"watertight/internal/outbound"
	"watertight/internal/storage/seal"
)

// awsKMS is a key of AWS KMS, or of another server with the same API.
type awsKMS struct {
	name   string
	key    string // ARN
	client *kms.Client
}

// boundPair names the pair of the encryption context.
const boundPair = "watertight:keyring"

// newAWSKMS parses KEYARN or KEYARN@ENDPOINT.
func newAWSKMS(rest string, o Options) (Source, error) {
	key, endpoint, given := strings.Cut(rest, "@")
	parts := strings.SplitN(key, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "kms" || parts[3] == "" ||
		!strings.HasPrefix(parts[5], "key/") {
		return nil, errors.New("the root key source awskms: needs the ARN of a key, such as " +
			"awskms:arn:aws:kms:us-east-1:111122223333:key/UUID, and @https://HOST for another server than AWS's")
	}
	if !given {
		if parts[1] != "aws" {
			return nil, fmt.Errorf("the root key source awskms: the partition %s needs @https://HOST", parts[1])
		}
		endpoint = "https://kms." + parts[3] + ".amazonaws.com"
	}
	endpoint = strings.TrimSuffix(endpoint, "/")
	peer, err := outbound.NewPeer(endpoint)
	if err != nil {
		return nil, fmt.Errorf("the root key source awskms: %w", err)
	}
	return &awsKMS{name: "awskms:" + rest, key: key, client: kms.New(kms.Options{
		Region: parts[3], BaseEndpoint: &endpoint, HTTPClient: peer, RetryMaxAttempts: 2,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return credentials(o.Getenv)
		}),
	})}, nil
}

// credentials returns credentials from the environment only; it never calls a metadata service.
func credentials(getenv func(string) string) (aws.Credentials, error) {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	line := func(name string) string { return strings.TrimRight(getenv(name), "\r\n") }
	c := aws.Credentials{
		AccessKeyID: line("AWS_ACCESS_KEY_ID"), SecretAccessKey: line("AWS_SECRET_ACCESS_KEY"),
		SessionToken: line("AWS_SESSION_TOKEN"), Source: "environment",
	}
	if !c.HasKeys() {
		return aws.Credentials{}, errors.New("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return c, nil
}

// Describe implements Source.
func (k *awsKMS) Describe() string { return k.name }

// Wrap implements Source.
func (k *awsKMS) Wrap(ctx context.Context, key seal.Key, bound []byte) ([]byte, error) {
	out, err := k.client.Encrypt(ctx, &kms.EncryptInput{
		KeyId: &k.key, Plaintext: key[:], EncryptionContext: map[string]string{boundPair: hex.EncodeToString(bound)},
	})
	if err != nil {
		return nil, k.failed("kms:Encrypt", err)
	}
	return out.CiphertextBlob, nil
}

// Unwrap implements Source.
func (k *awsKMS) Unwrap(ctx context.Context, wrapped, bound []byte) (seal.Key, error) {
	if len(wrapped) == 0 {
		return seal.Key{}, fmt.Errorf("%s: %w", k.name, ErrOtherKey)
	}
	out, err := k.client.Decrypt(ctx, &kms.DecryptInput{
		KeyId: &k.key, CiphertextBlob: wrapped,
		EncryptionContext: map[string]string{boundPair: hex.EncodeToString(bound)},
	})
	if err != nil {
		return seal.Key{}, k.failed("kms:Decrypt", err)
	}
	if len(out.Plaintext) != seal.KeySize {
		return seal.Key{}, fmt.Errorf("%s: %w", k.name, ErrOtherKey)
	}
	return seal.Key(out.Plaintext), nil
}

func (k *awsKMS) failed(action string, err error) error {
	if _, ok := errors.AsType[*types.InvalidCiphertextException](err); ok {
		return fmt.Errorf("%s: %w", k.name, ErrOtherKey)
	}
	if _, ok := errors.AsType[*types.IncorrectKeyException](err); ok {
		return fmt.Errorf("%s: %w", k.name, ErrOtherKey)
	}
	return fmt.Errorf("%s does not answer, or refuses %s: %w", k.name, action, err)
}
