package rootkey

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"watertight/internal/storage/seal"
)

// Source is where the root key lies. It seals the key of a keyring and opens it
// again; the root key itself never leaves the source. Every source passes the one
// conformance suite of this package.
type Source interface {
	// Describe names the source for people, such as file:/etc/watertight/root.key.
	// It holds no secret.
	Describe() string
	// Wrap seals key with the newest key of the source. Only the same bound opens it
	// again. The result has at most 4 KiB.
	Wrap(ctx context.Context, key seal.Key, bound []byte) ([]byte, error)
	// Unwrap opens what Wrap sealed with the same bound. Errors: ErrOtherKey in the
	// chain if the source is there and its key is another one, or the bytes are not
	// what Wrap made; any other error means that the source could not be asked.
	Unwrap(ctx context.Context, wrapped, bound []byte) (seal.Key, error)
}

// ErrOtherKey is in the error of a source that does not open what it is given.
var ErrOtherKey = errors.New("the key of this source does not open it")

// maker is a source whose key can be made by this program. Make reports whether it
// made one; an existing key stays.
type maker interface{ make() (bool, error) }

// earlier is a source that data directories without a keyring may have: its key is
// their root key.
type earlier interface{ rootKey() (seal.Key, error) }

// checker is a source that is costly to open, and can tell without that whether it is
// still there.
type checker interface{ check(context.Context) error }

// Sources are the forms of a source, for messages.
const Sources = "file:PATH, passphrase:, passphrase:file:PATH, vault:URL/MOUNT/KEY and awskms:KEYARN[@URL]"

// NewSource returns the source that text names. It looks at nothing outside of text.
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
