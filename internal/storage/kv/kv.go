// Package kv is the contract of the metadata store: ordered, serializable transactions. It
// exists so that core never knows which store it works on: the embedded one (package
// embedded), which one process holds, or one that several servers share. It must never know
// what the records mean, nor how a store fulfils the contract. Package kvtest checks a
// store against all of it.
//
// Code that uses a store may assume only what this contract says. The store itself seals or
// otherwise protects its values: core passes plaintext to it.
package kv

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"sync/atomic"
)

// Pair is a record of a scan. Key and Value are valid until the next step of
// the scan; a caller that keeps them copies them.
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

// Reader reads one consistent state, which is durable before anything that was read
// leaves the server (see View and Update).
type Reader interface {
	// Get returns the value of key, or nil if there is none. The slice belongs to
	// the caller.
	Get(key []byte) ([]byte, error)
	// Scan yields the records with from <= key < to in ascending order of bytes; if to is
	// nil, up to the end. Further scans of a Reader are cheap: they use what the first one
	// opened. An error is the last step of a scan; its Pair has the key of the record that
	// could not be read, if that is known.
	Scan(from, to []byte) iter.Seq2[Pair, error]
}

// Same reports whether Get would return value, which must not be nil. It is for callers that
// cache decoded records: a store that can compare without copying the value does so.
func Same(r Reader, key, value []byte) (bool, error) {
	if c, ok := r.(interface {
		Same(key, value []byte) (bool, error)
	}); ok {
		return c.Same(key, value)
	}
	v, err := r.Get(key)
	return err == nil && v != nil && bytes.Equal(v, value), err
}

// Copy is a record that a caller has read before. It must not be copied.
type Copy struct {
	Key, Value []byte               // a nil value: there was no such record; neither may be modified
	equal      atomic.Pointer[byte] // where a value begins that Is has compared
	Known      Known                // for the store alone
}

// Known is what a store remembers of a Copy: of which state it knows that the record is the
// same, so that it need not be found and compared again. Stores are compared with ==.
type Known struct{ at atomic.Pointer[knownAt] }

type knownAt struct {
	store       any
	hash, state uint64
}

// Set remembers a state, by a number that grows from state to state, and the hash of the key
// by which the store knows what was written since.
func (k *Known) Set(store any, hash, state uint64) { k.at.Store(&knownAt{store, hash, state}) }

// Get returns what Set remembered for a store, or false.
func (k *Known) Get(store any) (hash, state uint64, ok bool) {
	at := k.at.Load()
	if at == nil || at.store != store {
		return 0, 0, false
	}
	return at.hash, at.state, true
}

// Is reports whether value, nil for no record, is that of the record. It is for stores that
// cache values: value must never be modified, so that the same slice need not be compared
// again.
func (c *Copy) Is(value []byte) bool {
	switch {
	case (value == nil) != (c.Value == nil) || len(value) != len(c.Value):
		return false
	case len(value) == 0 || c.equal.Load() == &value[0]:
		return true
	case !bytes.Equal(value, c.Value):
		return false
	}
	c.equal.Store(&value[0])
	return true
}

// Unchanged reports whether a View that begins now would find all these records with these
// values, in one state. It is for callers that cache what follows from records, and costs
// less than a View. The context's Witness records the reads. It may return false although
// nothing changed, for example because the store does not know without a search, or because
// the context has a reader of Through: then the caller reads in a View.
func Unchanged(ctx context.Context, s Store, records []*Copy) bool {
	c, ok := s.(interface {
		Unchanged(ctx context.Context, records []*Copy) bool
	})
	return ok && ReaderOf(ctx) == nil && c.Unchanged(ctx, records)
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
	// settings exclude them. A store may find out at the commit that a guard was
	// taken by another transaction, and run fn again.
	Lock(guard []byte, mode Mode) error
	// Rely makes the transaction depend on what the Views under a witness read
	// before: if any of it was, or may have been, written since, fn runs again, as
	// after any conflict. A transaction can rely on one witness, of the same store,
	// and the witness records nothing more from then on.
	Rely(w *Witness) error
}

// Store is a key-value store. Commits are numbered: a transaction that reads what
// another one wrote, or overwrites it, has a larger number.
type Store interface {
	// View runs fn, once, on one consistent state: the newest durable one at its first
	// read. So whatever fn sees is durable, and nothing waits for a sync. The context's
	// Witness, if any, records what fn reads. Under a context of Through, fn uses that
	// reader instead.
	View(ctx context.Context, fn func(Reader) error) error
	// Update runs fn in a serializable transaction and commits it. fn may run more than
	// once. When Update returns nil the commit is durable, and every View that begins later
	// sees it; when fn returns an error nothing is written, and what fn saw is durable. fn
	// must not wait for another Update: after it has lost a few times it may run while all
	// other commits are held back. ctx is honoured until the commit begins, so that an
	// error means that nothing was written, unless it is ErrUnknown. If the disk is full,
	// Update refuses with a fault of kind Full; it still accepts deletions for a while.
	Update(ctx context.Context, fn func(Tx) error) error
	// Durable returns the newest commit number that is known to be durable. No commit with
	// this or a smaller number becomes visible later: a View that begins now sees all of
	// them. The audit log moves events up to this number.
	Durable() uint64
	// Close waits for open transactions.
	Close() error
}

// Erasing is implemented by stores whose files keep old values until they are rewritten.
type Erasing interface {
	// Erase rewrites the files that hold keys with from <= key < to. When it returns nil,
	// no file that the store reads has a value in this range that was replaced or deleted
	// before. It does not overwrite the blocks of removed files on the disk.
	Erase(ctx context.Context, from, to []byte) error
}

// Verified is implemented by stores that read from files through a cache.
type Verified interface {
	// VerifyTables reads each file that holds records from the disk, past the cache, and
	// checks that its contents are what was written. read is called before so many bytes
	// are read, and bad with the name of each file that is damaged or can't be read. If
	// either returns an error, VerifyTables ends.
	VerifyTables(ctx context.Context, read func(int64) error, bad func(file string, why error) error) error
}

// Writing is implemented by stores that can stop accepting commits and still serve reads.
type Writing interface{ Writes() bool }

// ErrUnknown is in the error of an Update whose outcome isn't known, because the store
// failed during the commit. Any other error of Update means that nothing was written.
var ErrUnknown = errors.New("kv: the engine failed; whether the commit lasts is not known")
