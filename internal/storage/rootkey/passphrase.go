package rootkey

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/argon2"

	"watertight/internal/storage/seal"
)

// parameters stand in the data directory, so that a passphrase gives the same
// key again. They are no secret.
type parameters struct {
	Version int    `json:"version"`
	Salt    []byte `json:"salt"`
	Time    uint32 `json:"argon2id_time"`
	Memory  uint32 `json:"argon2id_memory_kib"`
	Threads uint8  `json:"argon2id_threads"`
	Check   []byte `json:"check"` // tells a wrong passphrase apart; derived from the key
}

// Cost of a guess: RFC 9106, second recommended option (64 MiB, 3 passes).
const (
	argonTime    = 3
	argonMemory  = 64 << 10
	argonThreads = 4
	minimum      = 12 // characters of a passphrase
)

const parameterFile = "rootkey.json"

func openPassphrase(rest string, o Options) (Root, error) {
	phrase, err := readPassphrase(rest, o)
	if err != nil {
		return Root{}, err
	}
	path := filepath.Join(o.DataDir, parameterFile)
	text, err := readPrivate(path, 4<<10)
	switch {
	case err == nil:
		var p parameters
		if err := json.Unmarshal(text, &p); err != nil {
			return Root{}, fmt.Errorf("%s is damaged: %w", path, err)
		}
		key, err := p.derive(phrase)
		if err != nil {
			return Root{}, fmt.Errorf("%s: %w", path, err)
		}
		if subtle.ConstantTimeCompare(check(key), p.Check) != 1 {
			return Root{}, errors.New("the passphrase is not the one this data directory was made with")
		}
		return Root{Key: key, Where: "a passphrase"}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return Root{}, err
	case !o.MayCreate:
		return Root{}, fmt.Errorf("%s: %w", path, errMissing)
	}
	p := parameters{Version: 1, Salt: make([]byte, 32), Time: argonTime, Memory: argonMemory, Threads: argonThreads}
	rand.Read(p.Salt)
	key, err := p.derive(phrase)
	if err != nil {
		return Root{}, err
	}
	p.Check = check(key)
	b, err := json.Marshal(p)
	if err != nil {
		return Root{}, err
	}
	if err := createFile(path, string(b)+"\n"); err != nil {
		return Root{}, err
	}
	return Root{Key: key, Created: true, Where: "a passphrase"}, nil
}

func readPassphrase(rest string, o Options) (string, error) {
	phrase := ""
	path, fromFile := strings.CutPrefix(rest, "file:")
	switch {
	case fromFile:
		if err := outside(path, o.DataDir); err != nil {
			return "", err
		}
		b, err := readPrivate(path, 4<<10)
		if err != nil {
			return "", fmt.Errorf("reading the passphrase: %w", err)
		}
		phrase = strings.TrimRight(string(b), "\r\n")
	case rest == "":
		phrase = o.Getenv(PassphraseVariable)
	default:
		return "", errors.New("a passphrase does not belong on the command line, where others can see it; use passphrase: with " + PassphraseVariable + ", or passphrase:file:PATH")
	}
	if len(phrase) < minimum {
		return "", fmt.Errorf("the passphrase is missing or shorter than %d characters; set %s or use passphrase:file:PATH", minimum, PassphraseVariable)
	}
	return phrase, nil
}

// derive bounds what it was told: a changed file must not exhaust the memory.
func (p parameters) derive(phrase string) (seal.Key, error) {
	if p.Version != 1 || len(p.Salt) < 16 || len(p.Salt) > 64 || p.Time < 1 || p.Time > 16 ||
		p.Memory < 8<<10 || p.Memory > 1<<20 || p.Threads < 1 || p.Threads > 16 {
		return seal.Key{}, errors.New("the parameters of the passphrase are damaged or of a newer version")
	}
	return seal.Key(argon2.IDKey([]byte(phrase), p.Salt, p.Time, p.Memory, p.Threads, seal.KeySize)), nil
}

func check(key seal.Key) []byte {
	k := key.Derive("watertight root key check")
	sum := sha256.Sum256(k[:])
	return sum[:16]
}
