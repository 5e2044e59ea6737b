// Package payload encrypts and decrypts objects' bytes. Bytes are written and read
// only through it; blob engines see ciphertext under random names. It must
// never know HTTP, buckets or policy.
package payload

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/core/payload/internal/disk"
	"watertight/internal/core/payload/internal/mem"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/seal"
)

// InlineMax is the largest object, in bytes, whose sealed bytes are kept in the
// metadata store: there they cost no sync of their own (docs/decisions, 0003).
const InlineMax = 16 << 10

// ErrGone is for a blob that vanished between its record and its opening: the
// object was replaced, and its reader starts again from the record.
var ErrGone = errors.New("payload: the blob is gone")

// Digests are what one pass over the plaintext found.
type Digests struct {
	Size int64
	MD5  [16]byte // zero where it was not worked out, see Source.MD5
	Sum  []byte   // checksum of the algorithm asked for, big-endian; nil if none
}

// Location says where sealed bytes are stored: Inline or Blob. It is part of a
// version's record.
type Location struct {
	Inline []byte // the sealed bytes; the caller stores them in a value of their own
	Blob   string // random name of a blob
	Size   int64  // plaintext bytes
	Key    []byte // data key, wrapped, bound to the object
	Sum    []byte // checksum sealed under the data key, where digests are hidden
}

// Keys makes and opens data keys; keys.Ring implements it. The binding ties a
// data key to its object.
type Keys interface {
	Generate(
		ctx context.Context, g authz.Grant, choice keys.Choice, binding []byte,
	) (plain seal.StreamKey, wrapped []byte, err error)
	Open(
		ctx context.Context, g authz.Grant, choice keys.Choice, wrapped, binding []byte,
	) (plain seal.StreamKey, err error)
	Wrap(
		ctx context.Context, g authz.Grant, choice keys.Choice, plain seal.StreamKey, binding []byte,
	) (wrapped []byte, err error)
}

// Source is a body to store. Size is the decoded length, or -1 where unknown.
type Source struct {
	Body     io.Reader
	Size     int64
	Checksum digest.Algorithm
	MD5      bool // it is needed even where digests are hidden: the client declared one
	Choice   keys.Choice
	Binding  []byte
}

// wantsMD5 reports whether the MD5 of the plaintext is worked out: it becomes the
// ETag, unless digests are hidden.
func (src *Source) wantsMD5() bool { return src.MD5 || !src.Choice.HidesDigests() }

// Options say where blobs are stored and what guards them.
type Options struct {
	Dir  string // empty keeps blobs in memory
	Keys Keys
	Room Room // nil is a disk without an end
}

// Room is what is left of the disk for new bytes.
type Room interface {
	// Fits reports whether so many bytes more would leave enough free. It takes
	// nothing: what is announced takes no room from others.
	Fits(n int64) bool
	// Take takes bytes that are about to be written, and reports false where they
	// are not to be had.
	Take(n int64) bool
}

// boundless is the room of a store without a limit.
type boundless struct{}

func (boundless) Fits(int64) bool { return true }
func (boundless) Take(int64) bool { return true }

// Store keeps the bytes of objects. It is safe for concurrent use.
type Store struct {
	keys   Keys
	room   Room
	engine blob.Engine
	small  sync.Pool // *[]byte, InlineMax+1
	chunks sync.Pool // *[]byte, a sealed chunk
	pipes  sync.Pool // *large

	mu       sync.Mutex
	inFlight map[string]struct{} // blobs whose record may be about to commit
	held     bool                // see Operator.Hold
}

// Open opens the store.
func Open(o Options) (*Store, error) {
	s := &Store{keys: o.Keys, room: o.Room, inFlight: map[string]struct{}{}}
	if s.room == nil {
		s.room = boundless{}
	}
	s.small.New = func() any { b := make([]byte, InlineMax+1); return &b }
	s.chunks.New = func() any { b := make([]byte, seal.MaxSealedChunk); return &b }
	s.pipes.New = func() any { return newLarge() }
	if o.Dir == "" {
		s.engine = mem.Open()
		return s, nil
	}
	e, err := disk.Open(Folder(o.Dir), s.room)
	if err != nil {
		return nil, err
	}
	s.engine = e
	return s, nil
}

// Folder is where blobs lie below a data directory.
func Folder(dataDir string) string { return filepath.Join(dataDir, "blobs") }

// Prepare makes the folders of blobs.
func Prepare(dataDir string) error { return disk.Prepare(Folder(dataDir)) }

// Look reports what is below a data directory and changes nothing: whether all
// the folders of blobs are there, and whether any blob is.
func Look(dataDir string) (whole, used bool, err error) { return disk.Look(Folder(dataDir)) }

// Close lets go of the engine.
func (s *Store) Close() error { return s.engine.Close() }

// Syncs counts the syncs that large objects cost.
func (s *Store) Syncs() uint64 { return s.engine.Syncs() }

// Settle is called once the record of a location is durable.
func (s *Store) Settle(at Location) {
	if at.Blob != "" {
		s.leave(at.Blob)
	}
}

// Drop removes bytes whose record was not committed. A blob that can't be
// removed is left to the sweeper.
func (s *Store) Drop(_ context.Context, at Location) {
	if at.Blob != "" {
		s.engine.Remove(at.Blob)
		s.leave(at.Blob)
	}
}

// Remove removes bytes whose record is gone. A blob that can't be removed is
// left to the sweeper.
func (s *Store) Remove(_ context.Context, at Location) {
	switch {
	case at.Blob == "":
	case s.isHeld():
		s.engine.Retire(at.Blob)
	default:
		s.engine.Remove(at.Blob)
	}
}

func (s *Store) isHeld() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

func (s *Store) enter(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight[name] = struct{}{}
}

func (s *Store) leave(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inFlight, name)
}

func (s *Store) flying(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.inFlight[name]
	return ok
}

// refused turns an engine's error into what the caller sees.
func refused(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return noRoom().Because(err)
	}
	return fault.Internal(err)
}

func noRoom() *fault.Error {
	return fault.New(fault.InsufficientStorage,
		"There is not enough space on the server to store this object. Reads and deletions go on.")
}
