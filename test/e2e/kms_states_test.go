package e2e

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
)

// attempts returns the operations whose outcome depends on the key's state. blob was sealed by the key
// while that was possible.
func (c kmsCast) attempts(key string, blob []byte) map[string]func() error {
	ctx, other := c.Context(), c.newKey()
	name := aws.String(fmt.Sprint("alias/", idOf(key)))
	return map[string]func() error{
		"DescribeKey": func() error {
			_, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
			return err
		},
		"GetKeyPolicy": func() error {
			_, err := c.kms.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &key})
			return err
		},
		"ListGrants": func() error {
			_, err := c.kms.ListGrants(ctx, &kms.ListGrantsInput{KeyId: &key})
			return err
		},
		"CreateGrant": func() error {
			_, err := c.kms.CreateGrant(ctx, &kms.CreateGrantInput{
				KeyId: &key, GranteePrincipal: aws.String("arn:aws:iam::" + c.account + ":root"),
				Operations: []types.GrantOperation{types.GrantOperationDecrypt},
			})
			return err
		},
		"ListResourceTags": func() error {
			_, err := c.kms.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: &key})
			return err
		},
		"TagResource": func() error {
			_, err := c.kms.TagResource(ctx, &kms.TagResourceInput{
				KeyId: &key, Tags: []types.Tag{{TagKey: aws.String("k"), TagValue: aws.String("v")}},
			})
			return err
		},
		"UpdateKeyDescription": func() error {
			_, err := c.kms.UpdateKeyDescription(ctx, &kms.UpdateKeyDescriptionInput{
				KeyId: &key, Description: aws.String("d"),
			})
			return err
		},
		"CreateAlias": func() error {
			_, err := c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: name, TargetKeyId: &key})
			if err == nil {
				_, err = c.kms.DeleteAlias(ctx, &kms.DeleteAliasInput{AliasName: name})
			}
			return err
		},
		"Encrypt": func() error {
			_, err := c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
			return err
		},
		"Decrypt": func() error {
			_, err := c.kms.Decrypt(ctx, &kms.DecryptInput{KeyId: &key, CiphertextBlob: blob})
			return err
		},
		"ReEncrypt from": func() error {
			_, err := c.kms.ReEncrypt(ctx, &kms.ReEncryptInput{
				CiphertextBlob: blob, SourceKeyId: &key, DestinationKeyId: &other,
			})
			return err
		},
		"GenerateDataKey": func() error {
			_, err := c.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
				KeyId: &key, KeySpec: types.DataKeySpecAes256,
			})
			return err
		},
		"GetKeyRotationStatus": func() error {
			_, err := c.kms.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: &key})
			return err
		},
		"EnableKeyRotation": func() error {
			_, err := c.kms.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: &key})
			return err
		},
		"DisableKeyRotation": func() error {
			_, err := c.kms.DisableKeyRotation(ctx, &kms.DisableKeyRotationInput{KeyId: &key})
			return err
		},
		"RotateKeyOnDemand": func() error {
			_, err := c.kms.RotateKeyOnDemand(ctx, &kms.RotateKeyOnDemandInput{KeyId: &key})
			return err
		},
	}
}

// outcome returns the result of an attempt: "" or the code, with the message after the ARN.
func outcome(err error, key string) string {
	var e smithy.APIError
	if !errors.As(err, &e) {
		return fmt.Sprintf("%v", err)
	}
	return e.ErrorCode() + strings.ReplaceAll(e.ErrorMessage(), key, "")
}

