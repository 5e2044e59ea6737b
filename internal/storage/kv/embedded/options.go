package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/limit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/engine"
	"watertight/internal/storage/kv/embedded/internal/foldervfs"
	"watertight/internal/storage/kv/embedded/internal/memkv"
	"watertight/internal/storage/kv/embedded/internal/pebblekv"
	"watertight/internal/storage/seal"
	"watertight/internal/storage/space"
)

// Options say where a store is and which checks protect it.
type Options struct {
	Dir   string     // its directory; a store in memory has none
	Files folder.FS  // holds Dir; nil is the machine's
	Root  *seal.Ring // wraps the keys of the store
	// Marks hold copies of the wrapped keys, which are used if the store's own is damaged.
	Marks []Mark
	// AtLeast is the newest commit number that is known from elsewhere, such as the audit
	// log. A store that has lost that commit is refused. 0 means that none is known.
	AtLeast uint64
	// From is the commit number after which a new store begins: a store that replaces
	// another one continues its numbers.
	From uint64
	// Create allows OpenPebble to create a store if o.Dir is empty or missing.
	Create bool
	// Verified is called with the store that was found, after it was verified and
	// before anything is changed. If it returns an error, the opening fails. It may
	// be nil. A store of an older format is migrated after it.
	Verified func(Found) error
	// Room is called before every commit that writes, with its bytes. With DeletesOnly, an
	// Update is allowed if it deletes something and sets at most 256 KiB (what a deletion
	// writes: events, a pointer). With Full, an Update is allowed if it only deletes, or if
	// DeletesOnly would allow it and Enough finds room. A nil Room always means Ample.
	Room func(n int64) space.State
	// Enough reports whether the disk has so many bytes, and enough files, to open the
	// engine for writing, or for a deletion when Room says Full. It may release a reserve
	// for that. If it is nil, the engine may always be opened, and such deletions are never
	// allowed. Until the engine is opened, the store serves reads.
	Enough func(n int64) bool
	// Pause is the time between attempts to write again; 0 is one second.
	Pause  time.Duration
	Logger *slog.Logger // nil logs nothing

	fs vfs.FS // for tests; nil is the machine's file system
}

// disk returns the file system on which the store's files lie.
func (o Options) disk() vfs.FS {
	if o.fs == nil {
		return foldervfs.Of(o.Files)
	}
	return o.fs
}

func (o Options) warn(text string, args ...any) {
	if o.Logger != nil {
		o.Logger.Warn(text, args...)
	}
}

// OpenPebble opens the store in o.Dir, or creates one if there is none and o.Create allows
// it. Only one process may hold it. No byte is changed until the store has been verified
// and o.Verified returned nil. Then a store of an older format is migrated. If the disk is
// full, or a commit fails, the store serves reads, refuses every Update, and opens the
// engine again as soon as that may work.
func OpenPebble(ctx context.Context, o Options) (_ kv.Store, err error) {
	defer func() { err = explain(o, err) }()
	at, err := locate(o)
	if err != nil {
		return nil, err
	}
	switch {
	case at.exists:
		err = verified(ctx, o, at)
	case o.Create:
		at.id, err = create(ctx, o)
	default:
		err = errNoStore(o)
	}
	if err == nil && at.exists {
		err = settle(ctx, o, &at)
	}
	if err != nil {
		return nil, err
	}
	s, err := keep(ctx, o, at.id)
	if err != nil {
		return nil, changed{err}
	}
	if err := discardRest(o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func errNoStore(o Options) error { return fmt.Errorf("kv: %s holds no store", o.Dir) }

func startPebble(eo pebblekv.Options) func(*store) (engine.Engine, error) {
	return func(s *store) (engine.Engine, error) {
		eo.Failed = s.fail
		e, err := pebblekv.Open(eo)
		if err != nil {
			return nil, err // not e: a nil pointer in an interface is not a nil interface
		}
		return e, nil
	}
}

// create creates a store under another name first, so that a store with the final name is
// always complete.
func create(ctx context.Context, o Options) (*identity, error) {
	id, dir := newIdentity(o.Root, seal.NewKey()), o.Dir
	o.Dir += unfinished
	eo := engineOptions(o, id)
	if err := discard(o.disk(), o.Dir); err != nil {
		return nil, err
	}
	if err := begin(o, id); err != nil {
		return nil, err
	}
	s, err := open(ctx, o, id, startPebble(eo))
	if err != nil {
		return nil, err
	}
	f := s.found()
	f.New = true
	if err := s.Close(); err != nil {
		return nil, err
	}
	if o.Verified != nil {
		if err := o.Verified(f); err != nil {
			return nil, errors.Join(err, discard(o.disk(), o.Dir))
		}
	}
	return id, move(o.disk(), o.Dir, dir)
}

// begin makes the folder of a new store, with its keys.
func begin(o Options, id *identity) error {
	files := o.disk()
	if err := files.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	return writeStore(files, o.Dir, id.current())
}

// OpenMemory opens a store in memory that exists until it is closed.
func OpenMemory(ctx context.Context, o Options) (kv.Store, error) {
	id := newIdentity(o.Root, seal.NewKey())
	return orNil(open(ctx, o, id, func(*store) (engine.Engine, error) { return memkv.Open(), nil }))
}

// orNil returns a nil interface for a nil store.
func orNil(s *store, err error) (kv.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Stats counts what a store did since it was opened.
type Stats struct {
	Commits   uint64 // transactions that wrote
	Groups    uint64 // batches they were put into
	Conflicts uint64 // runs of transactions that had to be repeated
	Syncs     uint64 // syncs of the engine's log
	// Opened counts the reads that the cache of values (opened) answered, and those it did not.
	Opened limit.Count

	Pressure float64 // how much writes are slowed down: 0 is not at all, from 1 on they wait
	Delayed  uint64  // transactions that waited because the engine is behind
	Refused  uint64  // those of them that were refused
}

// Metered is implemented by every store of this package.
type Metered interface{ Stats() Stats }

// Anchored is implemented by every store of this package. Head returns the newest
// durable commit and the running hash over everything committed up to it: two stores
// with equal numbers and different hashes have different histories.
type Anchored interface {
	Head() (commit uint64, chain [32]byte)
}
