// Package payload encrypts, stores and decrypts objects' bytes. No other package reads or
// writes them; blob engines see only ciphertext under random names. It must never know
// HTTP, buckets or policy.
package payload

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/core/payload/internal/disk"
	"watertight/internal/core/payload/internal/mem"
	"watertight/internal/core/payload/internal/segment"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/digest/lanes"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// InlineMax is the maximum size, in bytes, of an object whose sealed bytes are stored in
// the metadata store. There they need no sync of their own (docs/decisions, 0003).
const InlineMax = 16 << 10

// ErrGone is the error for a blob that was removed after its record was read, because the
// object was replaced. The reader must start again from the record.
var ErrGone = errors.New("payload: the blob is gone")

// Digests are the results of one pass over the plaintext.
type Digests struct {
	Size int64
	MD5  [16]byte // zero if it was not computed, see Source.MD5
	Sum  []byte   // checksum of the requested algorithm, big-endian; nil if none was requested
}

// Location says where sealed bytes are stored: in Inline or Blob. It is part of a version's record.
type Location struct {
	Inline []byte // the sealed bytes, which the caller stores in a separate value
	Blob   string // random name of a blob
	Size   int64  // plaintext bytes
	Key    []byte // data key, wrapped, bound to the object
	Sum    []byte // the checksum, sealed under the data key if digests are hidden
}

// Keys generates and opens data keys; keys.Ring implements it. The binding binds a data key
// to its object.
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
	Rewrap(wrapped, binding []byte) ([]byte, bool, error)
}

// Source is a body to store. Size is the decoded length, or -1 if unknown.
type Source struct {
	Body     io.Reader
	Size     int64
	Checksum digest.Algorithm
	MD5      bool // compute the MD5 even if digests are hidden: the client declared one
	Choice   keys.Choice
	Binding  []byte
}

// wantsMD5 reports whether to compute the MD5 of the plaintext. It becomes the ETag, unless
// digests are hidden.
func (src *Source) wantsMD5() bool { return src.MD5 || !src.Choice.HidesDigests() }

// Options say where blobs are stored, and how they are protected.
type Options struct {
	Dir   string    // empty: blobs are kept in memory
	Files folder.FS // holds Dir; nil is the machine's
	Keys  Keys
	Room  Room // nil: the disk never fills up
	// Records are those of the store that the blobs belong to. Without them, no blob shares
	// a file with others.
	Records kv.Store

	SegmentUnits uint32 // 4 KiB each, of a segment; 0 is 128 MiB. Tests set it
}

// Room is the free space of the disk for new bytes.
type Room interface {
	// Fits reports whether so many more bytes would leave enough free space. It takes no
	// space: an announced size must not take space from others.
	Fits(n int64) bool
	// Take takes space for bytes that are about to be written. It returns false if there is
	// not enough.
	Take(n int64) bool
}

// boundless is the Room of a Store without a limit.
type boundless struct{}

func (boundless) Fits(int64) bool { return true }
func (boundless) Take(int64) bool { return true }

// Store keeps the bytes of objects. It is safe for concurrent use.
type Store struct {
	keys   Keys
	room   Room
	engine blob.Engine
	small  sync.Pool    // *[]byte, InlineMax+1
	chunks sync.Pool    // *[]byte, a sealed chunk
	pipes  sync.Pool    // *large
	larges atomic.Int64 // those in use
	wides  sync.Pool    // *[]byte, several sealed chunks
	lanes  *lanes.Group

	wideUsed atomic.Int64 // buffers of wides

	records  kv.Store
	segments *segment.Engine // nil without records
	tidying  tidying

	mu          sync.Mutex
	inFlight    map[string]struct{} // blobs in files of their own whose record may be about to commit
	quarantined map[string]struct{} // blobs in segments that are in quarantine
	held        bool                // see Operator.Hold
}

// Open opens a Store.
func Open(o Options) (*Store, error) {
	s := &Store{
		keys: o.Keys, room: o.Room, lanes: lanes.NewGroup(), inFlight: map[string]struct{}{},
		quarantined: map[string]struct{}{},
	}
	if s.room == nil {
		s.room = boundless{}
	}
	s.tidying.rate = tidyRate
	s.small.New = func() any { b := make([]byte, InlineMax+1); return &b }
	s.chunks.New = func() any { b := make([]byte, chunkSize); return &b }
	s.wides.New = func() any { b := make([]byte, wideSize); return &b }
	s.pipes.New = func() any { return newLarge() }
	if o.Dir == "" {
		s.engine = mem.Open()
		return s, nil
	}
	files := folder.Or(o.Files)
	if err := s.openSegments(files, &o); err != nil {
		return nil, err
	}
	e, err := disk.Open(files, Folder(o.Dir), s.room)
	if err != nil {
		return nil, errors.Join(err, s.closeSegments())
	}
	s.engine = e
	if err := s.knowQuarantined(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Folder returns the folder of blobs in a data directory.
func Folder(dataDir string) string { return filepath.Join(dataDir, "blobs") }

// Prepare creates the folders of blobs.
func Prepare(files folder.FS, dataDir string) error {
	if err := disk.Prepare(files, Folder(dataDir)); err != nil {
		return err
	}
	return folder.Make(files, segmentsDir(dataDir), 0o700)
}

// Look reports what is in a data directory and changes nothing: whether all folders of
// blobs exist, and whether any blob does.
func Look(files folder.FS, dataDir string) (whole, used bool, err error) {
	whole, used, err = disk.Look(files, Folder(dataDir))
	if err != nil {
		return false, false, err
	}
	segments, err := folder.ReadDir(files, segmentsDir(dataDir))
	if errors.Is(err, fs.ErrNotExist) { // there never was one
		err = nil
	}
	return whole, used || len(segments) > 0, err
}

// Close closes the engines.
func (s *Store) Close() error { return errors.Join(s.engine.Close(), s.closeSegments()) }

func (s *Store) closeSegments() error {
	if s.segments == nil {
		return nil
	}
	return s.segments.Close()
}

// Syncs counts the syncs for objects that are not inline.
func (s *Store) Syncs() uint64 {
	n := s.engine.Syncs()
	if s.segments != nil {
		n += s.segments.Syncs()
	}
	return n
}

// Settle must be called after the record of a location is durable.
func (s *Store) Settle(at Location) {
	if at.Blob != "" {
		s.settle(at.Blob)
	}
}

// Drop removes bytes whose record was not committed. If it fails, the sweeper removes the
// blob later.
func (s *Store) Drop(_ context.Context, at Location) {
	if at.Blob != "" {
		s.drop(at.Blob)
	}
}

// Remove removes bytes whose record was deleted. If it fails, the sweeper removes the blob later.
func (s *Store) Remove(_ context.Context, at Location) {
	if at.Blob != "" {
		s.remove(at.Blob)
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

// refused translates an engine's error into one for the caller.
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