// TestKMSStates: the operations that each state refuses, and the messages.
func TestKMSStates(t *testing.T) {
	c := newKMSCast(t)
	ctx := t.Context()
	disable := func(key string) {
		_, err := c.kms.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &key})
		c.ok(err)
	}
	schedule := func(key string) {
		_, err := c.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &key})
		c.ok(err)
	}
	const none = "<nil>"
	uses := []string{"CreateGrant", "Encrypt", "Decrypt", "ReEncrypt from", "GenerateDataKey"}
	rotations := []string{"EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"}
	changes := []string{"TagResource", "UpdateKeyDescription", "CreateAlias"}
	for name, state := range map[string]struct {
		reach   func(key string)
		origin  types.OriginType
		refuses map[string][]string
	}{
		"Enabled": {reach: func(string) {}},
		"Disabled": {
			reach: disable, refuses: map[string][]string{
				"DisabledException is disabled.": slices.Concat(uses, rotations),
			},
		},
		"PendingDeletion": {reach: schedule, refuses: map[string][]string{
			"KMSInvalidStateException is pending deletion.": slices.Concat(uses, rotations, changes),
		}},
		"PendingImport": {
			reach: func(string) {}, origin: types.OriginTypeExternal, refuses: map[string][]string{
				"KMSInvalidStateException is pending import.":                                             uses,
				"UnsupportedOperationException origin is EXTERNAL which is not valid for this operation.": rotations,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			key := c.newKey(func(in *kms.CreateKeyInput) { in.Origin = state.origin })
			sealer := key
			if state.origin != "" {
				sealer = c.newKey() // the key itself cannot seal yet
			}
			out, err := c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &sealer, Plaintext: []byte("x")})
			c.ok(err)
			blob := out.CiphertextBlob
			state.reach(key)
			d, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
			if c.ok(err); string(d.KeyMetadata.KeyState) != name || d.KeyMetadata.Enabled != (name == "Enabled") {
				t.Errorf("the key is %s", d.KeyMetadata.KeyState)
			}
			for operation, try := range c.attempts(key, blob) {
				want := none
				for refusal, operations := range state.refuses {
					if slices.Contains(operations, operation) {
						want = refusal
					}
				}
				if got := outcome(try(), key); got != want {
					t.Errorf("%s: %s, want %s", operation, got, want)
				}
			}
		})
	}
}

// TestKMSDeletion: a deletion can be cancelled within its window; at the window's end the key is gone.
func TestKMSDeletion(t *testing.T) {
	c := newKMSCast(t)
	ctx, key := t.Context(), c.newKey()
	sealed, err := c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
	c.ok(err)
	_, err = c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/doomed"), TargetKeyId: &key})
	c.ok(err)
	for _, days := range []int32{0, 1, 6, 31, 365, 366} { // E30
		_, err = c.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &key, PendingWindowInDays: &days})
		expect(t, err, "ValidationException")
	}
	schedule := func(days *int32) {
		t.Helper()
		out, err := c.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{
			KeyId: &key, PendingWindowInDays: days,
		})
		c.ok(err)
		want := int32(30)
		if days != nil {
			want = *days
		}
		ends := c.clock.now().AddDate(0, 0, int(want))
		if out.KeyState != types.KeyStatePendingDeletion || *out.PendingWindowInDays != want || *out.KeyId != key ||
			out.DeletionDate.Sub(ends).Abs() > time.Hour {
			t.Errorf("%+v", out)
		}
	}
	schedule(nil)
	_, err = c.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &key})
	refusal(t, err, "KMSInvalidStateException", key+" is pending deletion.")
	_, err = c.kms.EnableKey(ctx, &kms.EnableKeyInput{KeyId: &key})
	refusal(t, err, "KMSInvalidStateException", key+" is pending deletion.")
	cancelled, err := c.kms.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: &key})
	if c.ok(err); *cancelled.KeyId != key {
		t.Errorf("%+v", cancelled)
	}
	_, err = c.kms.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: &key})
	refusal(t, err, "KMSInvalidStateException", key+" is not pending deletion.")
	_, err = c.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob}) // E15
	refusal(t, err, "DisabledException", key+" is disabled.")
	_, err = c.kms.EnableKey(ctx, &kms.EnableKeyInput{KeyId: &key})
	c.ok(err)
	_, err = c.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
	c.ok(err)

	schedule(aws.Int32(7))
	c.clock.ahead.Add(int64(7*24*time.Hour - time.Minute))
	_, err = c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
	c.ok(err)
	c.clock.ahead.Add(int64(2 * time.Minute))
	_, err = c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
	refusal(t, err, "NotFoundException", "Key '"+key+"' does not exist")
	_, err = c.kms.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: &key})
	expect(t, err, "NotFoundException")
	_, err = c.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
	expect(t, err, "AccessDeniedException")
	_, err = c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("alias/doomed")})
	expect(t, err, "NotFoundException")
	keys, err := c.kms.ListKeys(ctx, &kms.ListKeysInput{})
	if c.ok(err); len(keys.Keys) != 0 {
		t.Errorf("%+v", keys.Keys)
	}
}

