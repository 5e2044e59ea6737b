// Package embedded is the kv.Store of one process: optimistic transactions over an
// ordered engine (Pebble on sealed files, or a map in memory). It exists so that nothing
// plain reaches a disk, and so that transactions are written once for every engine. It must
// never know what the records mean, and only the packages that open the store may know it:
// core sees kv.Store.
//
// # How a transaction runs
//
// Nothing is locked. A transaction (tx) reads the newest applied state, notes the
// keys and ranges that it reads (kv.Reads), and collects its writes in memory. When
// its function returns, it goes into the queue of the committer, the one goroutine
// that owns the order of commits. For each transaction in the queue, the committer
//
//  1. asks the window whether anything that was read has been written since; if so,
//     the transaction runs again (after six times it claims the committer, so that
//     nothing else commits between its reads and its own commit);
//  2. gives it the next commit number, and puts its writes into the engine's batch of the
//     group.
//
// Transactions that queue up while the previous group is being synced go into one
// batch, with one sync for all of them (group commit). apply makes the batch visible
// to later transactions; settle waits until it is durable, moves the durable
// state, and wakes the transactions. So two states are kept (state.go): the newest
// applied, which transactions build on, and the newest durable, which views read. A
// view never sees what a crash could undo, and never waits.
//
// A guard (Tx.Lock) is a name that is read, and written when it is held Exclusive;
// it conflicts like any key, but is never stored.
//
// # The window
//
// The window (window.go) knows which keys the newest commits wrote: at most 16,384
// commits, 131,072 writes or 16 MiB of keys. A transaction that read an older state than its oldest
// commit runs again, because it is no longer known what was written in between.
//
// # The witness
//
// A request is authorized before its change runs. A kv.Witness keeps what the
// decision read: the oldest state, keys and ranges. A transaction that
// relies on it (Tx.Rely) is checked against the window from that state on as well, so
// that a policy which changed in between makes it run again, and the decision with it.
//
// # Keys and the chain
//
// The engine's files are sealed as a whole (internal/sealedfs) under a key of the store,
// which lies, wrapped under the root key, in the file STORE (identity.go). A value
// (value.go) has the number of its commit; one from the future is refused.
//
// Commits are numbered and chained (head.go): with each group a record is written that
// holds the newest number and a hash over every change since the store was made. The
// audit log, which has separate files, remembers the newest number, and a store that
// ends before it is refused (Options.AtLeast).
//
// # The marker
//
// A marker (marker.go) is a file in the folders that belong to a store: those of the
// blobs and of the audit log. It holds the store's public id, a commit that the store
// has reached, and a second copy of the wrapped keys. With it, parts of different
// stores, or of different ages, are told apart before anything is changed (verify.go),
// and the store can be opened even if STORE is lost.
//
// # Older formats
//
// Up to format 3 the files were plain and each value was sealed (legacy.go). Such a store is
// only read: when it is opened for writing, it is migrated first (migrate.go, place.go).
//
// # Failure
//
// An engine that failed to write is never trusted to write again. The keeper
// (keeper.go) goes on serving reads from it, verifies its files as at a start, and
// opens another engine on them once the disk may take it.
package embedded
