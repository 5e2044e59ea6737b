package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// TestKMSGrants: a grant gives its grantee exactly its operations, within its
// constraint, until it is retired or revoked.
func TestKMSGrants(t *testing.T) {
	c := newKMSCast(t)
	ctx, key := t.Context(), c.newKey()
	user, retirer := c.user("grantee", ""), c.user("retirer", "")
	grantee := c.as(user)
	grant := func(change func(*kms.CreateGrantInput)) *kms.CreateGrantOutput {
		t.Helper()
		in := &kms.CreateGrantInput{
			KeyId: &key, GranteePrincipal: &user.arn,
			Operations: []types.GrantOperation{types.GrantOperationEncrypt, types.GrantOperationDecrypt},
		}
		change(in)
		out, err := c.kms.CreateGrant(ctx, in)
		c.ok(err)
		return out
	}
	encrypt := func(with map[string]string, tokens ...string) error {
		_, err := grantee.Encrypt(ctx, &kms.EncryptInput{
			KeyId: &key, Plaintext: []byte("x"), EncryptionContext: with, GrantTokens: tokens,
		})
		return err
	}
	const no = "AccessDeniedException"
	expect(t, encrypt(nil), no)
	plain := grant(func(in *kms.CreateGrantInput) { in.Name, in.RetiringPrincipal = aws.String("plain"), &retirer.arn })
	expect(t, encrypt(nil), "")
	expect(t, encrypt(nil, *plain.GrantToken), "")
	expect(t, encrypt(nil, "made-up"), "InvalidGrantTokenException")
	_, err := grantee.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: types.DataKeySpecAes256})
	expect(t, err, no)
	again := grant(func(in *kms.CreateGrantInput) { in.Name, in.RetiringPrincipal = aws.String("plain"), &retirer.arn })
	if *again.GrantId != *plain.GrantId {
		t.Error("a second grant with the same name was made")
	}

	list, err := c.kms.ListGrants(ctx, &kms.ListGrantsInput{KeyId: &key, GranteePrincipal: &user.arn})
	c.ok(err)
	if len(list.Grants) != 1 || *list.Grants[0].GrantId != *plain.GrantId || *list.Grants[0].KeyId != key ||
		*list.Grants[0].GranteePrincipal != user.arn || *list.Grants[0].RetiringPrincipal != retirer.arn ||
		*list.Grants[0].Name != "plain" || len(list.Grants[0].Operations) != 2 || list.Grants[0].Constraints != nil {
		t.Errorf("%+v", list.Grants)
	}
	retirable, err := c.kms.ListRetirableGrants(ctx, &kms.ListRetirableGrantsInput{RetiringPrincipal: &retirer.arn})
	if c.ok(err); len(retirable.Grants) != 1 || *retirable.Grants[0].GrantId != *plain.GrantId {
		t.Errorf("%+v", retirable.Grants)
	}

	// The retiring principal needs no policy; everybody else is refused.
	_, err = grantee.RetireGrant(ctx, &kms.RetireGrantInput{GrantToken: plain.GrantToken})
	expect(t, err, no)
	_, err = c.as(retirer).RetireGrant(ctx, &kms.RetireGrantInput{GrantToken: plain.GrantToken, DryRun: aws.Bool(true)})
	expect(t, err, "DryRunOperationException")
	_, err = c.as(retirer).RetireGrant(ctx, &kms.RetireGrantInput{GrantToken: plain.GrantToken})
	c.ok(err)
	expect(t, encrypt(nil), no)
	expect(t, encrypt(nil, *plain.GrantToken), "InvalidGrantTokenException") // E28

	// E27: constraints.
	subset := grant(func(in *kms.CreateGrantInput) {
		in.Constraints = &types.GrantConstraints{EncryptionContextSubset: map[string]string{"a": "1"}}
	})
	expect(t, encrypt(map[string]string{"a": "1", "b": "2"}), "")
	expect(t, encrypt(map[string]string{"a": "2"}), no)
	expect(t, encrypt(nil), no)
	_, err = c.kms.RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &key, GrantId: subset.GrantId, DryRun: aws.Bool(true)})
	expect(t, err, "DryRunOperationException")
	_, err = c.kms.RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &key, GrantId: subset.GrantId})
	c.ok(err)
	expect(t, encrypt(map[string]string{"a": "1"}), no)
	equals := grant(func(in *kms.CreateGrantInput) {
		in.Constraints = &types.GrantConstraints{EncryptionContextEquals: map[string]string{"a": "1"}}
	})
	expect(t, encrypt(map[string]string{"a": "1", "b": "2"}), no)
	expect(t, encrypt(map[string]string{"a": "1"}), "")
	_, err = c.kms.RetireGrant(ctx, &kms.RetireGrantInput{KeyId: &key, GrantId: equals.GrantId})
	c.ok(err) // the account's policy allows it
	expect(t, encrypt(map[string]string{"a": "1"}), no)

	_, err = c.kms.RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &key, GrantId: equals.GrantId})
	expect(t, err, "NotFoundException")
	_, err = c.kms.RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &key, GrantId: aws.String("x")})
	expect(t, err, "InvalidGrantIdException")
	_, err = c.kms.RetireGrant(ctx, &kms.RetireGrantInput{})
	expect(t, err, "ValidationException")
	for name, change := range map[string]func(*kms.CreateGrantInput){
		"ValidationException": func(in *kms.CreateGrantInput) {
			in.Operations = []types.GrantOperation{types.GrantOperationSign}
		},
		"DryRunOperationException": func(in *kms.CreateGrantInput) { in.DryRun = aws.Bool(true) },
		"InvalidArnException": func(in *kms.CreateGrantInput) {
			in.GranteePrincipal = aws.String("arn:aws:iam::" + c.account + ":user/nobody")
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := &kms.CreateGrantInput{
				KeyId: &key, GranteePrincipal: &user.arn,
				Operations: []types.GrantOperation{types.GrantOperationEncrypt},
			}
			change(in)
			_, err := c.kms.CreateGrant(ctx, in)
			expect(t, err, name)
		})
	}
	expect(t, encrypt(nil), no)
}