// TestKMSRotation: old ciphertext stays readable, and new ciphertext is under the new material.
func TestKMSRotation(t *testing.T) {
	c := newKMSCast(t)
	ctx, key := t.Context(), c.newKey()
	var blobs [][]byte
	seal := func() string {
		t.Helper()
		out, err := c.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: types.DataKeySpecAes256})
		c.ok(err)
		blobs = append(blobs, out.CiphertextBlob)
		return *out.KeyMaterialId
	}
	status := func() *kms.GetKeyRotationStatusOutput {
		t.Helper()
		out, err := c.kms.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: &key})
		c.ok(err)
		return out
	}
	if out := status(); out.KeyRotationEnabled || out.NextRotationDate != nil {
		t.Errorf("%+v", out)
	}
	first := seal()
	_, err := c.kms.RotateKeyOnDemand(ctx, &kms.RotateKeyOnDemandInput{KeyId: &key})
	c.ok(err)
	second := seal()
	for _, days := range []int32{89, 2561} {
		_, err = c.kms.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: &key, RotationPeriodInDays: &days})
		expect(t, err, "ValidationException")
	}
	_, err = c.kms.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: &key})
	c.ok(err)
	if out := status(); !out.KeyRotationEnabled || *out.RotationPeriodInDays != 365 {
		t.Errorf("%+v", out)
	}
	_, err = c.kms.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: &key, RotationPeriodInDays: aws.Int32(90)})
	c.ok(err)
	next := *status().NextRotationDate
	if d := time.Until(next); d < 89*24*time.Hour || d > 91*24*time.Hour {
		t.Errorf("the next rotation is in %v", d)
	}
	_, err = c.kms.DisableKeyRotation(ctx, &kms.DisableKeyRotationInput{KeyId: &key})
	c.ok(err)
	if out := status(); out.KeyRotationEnabled {
		t.Errorf("%+v", out)
	}
	if first == second {
		t.Error("the material is the same")
	}
	rotations := func(include types.IncludeKeyMaterial) (all []types.RotationsListEntry) {
		t.Helper()
		p := kms.NewListKeyRotationsPaginator(c.kms, &kms.ListKeyRotationsInput{
			KeyId: &key, IncludeKeyMaterial: include, Limit: aws.Int32(1),
		})
		for p.HasMorePages() {
			page, err := p.NextPage(ctx)
			c.ok(err)
			all = append(all, page.Rotations...)
		}
		return all
	}
	all := rotations(types.IncludeKeyMaterialAllKeyMaterial)
	if len(all) != 2 || *all[0].KeyMaterialId != first || all[0].KeyMaterialState != types.KeyMaterialStateNonCurrent ||
		*all[1].KeyMaterialId != second || all[1].KeyMaterialState != types.KeyMaterialStateCurrent ||
		all[1].RotationType != types.RotationTypeOnDemand || all[1].RotationDate == nil {
		t.Errorf("%+v", all)
	}
	if only := rotations(""); len(only) != 1 || *only[0].KeyMaterialId != second {
		t.Errorf("%+v", only)
	}
	limit := 0
	for ; limit < 30; limit++ {
		if _, err = c.kms.RotateKeyOnDemand(ctx, &kms.RotateKeyOnDemandInput{KeyId: &key}); err != nil {
			break
		}
		seal()
	}
	if expect(t, err, "LimitExceededException"); limit < 9 {
		t.Errorf("after %d rotations", limit)
	}
	for _, b := range blobs {
		_, err := c.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: b})
		c.ok(err)
	}
	used, err := c.kms.GetKeyLastUsage(ctx, &kms.GetKeyLastUsageInput{KeyId: &key})
	if c.ok(err); used.KeyLastUsage == nil || used.KeyLastUsage.Timestamp == nil {
		t.Errorf("%+v", used)
	}
}

