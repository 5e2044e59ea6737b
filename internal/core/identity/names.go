package identity

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"

	"watertight/internal/access/arn"
)

const (
	maxName   = 50
	minKeyID  = 16 // IAM API reference, AccessKey: 16 to 128 word characters
	maxKeyID  = 128
	minSecret = 16
	maxSecret = 128
)

func checkAccountID(id string) error {
	if !arn.IsAccountID(id) {
		return errors.New("an account id has 12 digits")
	}
	return nil
}

func checkAccountName(name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("an account's name has 1 to %d bytes of printable text", maxName)
	}
	return nil
}

// CheckKeyID checks the format of an access key id.
func CheckKeyID(id string) error {
	const word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
	if len(id) < minKeyID || len(id) > maxKeyID || strings.Trim(id, word) != "" {
		return fmt.Errorf("an access key id has %d to %d letters, digits and underscores", minKeyID, maxKeyID)
	}
	return nil
}

// TemporaryPrefix begins the ids of temporary keys. No other ids begin with it.
const TemporaryPrefix = "ASIA"

// checkLastingID refuses ids that look like those of temporary keys.
func checkLastingID(id string) error {
	if strings.HasPrefix(id, TemporaryPrefix) {
		return fmt.Errorf("an access key id that begins with %s stands for temporary credentials", TemporaryPrefix)
	}
	return CheckKeyID(id)
}

// checkSecret checks the format of a secret key. Its errors must not contain the secret.
func checkSecret(secret string) error {
	if len(secret) < minSecret || len(secret) > maxSecret ||
		strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("a secret access key has %d to %d printable ASCII characters without blanks", minSecret,
			maxSecret)
	}
	return nil
}

// newAccountID returns 12 random digits. The first is not 0, because spreadsheets and
// shells would drop it.
func newAccountID() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000))
	if err != nil {
		return "", err
	}
	return n.Add(n, big.NewInt(100_000_000_000)).String(), nil
}

// NewKey returns a random long-lived key in AWS's format: an id of AKIA and 80 random bits,
// and a secret of 240 bits in 40 characters.
func NewKey() (id, secret string) {
	const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var b [46]byte
	rand.Read(b[:])
	name := []byte("AKIA")
	for _, c := range b[:16] {
		name = append(name, base32[c%32])
	}
	return string(name), base64.StdEncoding.EncodeToString(b[16:])
}

// newCanonicalID returns 64 hex digits.
func newCanonicalID() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
