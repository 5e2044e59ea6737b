package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"watertight/internal/server"
	"watertight/test/harness"
)

// kmsCast is a server whose clock a test may move, and KMS as the root user.
type kmsCast struct {
	cast
	t     *testing.T
	clock *clock
	kms   *kms.Client
}

func newKMSCast(t *testing.T, change ...func(*server.Config)) kmsCast {
	moved := &clock{}
	change = append(change, func(o *server.Config) { o.Now = moved.now })
	c := kmsCast{cast: newCast(t, change...), t: t, clock: moved}
	c.kms = c.kmsOf(rootOf(c.Server), "")
	return c
}

// again starts a new server on the same data, after the test has stopped the old one.
func (c kmsCast) again(t *testing.T) kmsCast {
	t.Helper()
	data := c.Data
	c.Server = harness.Start(t, func(o *server.Config) {
		o.Now, o.Data, o.RootKey = c.clock.now, data, "file:"+filepath.Join(filepath.Dir(data), "root.key")
	})
	c.kms = c.kmsOf(rootOf(c.Server), "")
	return c
}

// signer signs at the server's time, wherever the test has moved it.
type signer struct {
	clock *clock
	*v4.Signer
}

func (s signer) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, hash, service, region string,
	_ time.Time, change ...func(*v4.SignerOptions)) error {
	return s.Signer.SignHTTP(ctx, c, r, hash, service, region, s.clock.now(), change...)
}

func (c kmsCast) kmsOf(key harness.Credentials, token string) *kms.Client {
	return kms.New(kms.Options{
		Region: c.Region, BaseEndpoint: &c.Endpoint, HTTPClient: harness.SDK(c.HTTP), RetryMaxAttempts: 1,
		Credentials:  credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, token),
		HTTPSignerV4: signer{c.clock, v4.NewSigner()},
	})
}

// as returns a KMS client of somebody.
func (c kmsCast) as(who someone) *kms.Client { return c.kmsOf(who.key, who.token) }

// newKey makes a key and returns its ARN.
func (c kmsCast) newKey(change ...func(*kms.CreateKeyInput)) string {
	c.Helper()
	in := &kms.CreateKeyInput{}
	for _, f := range change {
		f(in)
	}
	out, err := c.kms.CreateKey(c.Context(), in)
	c.ok(err)
	return *out.KeyMetadata.Arn
}

// refusal checks the code and the message of a refusal.
func refusal(t testing.TB, err error, code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() != message {
		t.Errorf("%v\nwant %s: %s", err, code, message)
	}
}

func idOf(keyARN string) string { return keyARN[strings.LastIndexByte(keyARN, '/')+1:] }