// TestKMSRotationByTime: the server rotates a key that is due.
func TestKMSRotationByTime(t *testing.T) {
	c := newKMSCast(t)
	ctx, key := t.Context(), c.newKey()
	_, err := c.kms.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{
		KeyId: &key, RotationPeriodInDays: aws.Int32(90),
	})
	c.ok(err)
	before, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
	c.ok(err)
	c.clock.ahead.Add(int64(91 * 24 * time.Hour))
	c.Stop() // a start rotates keys that are due
	again := c.again(t)
	var after *kms.DescribeKeyOutput
	for range 200 {
		after, err = again.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
		if c.ok(err); *after.KeyMetadata.CurrentKeyMaterialId != *before.KeyMetadata.CurrentKeyMaterialId {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	out, err := again.kms.ListKeyRotations(ctx, &kms.ListKeyRotationsInput{KeyId: &key})
	if c.ok(err); len(out.Rotations) != 1 || out.Rotations[0].RotationType != types.RotationTypeAutomatic {
		t.Errorf("%+v", out.Rotations)
	}
}

// wrap wraps material as GetParametersForImport asks for.
func wrap(t *testing.T, algorithm types.AlgorithmSpec, public, material []byte) []byte {
	t.Helper()
	p, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	key := p.(*rsa.PublicKey)
	if algorithm == types.AlgorithmSpecRsaesOaepSha256 {
		b, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, material, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	kek := make([]byte, 32)
	rand.Read(kek)
	b, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, kek, nil)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, keyWrap(t, kek, material)...)
}

// keyWrap is AES key wrap with padding (RFC 5649) for a whole number of 8 bytes, more
// than 8.
func keyWrap(t *testing.T, kek, plain []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	a := binary.BigEndian.AppendUint32([]byte{0xa6, 0x59, 0x59, 0xa6}, uint32(len(plain)))
	r := bytes.Clone(plain)
	n := len(r) / 8
	for j := range 6 {
		for i := range n {
			b := append(bytes.Clone(a), r[8*i:8*i+8]...)
			block.Encrypt(b, b)
			copy(r[8*i:], b[8:])
			binary.BigEndian.PutUint64(b, binary.BigEndian.Uint64(b)^uint64(n*j+i+1))
			a = b[:8]
		}
	}
	return append(a, r...)
}

