package kms

import (
	"strings"

	"watertight/internal/api/constraint"
	"watertight/internal/fault"
)

// style is how KMS phrases errors about inputs. Messages repeat values, except secret ones.
func style() *constraint.Style {
	return &constraint.Style{
		Code: fault.ValidationException, Pattern: matches, Enumeration: enumeration, Values: true,
	}
}

// enumeration returns the values of the long enumerations (KMS API reference).
func enumeration(name string) string {
	const specs = "RSA_2048|RSA_3072|RSA_4096|ECC_NIST_P256|ECC_NIST_P384|ECC_NIST_P521|ECC_SECG_P256K1|" +
		"SYMMETRIC_DEFAULT|HMAC_224|HMAC_256|HMAC_384|HMAC_512|SM2"
	switch name {
	case "keySpec":
		return specs + "|ML_DSA_44|ML_DSA_65|ML_DSA_87|ECC_NIST_EDWARDS25519"
	case "masterKeySpec":
		return specs
	case "encryptionAlgorithm":
		return "SYMMETRIC_DEFAULT|RSAES_OAEP_SHA_1|RSAES_OAEP_SHA_256|SM2PKE"
	case "wrappingAlgorithm":
		return "RSAES_PKCS1_V1_5|RSAES_OAEP_SHA_1|RSAES_OAEP_SHA_256|RSA_AES_KEY_WRAP_SHA_1|" +
			"RSA_AES_KEY_WRAP_SHA_256|SM2PKE"
	case "wrappingKeySpec":
		return "RSA_2048|RSA_3072|RSA_4096|SM2"
	case "grantOperation":
		return "Decrypt|Encrypt|GenerateDataKey|GenerateDataKeyWithoutPlaintext|ReEncryptFrom|ReEncryptTo|Sign|" +
			"Verify|GetPublicKey|CreateGrant|RetireGrant|DescribeKey|GenerateDataKeyPair|" +
			"GenerateDataKeyPairWithoutPlaintext|GenerateMac|VerifyMac|DeriveSharedSecret"
	}
	return ""
}

// matches reports whether s matches a pattern of the API reference, and returns the pattern.
func matches(name, s string) (pattern string, ok bool) {
	all := func(fits func(rune) bool) bool {
		return !strings.ContainsFunc(s, func(r rune) bool { return !fits(r) })
	}
	switch name {
	case "alias":
		return `^[a-zA-Z0-9:/_-]+$`, all(func(r rune) bool { return isWord(r) || strings.ContainsRune(":/-", r) })
	case "principal":
		return `^[\w+=,.@:/-]+$`, all(func(r rune) bool { return isWord(r) || strings.ContainsRune("+=,.@:/-", r) })
	case "policy":
		return `[\u0009\u000A\u000D\u0020-\u00FF]+`, all(func(r rune) bool {
			return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= 0xff
		})
	case "marker":
		return `[\u0020-\u00FF]*`, all(func(r rune) bool { return r >= ' ' && r <= 0xff })
	case "word":
		return `[\w]+`, all(isWord)
	case "description":
		return `^[a-zA-Z0-9:/_\s.-]+$`, all(func(r rune) bool {
			return isWord(r) || strings.ContainsRune(":/.- \t\n\v\f\r", r)
		})
	case "materialId":
		return `^[a-f0-9]+$`, strings.Trim(s, "0123456789abcdef") == ""
	case "xksKeyId":
		return `^[a-zA-Z0-9-_.]+$`, all(func(r rune) bool { return isWord(r) || r == '-' || r == '.' })
	case "RSAES_OAEP_SHA_256", "IGNORE_CIPHERTEXT": // enumerations with a single value
		return "[" + name + "]", s == name
	}
	return name, false
}

func isWord(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
