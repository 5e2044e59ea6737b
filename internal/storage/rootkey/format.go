package rootkey

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"watertight/internal/storage/seal"
)

// A keyring as it is stored; integers are big-endian:
//
//	"WTKEYS1\n" | id 16 | serial 8 | n 1 | n locks | size 4 | sealed generations | sum 8
//
// A lock is a source's name (length 2, text) and the keyring's key as that source wrapped
// it (length 2, bytes). Every lock opens the keyring by itself. The generations, each a
// number (4), a key (32) and the time it was made (8, microseconds since 1970), are sealed
// under the keyring's key: nonce (12), ciphertext, tag (16), bound to everything before
// them. The sum is the first 8 bytes of the SHA-256 of everything before it: it
// distinguishes damage from a wrong key. KeyringLimit is the maximum size of a keyring in
// bytes.
const KeyringLimit = 1 << 20

const (
	keyringMagic   = "WTKEYS1\n"
	idSize         = 16
	fixedSize      = len(keyringMagic) + idSize + 8 + 1
	generationSize = 4 + seal.KeySize + 8
	keyringSum     = 8

	maxLocks       = 4
	maxName        = 1024
	maxWrapped     = 4 << 10
	maxGenerations = 1024
)

var errKeyring = errors.New("the keyring is damaged or of a newer version")

// lock is the keyring's key, wrapped by a source.
type lock struct {
	name    string
	wrapped []byte
}

// stored is a keyring that was decoded and not opened.
type stored struct {
	id     [idSize]byte
	serial uint64
	locks  []lock
	bound  []byte // everything before the sealed generations
	sealed []byte
}

// Made is a generation, and when it was made.
type Made struct {
	seal.Generation
	At time.Time
}

// newID returns the id of a new keyring.
func newID() (id [idSize]byte) {
	rand.Read(id[:])
	return id
}

// boundTo returns what the locks of a keyring are bound to.
func boundTo(id [idSize]byte) []byte { return append([]byte("watertight keyring\x00"), id[:]...) }

// encodeKeyring seals generations under key, which the locks hold.
func encodeKeyring(id [idSize]byte, serial uint64, locks []lock, key seal.Key, all []Made) []byte {
	b := append([]byte(keyringMagic), id[:]...)
	b = binary.BigEndian.AppendUint64(b, serial)
	b = append(b, byte(len(locks)))
	for _, l := range locks {
		b = binary.BigEndian.AppendUint16(b, uint16(len(l.name)))
		b = append(b, l.name...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(l.wrapped)))
		b = append(b, l.wrapped...)
	}
	plain := make([]byte, 0, len(all)*generationSize)
	for _, g := range all {
		plain = binary.BigEndian.AppendUint32(plain, g.Number)
		plain = append(plain, g.Key[:]...)
		plain = binary.BigEndian.AppendUint64(plain, uint64(g.At.UnixMicro()))
	}
	nonce := make([]byte, 12)
	rand.Read(nonce)
	sealed := key.AEAD().Seal(nonce, nonce, plain, b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(sealed)))
	b = append(b, sealed...)
	sum := sha256.Sum256(b)
	return append(b, sum[:keyringSum]...)
}

// parseKeyring decodes a keyring. It checks all lengths before it allocates.
func parseKeyring(b []byte) (s stored, err error) {
	if len(b) > KeyringLimit || len(b) < fixedSize+4+keyringSum || string(b[:len(keyringMagic)]) != keyringMagic {
		return s, errKeyring
	}
	body := b[:len(b)-keyringSum]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:keyringSum], b[len(body):]) {
		return s, errKeyring
	}
	rest := body[len(keyringMagic):]
	s.id, rest = [idSize]byte(rest), rest[idSize:]
	s.serial, rest = binary.BigEndian.Uint64(rest), rest[8:]
	n := int(rest[0])
	rest = rest[1:]
	if n == 0 || n > maxLocks {
		return s, errKeyring
	}
	for range n {
		name, after, ok := field(rest, maxName)
		if !ok {
			return s, errKeyring
		}
		wrapped, after, ok := field(after, maxWrapped)
		if !ok {
			return s, errKeyring
		}
		s.locks, rest = append(s.locks, lock{string(name), wrapped}), after
	}
	s.bound = body[:len(body)-len(rest)]
	if len(rest) < 4 || uint64(binary.BigEndian.Uint32(rest)) != uint64(len(rest)-4) {
		return s, errKeyring
	}
	s.sealed = rest[4:]
	return s, nil
}

// field decodes a length of two bytes, and as many bytes.
func field(b []byte, limit int) (value, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; n > limit || n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// open opens the generations with the keyring's key.
func (s *stored) open(key seal.Key) ([]Made, error) {
	if len(s.sealed) < 12 {
		return nil, errKeyring
	}
	plain, err := key.AEAD().Open(nil, s.sealed[:12], s.sealed[12:], s.bound)
	if err != nil || len(plain) == 0 || len(plain)%generationSize != 0 ||
		len(plain)/generationSize > maxGenerations {
		return nil, errKeyring
	}
	var all []Made
	seen := map[uint32]bool{0: true}
	for ; len(plain) > 0; plain = plain[generationSize:] {
		n := binary.BigEndian.Uint32(plain)
		if seen[n] {
			return nil, errKeyring
		}
		seen[n] = true
		at := time.UnixMicro(int64(binary.BigEndian.Uint64(plain[4+seal.KeySize:]))).UTC()
		all = append(all, Made{seal.Generation{Number: n, Key: seal.Key(plain[4 : 4+seal.KeySize])}, at})
	}
	return all, nil
}