// TestKMSImport: a client's own material is imported, deleted and imported again.
func TestKMSImport(t *testing.T) {
	c := newKMSCast(t)
	ctx := t.Context()
	for _, way := range []struct {
		algorithm types.AlgorithmSpec
		spec      types.WrappingKeySpec
	}{
		{types.AlgorithmSpecRsaesOaepSha256, types.WrappingKeySpecRsa2048},
		{types.AlgorithmSpecRsaAesKeyWrapSha256, types.WrappingKeySpecRsa2048},
	} {
		t.Run(string(way.algorithm), func(t *testing.T) {
			algorithm, spec := way.algorithm, way.spec
			fresh := c.newKey(func(in *kms.CreateKeyInput) { in.Origin = types.OriginTypeExternal })
			key := c.newKey(func(in *kms.CreateKeyInput) { in.Origin = types.OriginTypeExternal })
			material := make([]byte, 32)
			rand.Read(material)
			give := func(m []byte, change ...func(*kms.ImportKeyMaterialInput)) error {
				t.Helper()
				p, err := c.kms.GetParametersForImport(ctx, &kms.GetParametersForImportInput{
					KeyId: &key, WrappingAlgorithm: algorithm, WrappingKeySpec: spec,
				})
				c.ok(err)
				in := &kms.ImportKeyMaterialInput{
					KeyId: &key, ImportToken: p.ImportToken, EncryptedKeyMaterial: wrap(t, algorithm, p.PublicKey, m),
					ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire,
				}
				for _, f := range change {
					f(in)
				}
				_, err = c.kms.ImportKeyMaterial(ctx, in)
				return err
			}
			expect(t, give(material), "")
			sealed, err := c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("mine")})
			c.ok(err)
			open := func() error {
				_, err := c.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
				return err
			}
			expect(t, open(), "")
			_, err = c.kms.DeleteImportedKeyMaterial(ctx, &kms.DeleteImportedKeyMaterialInput{KeyId: &key})
			c.ok(err)
			refusal(t, open(), "KMSInvalidStateException", key+" is pending import.")
			other := make([]byte, 32)
			rand.Read(other)
			expect(t, give(other), "IncorrectKeyMaterialException")
			expect(t, give(material[:16], func(in *kms.ImportKeyMaterialInput) { in.KeyId = &fresh }),
				"InvalidImportTokenException") // the token is the other key's
			expect(t, give(material[:16]), "IncorrectKeyMaterialException")
			expect(t, give(material, func(in *kms.ImportKeyMaterialInput) {
				in.EncryptedKeyMaterial[len(in.EncryptedKeyMaterial)-1] ^= 1
			}), "InvalidCiphertextException")
			expect(t, give(material, func(in *kms.ImportKeyMaterialInput) {
				in.ImportToken[len(in.ImportToken)-1] ^= 1
			}), "InvalidImportTokenException")
			expect(t, give(material, func(in *kms.ImportKeyMaterialInput) {
				c.clock.ahead.Add(int64(25 * time.Hour))
			}), "ExpiredImportTokenException")
			expect(t, give(material, func(in *kms.ImportKeyMaterialInput) { in.ExpirationModel = "" }),
				"ValidationException")
			expect(t, give(material, func(in *kms.ImportKeyMaterialInput) {
				in.ValidTo = aws.Time(c.clock.now().Add(time.Hour))
			}), "ValidationException")

			expect(t, give(material, func(in *kms.ImportKeyMaterialInput) {
				in.ExpirationModel = types.ExpirationModelTypeKeyMaterialExpires
				in.ValidTo = aws.Time(c.clock.now().Add(time.Hour))
			}), "")
			d, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
			c.ok(err)
			if m := d.KeyMetadata; m.Origin != types.OriginTypeExternal || m.ValidTo == nil ||
				m.ExpirationModel != types.ExpirationModelTypeKeyMaterialExpires {
				t.Errorf("%+v", m)
			}
			expect(t, open(), "")
			c.clock.ahead.Add(int64(2 * time.Hour))
			refusal(t, open(), "KMSInvalidStateException", key+" is pending import.")
			expect(t, give(material), "")
			expect(t, open(), "")
		})
	}
	own := c.newKey()
	_, err := c.kms.GetParametersForImport(ctx, &kms.GetParametersForImportInput{
		KeyId: &own, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256,
		WrappingKeySpec: types.WrappingKeySpecRsa2048,
	})
	expect(t, err, "UnsupportedOperationException")
	_, err = c.kms.DeleteImportedKeyMaterial(ctx, &kms.DeleteImportedKeyMaterialInput{KeyId: &own})
	expect(t, err, "UnsupportedOperationException")
	_, err = c.kms.ImportKeyMaterial(ctx, &kms.ImportKeyMaterialInput{
		KeyId: &own, ImportToken: []byte("x"), EncryptedKeyMaterial: []byte("x"),
		ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire,
	})
	expect(t, err, "UnsupportedOperationException")
}