// TestKMSDryRun: a dry run says whether the request would succeed, and does nothing.
func TestKMSDryRun(t *testing.T) {
	c := newKMSCast(t)
	ctx, key, other := t.Context(), c.newKey(), c.newKey()
	yes := aws.Bool(true)
	sealed, err := c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
	c.ok(err)
	powerless := c.as(c.user("powerless", ""))
	for name, try := range map[string]func(*kms.Client) error{
		"Encrypt": func(k *kms.Client) error {
			_, err := k.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x"), DryRun: yes})
			return err
		},
		"Decrypt": func(k *kms.Client) error {
			_, err := k.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, DryRun: yes})
			return err
		},
		"ReEncrypt": func(k *kms.Client) error {
			_, err := k.ReEncrypt(ctx, &kms.ReEncryptInput{
				CiphertextBlob: sealed.CiphertextBlob, DestinationKeyId: &other, DryRun: yes,
			})
			return err
		},
		"GenerateDataKey": func(k *kms.Client) error {
			_, err := k.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
				KeyId: &key, KeySpec: types.DataKeySpecAes256, DryRun: yes,
			})
			return err
		},
		"GenerateDataKeyWithoutPlaintext": func(k *kms.Client) error {
			_, err := k.GenerateDataKeyWithoutPlaintext(ctx, &kms.GenerateDataKeyWithoutPlaintextInput{
				KeyId: &key, KeySpec: types.DataKeySpecAes256, DryRun: yes,
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			refusal(t, try(c.kms), "DryRunOperationException",
				"The request would have succeeded, but the DryRun option is set.")
			expect(t, try(powerless), "AccessDeniedException")
		})
	}
	_, err = c.kms.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &key})
	c.ok(err)
	_, err = c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x"), DryRun: yes})
	expect(t, err, "DisabledException")
}

// TestKMSEvents: events name the operation, its key and its encryption context. No event, log or file
// contains a plaintext, a token or a ciphertext.
func TestKMSEvents(t *testing.T) {
	c := newKMSCast(t)
	ctx, key := t.Context(), c.newKey()
	const canary = "CANARY-of-a-plaintext-0123456789"
	sealed, err := c.kms.Encrypt(ctx, &kms.EncryptInput{
		KeyId: &key, Plaintext: []byte(canary), EncryptionContext: map[string]string{"order": "7"},
	})
	c.ok(err)
	_, err = c.kms.Decrypt(ctx, &kms.DecryptInput{
		CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: map[string]string{"order": "7"},
	})
	c.ok(err)
	_, err = c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: aws.String("absent"), Plaintext: []byte(canary)})
	expect(t, err, "NotFoundException")
	generated, err := c.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: &key, KeySpec: types.DataKeySpecAes256,
	})
	c.ok(err)
	grant, err := c.kms.CreateGrant(ctx, &kms.CreateGrantInput{
		KeyId: &key, GranteePrincipal: aws.String("arn:aws:iam::" + c.account + ":root"),
		Operations: []types.GrantOperation{types.GrantOperationEncrypt},
	})
	c.ok(err)
	_, err = c.kms.Encrypt(ctx, &kms.EncryptInput{
		KeyId: &key, Plaintext: []byte(canary), GrantTokens: []string{*grant.GrantToken},
	})
	c.ok(err)
	data := c.Data
	secrets := map[string][]byte{
		"plaintext": []byte(canary), "ciphertext": sealed.CiphertextBlob[40:72], "data key": generated.Plaintext,
		"grant token": []byte(*grant.GrantToken),
	}
	search := func(where string, b []byte) {
		for what, secret := range secrets {
			if bytes.Contains(b, secret) || bytes.Contains(b, fmt.Appendf(nil, "%x", secret)) ||
				bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString(secret))) {
				t.Errorf("%s holds the %s", where, what)
			}
		}
	}
	search("the log", []byte(c.Logs.String()))
	all, text := c.events()
	search("the audit log", []byte(text))
	var decrypted struct {
		ReadOnly, ManagementEvent bool
		RequestParameters         map[string]any
		Resources                 []struct{ ARN, AccountId, Type string }
	}
	for line := range strings.Lines(text) {
		if !strings.Contains(line, `"eventName":"Decrypt"`) {
			continue
		}
		if err := json.Unmarshal([]byte(line), &decrypted); err != nil {
			t.Fatal(err)
		}
		if r := decrypted.Resources; !decrypted.ReadOnly || !decrypted.ManagementEvent || len(r) != 1 ||
			r[0].ARN != key || r[0].Type != "AWS::KMS::Key" || r[0].AccountId != c.account ||
			decrypted.RequestParameters["encryptionContext.order"] != "7" {
			t.Errorf("%s", line)
		}
	}
	if len(decrypted.Resources) == 0 {
		t.Errorf("no event of Decrypt in %d", len(all))
	}
	if err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		search(strings.TrimPrefix(path, data), b)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
