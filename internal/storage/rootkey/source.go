package rootkey

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"watertight/internal/storage/seal"
)

// Source is where the root key is. It seals the key of a keyring and opens it again; the
// root key itself never leaves the source. Every source must pass the conformance suite in
// rootkeytest.
type Source interface {
	// Describe returns a name of the source for messages, such as
	// file:/etc/watertight/root.key. It contains no secret.
	Describe() string
	// Wrap seals key with the newest key of the source. Only the same bound opens it
	// again. The result has at most 4 KiB.
	Wrap(ctx context.Context, key seal.Key, bound []byte) ([]byte, error)
	// Unwrap opens what Wrap sealed with the same bound. Errors: ErrOtherKey in the chain
	// if the source answers, but has another key, or the bytes were not made by Wrap; any
	// other error means that the source did not answer.
	Unwrap(ctx context.Context, wrapped, bound []byte) (seal.Key, error)
}

// ErrOtherKey is in the error of a source that can't open what it is given.
var ErrOtherKey = errors.New("the key of this source does not open it")

// maker is a source whose key this program can create. make reports whether it created one;
// an existing key stays.
type maker interface{ make() (bool, error) }

// earlier is a source that data directories without a keyring may have. Its key is their root key.
type earlier interface{ rootKey() (seal.Key, error) }

// checker is a source that is expensive to open, and that has a cheaper way to check
// whether it is available.
type checker interface{ check(context.Context) error }

// Sources are the forms of a source, for messages.
const Sources = "file:PATH, passphrase:, passphrase:file:PATH, vault:URL/MOUNT/KEY and awskms:KEYARN[@URL]"

// NewSource returns the source that text names. It does not access the source.
func NewSource(text string, o Options) (Source, error) {
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok {
		return nil, fmt.Errorf("the root key source %q has not the form of one; there are %s", text, Sources)
	}
	switch scheme {
	case "file":
		return newFile(rest, o)
	case "passphrase":
		return newPassphrase(rest, o)
	case "vault":
		return newVault(rest, o)
	case "awskms":
		return newAWSKMS(rest, o)
	}
	return nil, fmt.Errorf("the root key source %q: does not exist; there are %s", scheme, Sources)
}
