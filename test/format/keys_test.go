package format

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// customersKeys makes records of keys in every state, with aliases, grants, rotations
// and imported material.
func (p *populator) customersKeys() {
	t, ctx, c := p.t, p.t.Context(), keysOf(p.s)
	create := func(in *kms.CreateKeyInput) *string {
		return must[*kms.CreateKeyOutput](t)(c.CreateKey(ctx, in)).KeyMetadata.KeyId
	}
	key := create(&kms.CreateKeyInput{
		Description: aws.String("d"), Tags: []kmstypes.Tag{{TagKey: aws.String("k"), TagValue: aws.String("v")}},
	})
	must[*kms.CreateAliasOutput](t)(c.CreateAlias(ctx, &kms.CreateAliasInput{
		AliasName: aws.String("alias/a/b"), TargetKeyId: key,
	}))
	must[*kms.EnableKeyRotationOutput](t)(c.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{
		KeyId: key, RotationPeriodInDays: aws.Int32(90),
	}))
	must[*kms.RotateKeyOnDemandOutput](t)(c.RotateKeyOnDemand(ctx, &kms.RotateKeyOnDemandInput{KeyId: key}))
	must[*kms.CreateGrantOutput](t)(c.CreateGrant(ctx, &kms.CreateGrantInput{
		KeyId: key, Name: aws.String("g"), GranteePrincipal: aws.String("arn:aws:iam::" + account + ":root"),
		RetiringPrincipal: aws.String("arn:aws:iam::" + account + ":root"),
		Operations:        []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt},
		Constraints:       &kmstypes.GrantConstraints{EncryptionContextSubset: map[string]string{"k": "v"}},
	}))
	must[*kms.EncryptOutput](t)(c.Encrypt(ctx, &kms.EncryptInput{KeyId: key, Plaintext: []byte("x")}))
	disabled := create(&kms.CreateKeyInput{})
	must[*kms.DisableKeyOutput](t)(c.DisableKey(ctx, &kms.DisableKeyInput{KeyId: disabled}))
	must[*kms.ScheduleKeyDeletionOutput](t)(c.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{
		KeyId: create(&kms.CreateKeyInput{}), PendingWindowInDays: aws.Int32(7),
	}))
	p.ownMaterial(create(&kms.CreateKeyInput{Origin: kmstypes.OriginTypeExternal}))
}

// ownMaterial imports material into a key, which expires.
func (p *populator) ownMaterial(key *string) {
	t, ctx, c := p.t, p.t.Context(), keysOf(p.s)
	in := must[*kms.GetParametersForImportOutput](t)(c.GetParametersForImport(ctx, &kms.GetParametersForImportInput{
		KeyId: key, WrappingAlgorithm: kmstypes.AlgorithmSpecRsaesOaepSha256,
		WrappingKeySpec: kmstypes.WrappingKeySpecRsa2048,
	}))
	public := must[any](t)(x509.ParsePKIXPublicKey(in.PublicKey)).(*rsa.PublicKey)
	material := bytes.Repeat([]byte{7}, 32)
	must[*kms.ImportKeyMaterialOutput](t)(c.ImportKeyMaterial(ctx, &kms.ImportKeyMaterialInput{
		KeyId: key, ImportToken: in.ImportToken, ValidTo: aws.Time(time.Now().Add(24 * time.Hour)),
		EncryptedKeyMaterial: must[[]byte](t)(rsa.EncryptOAEP(sha256.New(), rand.Reader, public, material, nil)),
	}))
}

// seenKeys checks that every kind of record of customers' keys, of frozen principals and of the
// CDN occurred, but for those that come and go.
func seenKeys(t *testing.T, all []*kind) {
	t.Helper()
	for _, k := range all {
		passing := strings.HasPrefix(k.text, "k/e/") || strings.HasPrefix(k.text, "k/u/") || // written every 5 s
			strings.HasPrefix(k.text, "x/e/") // no edge on another machine is enrolled here
		kind, _, _ := strings.Cut(k.text, "/")
		if strings.Contains("k f x", kind) && strings.Contains(k.text, "/") && k.seen == 0 && !passing {
			t.Errorf("no record is like %s", k.text)
		}
	}
}
