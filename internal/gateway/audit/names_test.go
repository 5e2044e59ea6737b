package audit

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSecretFindsWords: a name is a secret's exactly if one of the words is in it, in
// either case and whatever separates its letters.
func TestSecretFindsWords(t *testing.T) {
	words := []string{
		"signature", "authorization", "securitytoken", "sessiontoken", "secret", "password", "tokencode",
		"authenticationcode", "identitytoken", "assertion", "plaintext", "privatekey", "granttoken", "seed", "cookie",
		"xamzmfa", "customerkey", "headervalue",
	}
	pieces := append([]string{"X-Amz-", "key", "s", "e", "se", "token", "-", "_", "9", "é", "\xff", "aut"}, words...)
	rapid.Check(t, func(t *rapid.T) {
		name := ""
		for range rapid.IntRange(0, 4).Draw(t, "pieces") {
			piece := rapid.SampledFrom(pieces).Draw(t, "piece")
			switch n := rapid.IntRange(0, len(piece)).Draw(t, "at"); rapid.IntRange(0, 3).Draw(t, "how") {
			case 1:
				piece = strings.ToUpper(piece[:n]) + piece[n:]
			case 2:
				piece = piece[:n] + "-" + piece[n:]
			case 3:
				piece = piece[:n]
			}
			name += piece
		}
		plain := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.Map(func(r rune) rune {
			if r >= 'A' && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		}, name))
		want := false
		for _, w := range words {
			want = want || strings.Contains(plain, w)
		}
		if Secret(name) != want {
			t.Fatalf("%q: %v, want %v", name, !want, want)
		}
	})
}

// TestPlainNotesAreNoSecrets: Secret would let every name pass that is not examined.
func TestPlainNotesAreNoSecrets(t *testing.T) {
	for _, name := range []string{
		"kms:Decrypt", "kms:GenerateDataKey", "x-amz-server-side-encryption", "x-amz-version-id",
	} {
		if !plainNote(name) || Secret(name) {
			t.Errorf("%s: %v, %v", name, plainNote(name), Secret(name))
		}
	}
	for _, name := range []string{"", "kms:Plaintext", "credentials.secretAccessKey", "kms:decrypt"} {
		if plainNote(name) {
			t.Errorf("%q is not examined", name)
		}
	}
}
