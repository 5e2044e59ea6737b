// Package page cuts listings into pages. The token or marker of the next page says where
// that page starts. It contains no secret and grants nothing: a client that makes one up
// gets only a listing that starts there. Tokens are checked strictly, so that a changed
// token is refused. It must never know what is listed.
package page

import (
	"crypto/sha256"
	"encoding/base64"

	"watertight/internal/fault"
)

const (
	format   = 1
	sumSize  = 12
	maxToken = 4096 // characters of a token
)

func encoding() *base64.Encoding { return base64.RawURLEncoding.Strict() }

// sum returns a checksum of the listing and the position.
func sum(scope, position string) []byte {
	h := sha256.New()
	inner := sha256.Sum256([]byte(scope))
	h.Write([]byte{format})
	h.Write(inner[:])
	h.Write([]byte(position))
	return h.Sum(nil)[:sumSize]
}

// Token returns the token for a position in the listing that scope names.
func Token(scope, position string) string {
	b := make([]byte, 0, 1+sumSize+len(position))
	b = append(append(b, format), sum(scope, position)...)
	return encoding().EncodeToString(append(b, position...))
}

// Open returns the position in a token for the same scope. Any other token is 400 InvalidArgument.
func Open(scope, token string) (string, error) {
	invalid := fault.New(fault.InvalidArgument, "The continuation token provided is incorrect").
		With("ArgumentName", "continuation-token")
	if len(token) > maxToken {
		return "", invalid
	}
	b, err := encoding().DecodeString(token)
	if err != nil || len(b) < 1+sumSize || b[0] != format {
		return "", invalid
	}
	// The whole token is compared, because the base64 decoder skips line ends: a changed
	// token could decode to the same bytes.
	position := string(b[1+sumSize:])
	if Token(scope, position) != token {
		return "", invalid
	}
	return position, nil
}
