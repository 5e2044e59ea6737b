// Package engine defines what an ordered key-value engine must do for the
// transaction layer of kv. It exists so that transactions are implemented once. An
// engine must never know what the records mean, nor any key.
package engine

import (
	"context"
	"io"
)

// Engine is an ordered map of bytes with atomic batches.
type Engine interface {
	// Batch returns an empty batch.
	Batch() Batch
	// Snapshot pins the state after all applied batches. One goroutine applies
	// batches and takes snapshots, so that it knows what each one holds.
	Snapshot() Snapshot
	// Purge leaves no older value of a key from <= key < to in any file, unless a
	// snapshot from before still reads it. It may take long.
	Purge(ctx context.Context, from, to []byte) error
	// Syncs counts how often the log was synced.
	Syncs() uint64
	// Backlog says how much work the engine has put off. It may take as long as a sync.
	Backlog() Backlog
	// Close releases the engine. After a failure it leaves the files as they are.
	Close() error
}

// Backlog is what an engine has put off, as shares of what it can put off before it makes
// batches wait: 0 is nothing or an engine that never waits, 1 is all.
type Backlog struct {
	Memory float64 // what is applied and not in a file yet
	Tables float64 // files whose ranges overlap, which each read must look into
}

// Batch is a set of changes that become visible and durable together.
type Batch interface {
	// Set puts key and returns the n bytes of its value for the caller to fill
	// before the next call.
	Set(key []byte, n int) []byte
	// Delete removes key.
	Delete(key []byte)
	// Apply makes the batch visible to later snapshots. It doesn't wait until
	// the batch is durable.
	Apply() error
	// Wait returns nil once an applied batch is durable. It is called once.
	Wait() error
	// Close releases a batch whose Wait returned nil, or that was never applied.
	Close()
}

// Snapshot reads one state. Its methods are safe for concurrent use.
type Snapshot interface {
	// Get returns the value of key, or nil if there is none. The value is valid
	// until done is closed; done may be nil.
	Get(key []byte) (value []byte, done io.Closer, err error)
	// Iterator returns an iterator over the snapshot.
	Iterator() (Iterator, error)
	Close() error
}

// Iterator walks a snapshot in ascending order. Keys and values are valid until
// the next Seek or Next.
type Iterator interface {
	// Seek goes to the first key with from <= key < to; to nil is the end.
	Seek(from, to []byte) bool
	Next() bool
	// Find goes to a key, and reports whether it exists. It costs less than a Get if it does
	// not, and if several keys are looked for. Only another Find or a Seek may follow.
	Find(key []byte) bool
	Key() []byte
	Value() ([]byte, error)
	Err() error
	Close() error
}

// Change is one change of a batch that was read back from a log.
type Change struct{ Key, Value []byte } // a deletion has a nil Value
