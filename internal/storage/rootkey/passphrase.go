package rootkey

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/argon2"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// parameters are stored in the data directory, so that the same key can be derived from the
// passphrase again. They are not secret.
type parameters struct {
	Version int    `json:"version"`
	Salt    []byte `json:"salt"`
	Time    uint32 `json:"argon2id_time"`
	Memory  uint32 `json:"argon2id_memory_kib"`
	Threads uint8  `json:"argon2id_threads"`
	Check   []byte `json:"check"`         // detects a wrong passphrase; derived from the key
	Sum     []byte `json:"sum,omitempty"` // detects damage; a sum of the fields above
}

// The cost of a guess: RFC 9106, second recommended option (64 MiB, 3 passes).
const (
	argonTime    = 3
	argonMemory  = 64 << 10
	argonThreads = 4
	minimum      = 12 // characters of a passphrase
)

const parameterFile = "rootkey.json"

// passphrase is a key that is derived from a passphrase.
type passphrase struct {
	o    Options
	path string // path of a file; "" means the environment
}

func newPassphrase(rest string, o Options) (Source, error) {
	path, fromFile := strings.CutPrefix(rest, "file:")
	switch {
	case fromFile:
		if err := o.outside(path); err != nil {
			return nil, err
		}
		return passphrase{o, path}, nil
	case rest != "":
		return nil, errors.New("a passphrase does not belong on the command line, where others can see it; use " +
			"passphrase: with " + PassphraseVariable + ", or passphrase:file:PATH")
	}
	return passphrase{o, ""}, nil
}

// Describe implements Source.
func (p passphrase) Describe() string {
	if p.path == "" {
		return "passphrase: from " + PassphraseVariable
	}
	return "passphrase:file:" + p.path
}

func (p passphrase) check(context.Context) error {
	_, err := p.read()
	return err
}

// A key wrapped under a passphrase: version 1, salt (32), passes (1), threads (1), KiB
// of memory (4, big-endian), and the key, wrapped.
const (
	passphraseVersion = 1
	passphraseHeader  = 1 + 32 + 1 + 1 + 4
)

// Wrap implements Source.
func (p passphrase) Wrap(ctx context.Context, key seal.Key, bound []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	phrase, err := p.read()
	if err != nil {
		return nil, err
	}
	w := parameters{Version: 1, Salt: make([]byte, 32), Time: argonTime, Memory: argonMemory, Threads: argonThreads}
	rand.Read(w.Salt)
	root, err := w.derive(phrase)
	if err != nil {
		return nil, err
	}
	b := append([]byte{passphraseVersion}, w.Salt...)
	b = append(b, byte(w.Time), w.Threads)
	b = binary.BigEndian.AppendUint32(b, w.Memory)
	return append(b, root.Derive(wrapPurpose).Wrap(key, slices.Concat(b, bound))...), nil
}

// Unwrap implements Source.
func (p passphrase) Unwrap(ctx context.Context, wrapped, bound []byte) (seal.Key, error) {
	if err := ctx.Err(); err != nil {
		return seal.Key{}, err
	}
	if len(wrapped) != passphraseHeader+seal.WrappedSize || wrapped[0] != passphraseVersion {
		return seal.Key{}, fmt.Errorf("the passphrase: %w", ErrOtherKey)
	}
	phrase, err := p.read()
	if err != nil {
		return seal.Key{}, err
	}
	header := wrapped[:passphraseHeader]
	w := parameters{
		Version: 1, Salt: header[1:33], Time: uint32(header[33]), Threads: header[34],
		Memory: binary.BigEndian.Uint32(header[35:]),
	}
	root, err := w.derive(phrase)
	if err != nil {
		return seal.Key{}, fmt.Errorf("%w: %w", err, ErrOtherKey)
	}
	key, err := root.Derive(wrapPurpose).Unwrap(wrapped[passphraseHeader:], slices.Concat(header, bound))
	if err != nil {
		return seal.Key{}, fmt.Errorf("the passphrase is not the one of this data directory: %w", ErrOtherKey)
	}
	return key, nil
}

// rootKey returns the key of a data directory of an earlier version, whose parameters are
// in a separate file.
func (p passphrase) rootKey() (seal.Key, error) {
	phrase, err := p.read()
	if err != nil {
		return seal.Key{}, err
	}
	path := filepath.Join(p.o.DataDir, parameterFile)
	text, err := readJudged(p.o.files(), path, 4<<10, judgeParameters)
	if errors.Is(err, fs.ErrNotExist) {
		return seal.Key{}, fmt.Errorf("%s: %w", path, errMissing)
	}
	if err != nil {
		return seal.Key{}, err
	}
	key, err := openParameters(text, phrase)
	if err != nil {
		return seal.Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// judgeParameters refuses parameters that other users can read or change: with them, others
// could guess the passphrase on their own machine. A group of this process may do both.
func judgeParameters(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o); run: chmod o= %s", path, info.Mode().Perm(), path)
	}
	return folder.Self().Settled(path, info)
}

// openParameters returns the key that is derived from phrase with the stored parameters.
func openParameters(text []byte, phrase string) (seal.Key, error) {
	const damaged = "the parameters of the passphrase are damaged; put back a copy of this file"
	var p parameters
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return seal.Key{}, fmt.Errorf(damaged+": %w", err)
	}
	if p.Sum != nil && subtle.ConstantTimeCompare(p.sum(), p.Sum) != 1 {
		return seal.Key{}, errors.New(damaged)
	}
	key, err := p.derive(phrase)
	switch {
	case err != nil:
		return seal.Key{}, err
	case subtle.ConstantTimeCompare(check(key), p.Check) == 1:
		return key, nil
	case p.Sum == nil: // written by an earlier version
		return seal.Key{}, errors.New(
			"the passphrase is not the one this data directory was made with, or the file was damaged")
	}
	return seal.Key{}, errors.New("the passphrase is not the one this data directory was made with")
}

// sum returns a sum over every field but itself. It detects damage, but not tampering.
func (p parameters) sum() []byte {
	p.Sum = nil
	b, err := json.Marshal(p)
	if err != nil {
		return nil // numbers and bytes can always be encoded as JSON
	}
	sum := sha256.Sum256(b)
	return sum[:8]
}

// read reads the passphrase.
func (p passphrase) read() (string, error) {
	phrase := ""
	if p.path != "" {
		b, err := readPrivate(p.o.files(), p.path, 4<<10)
		if err != nil {
			return "", fmt.Errorf("reading the passphrase: %w", err)
		}
		phrase = string(b)
	} else if p.o.Getenv != nil {
		phrase = p.o.Getenv(PassphraseVariable)
	}
	// A file ends with a newline, and so may a variable that was filled from a file.
	phrase = strings.TrimRight(phrase, "\r\n")
	if len(phrase) < minimum {
		return "", fmt.Errorf(
			"the passphrase is missing or shorter than %d characters; set %s or use passphrase:file:PATH", minimum,
			PassphraseVariable,
		)
	}
	return phrase, nil
}

// derive checks the bounds of the parameters, because a changed file must not exhaust the memory.
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
