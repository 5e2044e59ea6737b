// Package anchor keeps the newest state of a store at a place that whoever can change the
// store's disk cannot change: a file elsewhere, or objects of another store. It exists so
// that an old copy of a whole data directory is noticed when it is put back. It must never
// know what a store contains, or who decides that another state is accepted.
package anchor

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// State is the state of a store at an instant.
type State struct {
	Store [16]byte // the store's public id
	// Round is how often an operator has accepted a state that was not the anchored one, such as
	// a backup. Commits of different rounds cannot be compared.
	Round      uint64
	Commit     uint64   // newest durable commit
	Chain      [32]byte // running hash of everything committed up to it
	Frame      uint64   // sequence number of the audit log's newest frame
	File       uint64   // number of the file of the audit log that contains it
	FrameChain [32]byte // hash of that frame
	Keyring    [16]byte // id of the keyring
	Serial     uint64   // serial number of the keyring
	At         time.Time
}

// Same reports whether two states differ at most in their instants.
func (s State) Same(o State) bool {
	s.At, o.At = time.Time{}, time.Time{}
	return s == o
}

const (
	magic   = "WTANCH1\n"
	purpose = "watertight anchor"
	// Size is the number of bytes of an anchor.
	Size = len(magic) + 16 + 8 + 8 + 32 + 8 + 8 + 32 + 16 + 8 + 8 + sha256.Size
)

// Errors of reading an anchor.
var (
	// ErrForged means that there is an anchor, and no generation of the root key made it.
	ErrForged = errors.New("is damaged, or another root key made it")
	// ErrUnreachable means that the place could not be read.
	ErrUnreachable = errors.New("the anchor can't be read")
)

// Encode returns an anchor, authenticated under the newest generation of the root key.
func (s State) Encode(root *seal.Ring) []byte {
	b := append(make([]byte, 0, Size), magic...)
	b = append(b, s.Store[:]...)
	b = binary.BigEndian.AppendUint64(b, s.Round)
	b = binary.BigEndian.AppendUint64(b, s.Commit)
	b = append(b, s.Chain[:]...)
	b = binary.BigEndian.AppendUint64(b, s.Frame)
	b = binary.BigEndian.AppendUint64(b, s.File)
	b = append(b, s.FrameChain[:]...)
	b = append(b, s.Keyring[:]...)
	b = binary.BigEndian.AppendUint64(b, s.Serial)
	b = binary.BigEndian.AppendUint64(b, uint64(s.At.UnixMicro()))
	return append(b, sum(root.Current().Key, b)...)
}

// Decode returns the state in an anchor that some generation of the root key made. Error:
// ErrForged.
func Decode(b []byte, root *seal.Ring) (State, error) {
	if len(b) != Size || !bytes.HasPrefix(b, []byte(magic)) {
		return State{}, ErrForged
	}
	body, mac := b[:Size-sha256.Size], b[Size-sha256.Size:]
	ours := false
	for _, g := range root.Generations() {
		ours = ours || hmac.Equal(mac, sum(g.Key, body))
	}
	if !ours {
		return State{}, ErrForged
	}
	b = body[len(magic):]
	number := func() uint64 {
		n := binary.BigEndian.Uint64(b)
		b = b[8:]
		return n
	}
	take := func(to []byte) { b = b[copy(to, b):] }
	var s State
	take(s.Store[:])
	s.Round, s.Commit = number(), number()
	take(s.Chain[:])
	s.Frame, s.File = number(), number()
	take(s.FrameChain[:])
	take(s.Keyring[:])
	s.Serial = number()
	s.At = time.UnixMicro(int64(number())).UTC()
	return s, nil
}

func sum(generation seal.Key, body []byte) []byte {
	k := generation.Derive(purpose)
	m := hmac.New(sha256.New, k[:])
	m.Write(body)
	return m.Sum(nil)
}

// Place is where anchors are kept.
type Place interface {
	// Newest returns the newest anchor that open accepts; found is false if there is none.
	// Errors: ErrForged if there are anchors, but none that open accepts, and ErrUnreachable.
	Newest(ctx context.Context, open func([]byte) (State, error)) (s State, found bool, err error)
	// Put keeps an anchor. The state must not be older than those that were put before.
	Put(ctx context.Context, s State, text []byte) error
	// Every is how often a running server puts an anchor at most.
	Every() time.Duration
	// String returns the place's name as the operator gave it.
	String() string
}

// Options are what a place may need.
type Options struct {
	FS     folder.FS           // nil is the machine's
	Data   string              // the data directory, outside of which the place must be
	Every  time.Duration       // 0 is a second for a file, and a minute for objects
	Getenv func(string) string // environment with the credentials for objects
	Now    func() time.Time    // when retentions begin
}

// Open returns the place with a name: the path of a file, or s3://BUCKET/PREFIX with
// parameters. It reads nothing yet.
func Open(name string, o Options) (Place, error) {
	if strings.HasPrefix(name, "s3://") {
		return openObjects(name, o)
	}
	if scheme, _, ok := strings.Cut(name, "://"); ok {
		return nil, fmt.Errorf("the anchor %s: there are no anchors at %s://; use the path of a file, or s3://", name,
			scheme)
	}
	return openFile(name, o)
}
