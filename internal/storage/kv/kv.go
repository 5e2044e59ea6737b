// Package kv is ordered, serializable transactions over sealed values. It
// exists so that no engine ever sees a plain value, and so that every engine
// behaves alike. It must never know what the records mean.
package kv

import (
	"context"
	"iter"
)

// Pair is a record of a scan. Key and Value are valid until the next step of
// the scan; whoever keeps them, copies them.
type Pair struct {
	Key, Value []byte
	Commit     uint64 // number of the commit that wrote the value
}

// Mode is how a guard is held.
type Mode uint8

// The modes of a guard: any number of Shared holders, or one Exclusive.
const (
	Shared Mode = iota
	Exclusive
)

// Reader reads one consistent state, durable before anything read is given to
// a stranger (see View and Update).
type Reader interface {
	// Get returns the value of key, or nil where there is none. The slice
	// belongs to the caller.
	Get(key []byte) ([]byte, error)
	// Scan yields the records with from <= key < to in ascending order of
	// bytes; to nil is the end. A scan that follows another in one Reader is
	// cheap: the engine's iterator is used again.
	Scan(from, to []byte) iter.Seq2[Pair, error]
}

// Tx is a Reader that sees its own writes and commits all of them or none. In
// its scans, its own writes have the commit number 0. A key must not be empty
// or start with a zero byte. Reader and Tx are for one goroutine, and must not
// be used after the function they were given to.
type Tx interface {
	Reader
	Set(key, value []byte)
	Delete(key []byte)
	// Lock takes a guard for the rest of the transaction. Guards are names,
	// not records. Puts into a bucket share its guard; its deletion and its
	// settings exclude them.
	Lock(guard []byte, mode Mode) error
	// Rely makes the transaction depend on what a witness's Views read before:
	// where any of it was, or may have been, written since, fn runs again, as
	// after any conflict. A transaction relies on one witness of its own store,
	// which remembers nothing more from then on.
	Rely(w *Witness) error
}

// Store is a key-value store.
type Store interface {
	// View runs fn, once, on one consistent state: the newest durable one at its
	// first read. So whatever fn sees is durable, and nothing waits for a sync.
	// Under a context of Through, fn reads what that reader reads instead.
	View(ctx context.Context, fn func(Reader) error) error
	// Update runs fn in a serializable transaction and commits it. fn may run
	// more than once. When Update returns nil the commit is durable; when fn
	// returns an error nothing is written, and what fn saw is durable.
	// fn must not wait for another Update: after losing a few times it runs with
	// all other commits held back. ctx counts until the commit begins, so that an
	// error means that nothing was written, unless it is ErrUnknown.
	// A full disk refuses with a fault of kind Full; deletions go on for a while.
	Update(ctx context.Context, fn func(Tx) error) error
	// Durable returns the newest commit number known to be durable.
	Durable() uint64
	// Close waits for open transactions.
	Close() error
}