// TestKMSKeys makes keys, describes them under each of their names, and lists them.
func TestKMSKeys(t *testing.T) {
	c := newKMSCast(t)
	ctx := t.Context()
	out, err := c.kms.CreateKey(ctx, &kms.CreateKeyInput{
		Description: aws.String("orders"), Tags: []types.Tag{{TagKey: aws.String("team"), TagValue: aws.String("")}},
	})
	c.ok(err)
	m := out.KeyMetadata
	if *m.Arn != "arn:aws:kms:"+c.Region+":"+c.account+":key/"+*m.KeyId || *m.AWSAccountId != c.account || !m.Enabled ||
		*m.Description != "orders" || m.KeyUsage != types.KeyUsageTypeEncryptDecrypt ||
		m.KeyState != types.KeyStateEnabled || m.Origin != types.OriginTypeAwsKms ||
		m.KeyManager != types.KeyManagerTypeCustomer || m.KeySpec != types.KeySpecSymmetricDefault ||
		*m.MultiRegion ||
		len(m.EncryptionAlgorithms) != 1 || len(*m.CurrentKeyMaterialId) != 64 ||
		time.Since(*m.CreationDate) > time.Hour {
		t.Errorf("%+v", m)
	}
	_, err = c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/orders"), TargetKeyId: m.KeyId})
	c.ok(err)
	for _, name := range []string{
		*m.KeyId, *m.Arn, "alias/orders", strings.Replace(*m.Arn, "key/"+*m.KeyId, "alias/orders", 1),
	} {
		d, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &name})
		if err != nil || *d.KeyMetadata.Arn != *m.Arn {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = c.kms.UpdateKeyDescription(ctx, &kms.UpdateKeyDescriptionInput{
		KeyId: m.KeyId, Description: aws.String(""),
	})
	c.ok(err)
	if d, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: m.KeyId}); err != nil ||
		d.KeyMetadata.Description == nil || *d.KeyMetadata.Description != "" {
		t.Errorf("%v", err)
	}
	want := []string{*m.Arn}
	for range 4 {
		want = append(want, c.newKey())
	}
	var got []string
	for p := kms.NewListKeysPaginator(c.kms, &kms.ListKeysInput{Limit: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		c.ok(err)
		for _, k := range page.Keys {
			got = append(got, *k.KeyArn)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	_, err = c.kms.ListKeys(ctx, &kms.ListKeysInput{Marker: aws.String("made-up")})
	expect(t, err, "InvalidMarkerException")
}

// TestKMSNames: the errors for names of missing keys.
func TestKMSNames(t *testing.T) {
	c := newKMSCast(t)
	key := c.newKey()
	gone := strings.Replace(key, idOf(key), "00000000-0000-4000-8000-000000000000", 1)
	for name, want := range map[string]struct{ code, message string }{
		idOf(gone):     {"NotFoundException", "Key '" + gone + "' does not exist"},
		gone:           {"NotFoundException", "Key '" + gone + "' does not exist"},
		"not-a-key-id": {"NotFoundException", "Invalid keyId 'not-a-key-id'"},
		"alias/absent": {
			"NotFoundException",
			"Alias arn:aws:kms:" + c.Region + ":" + c.account + ":alias/absent is not found.",
		},
		strings.Replace(key, c.Region, "eu-west-1", 1): {"NotFoundException", "Invalid arn eu-west-1"},
		"arn:aws:kms:x":       {"InvalidArnException", "arn:aws:kms:x is not a valid ARN."},
		"arn:aws:s3:::bucket": {"InvalidArnException", "arn:aws:s3:::bucket is not a valid ARN."},
		strings.Replace(key, ":key/", ":x/", 1): {
			"InvalidArnException", strings.Replace(key, ":key/", ":x/", 1) + " is not a valid ARN.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &name})
			refusal(t, err, want.code, want.message)
		})
	}
	_, err := c.kms.CreateAlias(t.Context(), &kms.CreateAliasInput{
		AliasName: aws.String("alias/one"), TargetKeyId: &key,
	})
	c.ok(err)
	// Operations that manage a key take no alias.
	_, err = c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: aws.String("alias/one")})
	refusal(t, err, "NotFoundException", "Invalid keyId 'alias/one'")
}

