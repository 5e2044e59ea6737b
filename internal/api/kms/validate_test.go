package kms

import (
	"strings"
	"testing"

	"watertight/internal/api/kms/shape"
	"watertight/internal/fault"
)

func text(s string) *string { return &s }
func number(n int) *int     { return &n }

func TestValidate(t *testing.T) {
	long := strings.Repeat("a", 129)
	for want, in := range map[string]any{
		"": &shape.EncryptInput{KeyId: text("k"), Plaintext: []byte("x"), EncryptionContext: map[string]string{"": ""}},
		"1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be " +
			"null": &shape.KeyInput{},
		"1 validation error detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length " +
			"greater than or equal to 1": &shape.KeyInput{KeyId: text("")},
		"1 validation error detected: Value 'RSA' at 'keySpec' failed to satisfy constraint: Member must satisfy enum " +
			"value set: [RSA_2048, RSA_3072, RSA_4096, ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521, ECC_SECG_P256K1, " +
			"SYMMETRIC_DEFAULT, HMAC_224, HMAC_256, HMAC_384, HMAC_512, SM2, ML_DSA_44, ML_DSA_65, ML_DSA_87, " +
			"ECC_NIST_EDWARDS25519]": &shape.CreateKeyInput{KeySpec: text("RSA")},
		"1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less " +
			"than or equal to 4096": &shape.EncryptInput{KeyId: text("k"), Plaintext: make([]byte, 4097)},
		"1 validation error detected: Value at 'grantTokens' failed to satisfy constraint: Member must satisfy " +
			"constraint: [Member must have length less than or equal to 8192, Member must have length greater than or " +
			"equal to 1, Member must not be null]": &shape.DescribeKeyInput{
			KeyId: text("k"), GrantTokens: []string{"secret", ""},
		},
		"1 validation error detected: Value at 'grantTokens' failed to satisfy constraint: Member must have length " +
			"less than or equal to 10": &shape.DescribeKeyInput{
			KeyId: text("k"), GrantTokens: strings.Split("a,b,c,d,e,f,g,h,i,j,k", ","),
		},
		"1 validation error detected: Value '2561' at 'rotationPeriodInDays' failed to satisfy constraint: Member must " +
			"have value less than or equal to 2560": &shape.EnableKeyRotationInput{
			KeyId: text("k"), RotationPeriodInDays: number(2561),
		},
		"1 validation error detected: Value '" + long[:128] + "' at 'tags.1.member.tagKey' failed to satisfy " +
			"constraint: Member must have length less than or equal to 128": &shape.CreateKeyInput{
			Tags: []shape.Tag{{TagKey: &long, TagValue: text("")}},
		},
		"2 validation errors detected: Value 'alias/ ' at 'aliasName' failed to satisfy constraint: Member must " +
			"satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$; Value null at 'targetKeyId' failed to satisfy " +
			"constraint: Member must not be null": &shape.AliasTargetInput{AliasName: text("alias/ ")},
		"1 validation error detected: Value '[Encrypt, Fly]' at 'operations' failed to satisfy constraint: Member must " +
			"satisfy constraint: [" + "Member must satisfy enum value set: [" +
			strings.ReplaceAll(enumeration("grantOperation"), "|", ", ") + "], Member must not be null]": &shape.
			CreateGrantInput{
			KeyId: text("k"), GranteePrincipal: text("arn:aws:iam::111122223333:user/u"),
			Operations: []string{"Encrypt", "Fly"},
		},
	} {
		t.Run(want, func(t *testing.T) {
			err := style().Check(in)
			got := ""
			if err != nil {
				f := fault.From(err)
				if got = f.Message; f.Code != fault.ValidationException {
					t.Error(f.Code)
				}
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	for name, c := range map[string]struct{ yes, no []string }{
		"alias":       {[]string{"alias/aws:x_-9"}, []string{"a b", "a.b", "é"}},
		"principal":   {[]string{"arn:aws:iam::111122223333:role/p/a+=,.@-_"}, []string{"*", "a b", "é"}},
		"policy":      {[]string{"{\n\té}"}, []string{"☺", "\x00"}},
		"marker":      {[]string{"a é"}, []string{"☺", "\n"}},
		"word":        {[]string{"default_1"}, []string{"a-b", "a/b"}},
		"description": {[]string{"a b\t:/_.-"}, []string{"é", "a;b"}},
		"materialId":  {[]string{strings.Repeat("0a", 32)}, []string{"A", "g"}},
		"xksKeyId":    {[]string{"a-b_c.9"}, []string{"a/b"}},
		"nothing":     {nil, []string{"", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range c.yes {
				if _, ok := matches(name, s); !ok {
					t.Errorf("%s refuses %q", name, s)
				}
			}
			for _, s := range c.no {
				if _, ok := matches(name, s); ok {
					t.Errorf("%s accepts %q", name, s)
				}
			}
		})
	}
}
