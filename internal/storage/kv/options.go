package kv

import (
	"context"
	"log/slog"

	"watertight/internal/storage/kv/internal/engine"
	"watertight/internal/storage/kv/internal/memkv"
	"watertight/internal/storage/kv/internal/pebblekv"
	"watertight/internal/storage/seal"
)

// Space is how much room the disk has for new records.
type Space uint8

const (
	// Ample lets every Update through.
	Ample Space = iota
	// DeletesOnly lets an Update through that deletes something and sets no
	// more than 16 KiB (the traces a deletion leaves: an event, a pointer).
	DeletesOnly
	// Full lets an Update through that only deletes.
	Full
)

// Options says where a store lives and what guards it.
type Options struct {
	Dir  string   // its directory; a store in memory has none
	Root seal.Key // wraps the keys that seal the values
	// AtLeast is the newest commit number known from elsewhere, as from the
	// audit log. Open refuses a store that has lost it. 0 claims nothing.
	AtLeast uint64
	// Room is asked before every commit that writes; nil is always Ample.
	Room   func() Space
	Logger *slog.Logger // nil logs nothing
}

// OpenPebble opens or creates the store in o.Dir. One process may hold it.
// When the disk fails to take a commit, the store serves reads and refuses
// every later Update until it is opened again.
func OpenPebble(ctx context.Context, o Options) (Store, error) {
	return orNil(open(ctx, o, func(s *store) (engine.Engine, error) {
		e, err := pebblekv.Open(pebblekv.Options{Dir: o.Dir, Logger: s.log, Failed: s.fail})
		if err != nil {
			return nil, err // not e: a nil pointer is no nil interface
		}
		return e, nil
	}))
}

// OpenMemory opens a store that lives until it is closed.
func OpenMemory(ctx context.Context, o Options) (Store, error) {
	return orNil(open(ctx, o, func(*store) (engine.Engine, error) { return memkv.Open(), nil }))
}

// orNil makes no store a nil interface.
func orNil(s *store, err error) (Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Stats counts what a store did since it was opened.
type Stats struct {
	Commits   uint64 // transactions that wrote
	Groups    uint64 // batches they were put into
	Conflicts uint64 // runs of a transaction that had to be repeated
	Syncs     uint64 // syncs of the engine's log
}

// Metered is met by every store of this package.
type Metered interface{ Stats() Stats }

// Anchored is met by every store of this package. Head returns the newest
// durable commit and the running hash over everything committed up to it: two
// stores with equal numbers and different hashes have different histories.
type Anchored interface {
	Head() (commit uint64, chain [32]byte)
}