// TestKMSUnsupported: keys that are not symmetric, of other regions or in other stores are refused.
func TestKMSUnsupported(t *testing.T) {
	c := newKMSCast(t)
	ctx, key := t.Context(), c.newKey()
	for name, change := range map[string]func(*kms.CreateKeyInput){
		"RSA": func(in *kms.CreateKeyInput) {
			in.KeySpec, in.KeyUsage = types.KeySpecRsa2048, types.KeyUsageTypeEncryptDecrypt
		},
		"HMAC": func(in *kms.CreateKeyInput) {
			in.KeySpec, in.KeyUsage = types.KeySpecHmac256, types.KeyUsageTypeGenerateVerifyMac
		},
		"signing":       func(in *kms.CreateKeyInput) { in.KeyUsage = types.KeyUsageTypeSignVerify },
		"several areas": func(in *kms.CreateKeyInput) { in.MultiRegion = aws.Bool(true) },
		"CloudHSM": func(in *kms.CreateKeyInput) {
			in.Origin, in.CustomKeyStoreId = types.OriginTypeAwsCloudhsm, aws.String("cks-1")
		},
		"a key store": func(in *kms.CreateKeyInput) { in.CustomKeyStoreId = aws.String("cks-1") },
		"an external store": func(in *kms.CreateKeyInput) {
			in.Origin, in.XksKeyId = types.OriginTypeExternalKeyStore, aws.String("x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := &kms.CreateKeyInput{}
			change(in)
			_, err := c.kms.CreateKey(ctx, in)
			expect(t, err, "UnsupportedOperationException")
		})
	}
	_, err := c.kms.Sign(ctx, &kms.SignInput{
		KeyId: &key, Message: []byte("m"), SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256,
	})
	expect(t, err, "UnsupportedOperationException")
	_, err = c.kms.GenerateDataKeyPair(ctx, &kms.GenerateDataKeyPairInput{
		KeyId: &key, KeyPairSpec: types.DataKeyPairSpecRsa2048,
	})
	expect(t, err, "UnsupportedOperationException")
	_, err = c.kms.ReplicateKey(ctx, &kms.ReplicateKeyInput{KeyId: &key, ReplicaRegion: aws.String("eu-west-1")})
	expect(t, err, "UnsupportedOperationException")
	// A request for an answer to an enclave is refused, not answered in plain text.
	_, err = c.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: &key, KeySpec: types.DataKeySpecAes256,
		Recipient: &types.RecipientInfo{
			KeyEncryptionAlgorithm: types.KeyEncryptionMechanismRsaesOaepSha256, AttestationDocument: []byte("x"),
		},
	})
	expect(t, err, "UnsupportedOperationException")
	_, err = c.kms.GenerateRandom(ctx, &kms.GenerateRandomInput{
		NumberOfBytes: aws.Int32(1), CustomKeyStoreId: aws.String("cks-1"),
	})
	expect(t, err, "UnsupportedOperationException")
	_, err = c.kms.Encrypt(ctx, &kms.EncryptInput{
		KeyId: &key, Plaintext: []byte("x"), EncryptionAlgorithm: types.EncryptionAlgorithmSpecRsaesOaepSha256,
	})
	expect(t, err, "InvalidKeyUsageException")
	// The region of the signature is the server's.
	elsewhere := kms.New(kms.Options{
		Region: "eu-west-1", BaseEndpoint: &c.Endpoint, HTTPClient: harness.SDK(c.HTTP), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, ""),
	})
	_, err = elsewhere.ListKeys(ctx, &kms.ListKeysInput{})
	expect(t, err, "InvalidSignatureException")
}

// TestKMSTags changes the tags of a key.
func TestKMSTags(t *testing.T) {
	c := newKMSCast(t)
	ctx := t.Context()
	tags := func(pairs ...string) (all []types.Tag) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, types.Tag{TagKey: &pairs[i], TagValue: &pairs[i+1]})
		}
		return all
	}
	key := c.newKey(func(in *kms.CreateKeyInput) { in.Tags = tags("a", "1", "b", "2") })
	_, err := c.kms.TagResource(ctx, &kms.TagResourceInput{KeyId: &key, Tags: tags("b", "3", "c", "")})
	c.ok(err)
	_, err = c.kms.UntagResource(ctx, &kms.UntagResourceInput{KeyId: &key, TagKeys: []string{"a", "absent"}})
	c.ok(err)
	var got []string
	p := kms.NewListResourceTagsPaginator(c.kms, &kms.ListResourceTagsInput{KeyId: &key, Limit: aws.Int32(1)})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		c.ok(err)
		for _, one := range page.Tags {
			got = append(got, *one.TagKey+"="+*one.TagValue)
		}
	}
	if slices.Sort(got); !slices.Equal(got, []string{"b=3", "c="}) {
		t.Errorf("%v", got)
	}
	var many []types.Tag
	for i := range 51 {
		many = append(many, tags(fmt.Sprint(i), "v")...)
	}
	for name, one := range map[string][]types.Tag{
		"a key twice": tags("k", "1", "k", "2"), "AWS's own": tags("aws:k", "v"),
		"AWS's own in capitals": tags("AWS:k", "v"),
		"too many":              many,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.kms.TagResource(ctx, &kms.TagResourceInput{KeyId: &key, Tags: one})
			expect(t, err, "TagException")
			_, err = c.kms.CreateKey(ctx, &kms.CreateKeyInput{Tags: one})
			expect(t, err, "TagException")
		})
	}
	// The key has two already.
	_, err = c.kms.TagResource(ctx, &kms.TagResourceInput{KeyId: &key, Tags: many[:49]})
	expect(t, err, "TagException")
	_, err = c.kms.TagResource(ctx, &kms.TagResourceInput{KeyId: &key, Tags: many[:48]})
	expect(t, err, "")
}

// TestKMSAliases: aliases name keys, and the names of aliases are checked.
func TestKMSAliases(t *testing.T) {
	c := newKMSCast(t)
	ctx := t.Context()
	one, other := c.newKey(), c.newKey()
	alias := func(name string) *string { return aws.String("alias/" + name) }
	_, err := c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: alias("a/b"), TargetKeyId: &one})
	c.ok(err)
	_, err = c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: alias("a/b"), TargetKeyId: &other})
	expect(t, err, "AlreadyExistsException")
	_, err = c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: alias("second"), TargetKeyId: &one})
	c.ok(err)
	list := func(key *string) (all []string) {
		t.Helper()
		p := kms.NewListAliasesPaginator(c.kms, &kms.ListAliasesInput{KeyId: key, Limit: aws.Int32(1)})
		for p.HasMorePages() {
			page, err := p.NextPage(ctx)
			c.ok(err)
			for _, a := range page.Aliases {
				if strings.HasPrefix(*a.AliasName, "alias/aws/") {
					continue
				}
				if *a.AliasArn != "arn:aws:kms:"+c.Region+":"+c.account+":"+*a.AliasName {
					t.Errorf("%s is %s", *a.AliasName, *a.AliasArn)
				}
				all = append(all, *a.AliasName+" "+*a.TargetKeyId)
			}
		}
		slices.Sort(all)
		return all
	}
	same := func(got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	same(list(nil), "alias/a/b "+idOf(one), "alias/second "+idOf(one))
	_, err = c.kms.UpdateAlias(ctx, &kms.UpdateAliasInput{AliasName: alias("a/b"), TargetKeyId: &other})
	c.ok(err)
	same(list(&one), "alias/second "+idOf(one))
	same(list(&other), "alias/a/b "+idOf(other))
	_, err = c.kms.DeleteAlias(ctx, &kms.DeleteAliasInput{AliasName: alias("second")})
	c.ok(err)
	same(list(nil), "alias/a/b "+idOf(other))
	_, err = c.kms.DeleteAlias(ctx, &kms.DeleteAliasInput{AliasName: alias("second")})
	expect(t, err, "NotFoundException")
	_, err = c.kms.UpdateAlias(ctx, &kms.UpdateAliasInput{AliasName: alias("second"), TargetKeyId: &one})
	expect(t, err, "NotFoundException")
	for name, code := range map[string]string{
		"no-prefix": "ValidationException", "alias/": "InvalidAliasNameException",
		"alias/aws/mine": "InvalidAliasNameException",
		"alias/a:b":      "InvalidAliasNameException", "alias/" + strings.Repeat("a", 251): "ValidationException",
		"alias/a b": "ValidationException",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &name, TargetKeyId: &one})
			expect(t, err, code)
		})
	}
	_, err = c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: alias("of-an-alias"), TargetKeyId: alias("a/b")})
	expect(t, err, "NotFoundException")
	_, err = c.kms.CreateAlias(ctx, &kms.CreateAliasInput{
		AliasName: alias("absent"), TargetKeyId: aws.String("00000000-0000-4000-8000-000000000000"),
	})
	expect(t, err, "NotFoundException")
}

// TestKMSEncryption: a ciphertext is decrypted under the same context, and under no other.
func TestKMSEncryption(t *testing.T) {
	c := newKMSCast(t)
	ctx, key, other := t.Context(), c.newKey(), c.newKey()
	bound := map[string]string{"purpose": "test", "é": "ü"}
	sealed, err := c.kms.Encrypt(ctx, &kms.EncryptInput{
		KeyId: &key, Plaintext: []byte("message"), EncryptionContext: bound,
	})
	c.ok(err)
	if *sealed.KeyId != key || sealed.EncryptionAlgorithm != types.EncryptionAlgorithmSpecSymmetricDefault ||
		bytes.Contains(sealed.CiphertextBlob, []byte("message")) {
		t.Errorf("%+v", sealed)
	}
	open := func(blob []byte, with map[string]string, key *string) (*kms.DecryptOutput, error) {
		return c.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: blob, EncryptionContext: with, KeyId: key})
	}
	for _, name := range []*string{nil, &key, aws.String(idOf(key))} {
		out, err := open(sealed.CiphertextBlob, bound, name)
		if err != nil || string(out.Plaintext) != "message" || *out.KeyId != key || len(*out.KeyMaterialId) != 64 ||
			out.EncryptionAlgorithm != types.EncryptionAlgorithmSpecSymmetricDefault {
			t.Errorf("%v: %v, %v", name, out, err)
		}
	}
	_, err = open(sealed.CiphertextBlob, bound, &other) // E26
	refusal(t, err, "IncorrectKeyException",
		"The key ID in the request does not identify a CMK that can perform this operation.")
	for name, with := range map[string]map[string]string{ // E25
		"no context": nil, "swapped": {"purpose": "ü", "é": "test"}, "another case": {"Purpose": "test", "é": "ü"},
		"one less": {"purpose": "test"}, "one more": {"purpose": "test", "é": "ü", "x": ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(sealed.CiphertextBlob, with, nil)
			expect(t, err, "InvalidCiphertextException")
		})
	}
	for i := range sealed.CiphertextBlob {
		flipped := bytes.Clone(sealed.CiphertextBlob)
		flipped[i] ^= 1
		_, err := open(flipped, bound, nil)
		if i >= 2 && i < 18 { // these bytes name the key; the changed id names a missing one
			expect(t, err, "AccessDeniedException")
			continue
		}
		expect(t, err, "InvalidCiphertextException")
	}
	for _, n := range []int{1, 10, len(sealed.CiphertextBlob) - 1} {
		_, err := open(sealed.CiphertextBlob[:n], bound, nil)
		expect(t, err, "InvalidCiphertextException")
	}
	again, err := c.kms.Encrypt(ctx, &kms.EncryptInput{
		KeyId: &key, Plaintext: []byte("message"), EncryptionContext: bound,
	})
	if c.ok(err); bytes.Equal(again.CiphertextBlob, sealed.CiphertextBlob) {
		t.Error("two encryptions have the same ciphertext")
	}
	most, err := c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: make([]byte, 4096)})
	c.ok(err)
	if out, err := open(most.CiphertextBlob, nil, nil); err != nil || len(out.Plaintext) != 4096 {
		t.Errorf("%v", err)
	}
	_, err = c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: make([]byte, 4097)})
	refusal(t, err, "ValidationException", "1 validation error detected: Value at 'plaintext' failed to satisfy "+
		"constraint: Member must have length less than or equal to 4096")

	moved, err := c.kms.ReEncrypt(ctx, &kms.ReEncryptInput{
		CiphertextBlob: sealed.CiphertextBlob, SourceEncryptionContext: bound, DestinationKeyId: &other,
		DestinationEncryptionContext: map[string]string{"now": "other"},
	})
	c.ok(err)
	if *moved.SourceKeyId != key || *moved.KeyId != other ||
		*moved.SourceKeyMaterialId == *moved.DestinationKeyMaterialId {
		t.Errorf("%+v", moved)
	}
	if out, err := open(moved.CiphertextBlob, map[string]string{"now": "other"}, &other); err != nil ||
		string(out.Plaintext) != "message" {
		t.Errorf("%v", err)
	}
	_, err = c.kms.ReEncrypt(ctx, &kms.ReEncryptInput{
		CiphertextBlob: sealed.CiphertextBlob, SourceEncryptionContext: bound, SourceKeyId: &other,
		DestinationKeyId: &other,
	})
	expect(t, err, "IncorrectKeyException")
	_, err = c.kms.ReEncrypt(ctx, &kms.ReEncryptInput{CiphertextBlob: sealed.CiphertextBlob, DestinationKeyId: &other})
	expect(t, err, "InvalidCiphertextException")
}

// TestKMSDataKeys: data keys have the requested size, and their ciphertext decrypts to them.
func TestKMSDataKeys(t *testing.T) {
	c := newKMSCast(t)
	ctx, key := t.Context(), c.newKey()
	with := map[string]string{"a": "b"}
	for name, in := range map[string]kms.GenerateDataKeyInput{
		"32": {KeySpec: types.DataKeySpecAes256}, "16": {KeySpec: types.DataKeySpecAes128},
		"1": {NumberOfBytes: aws.Int32(1)}, "1024": {NumberOfBytes: aws.Int32(1024)},
	} {
		t.Run(name, func(t *testing.T) {
			in.KeyId, in.EncryptionContext = &key, with
			out, err := c.kms.GenerateDataKey(ctx, &in)
			c.ok(err)
			if fmt.Sprint(len(out.Plaintext)) != name || *out.KeyId != key || len(*out.KeyMaterialId) != 64 {
				t.Errorf("%+v", out)
			}
			opened, err := c.kms.Decrypt(ctx, &kms.DecryptInput{
				CiphertextBlob: out.CiphertextBlob, EncryptionContext: with,
			})
			if err != nil || !bytes.Equal(opened.Plaintext, out.Plaintext) {
				t.Errorf("%v", err)
			}
			bare, err := c.kms.GenerateDataKeyWithoutPlaintext(ctx, &kms.GenerateDataKeyWithoutPlaintextInput{
				KeyId: &key, KeySpec: in.KeySpec, NumberOfBytes: in.NumberOfBytes,
			})
			c.ok(err)
			opened, err = c.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: bare.CiphertextBlob})
			if err != nil || fmt.Sprint(len(opened.Plaintext)) != name {
				t.Errorf("%v", err)
			}
		})
	}
	_, err := c.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &key})
	expect(t, err, "ValidationException")
	_, err = c.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: &key, KeySpec: types.DataKeySpecAes256, NumberOfBytes: aws.Int32(32),
	})
	expect(t, err, "ValidationException")
	random, err := c.kms.GenerateRandom(ctx, &kms.GenerateRandomInput{NumberOfBytes: aws.Int32(1024)})
	if err != nil || len(random.Plaintext) != 1024 || bytes.Equal(random.Plaintext[:32], random.Plaintext[32:64]) {
		t.Errorf("%v", err)
	}
	_, err = c.kms.GenerateRandom(ctx, &kms.GenerateRandomInput{NumberOfBytes: aws.Int32(1025)})
	expect(t, err, "ValidationException")
	_, err = c.kms.GenerateRandom(ctx, &kms.GenerateRandomInput{})
	expect(t, err, "ValidationException")
}
