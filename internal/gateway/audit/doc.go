// Package audit is the event log: who asked for what, and with which result. It exists
// so that no change is made without its event and no event is changed unnoticed. It
// must never know HTTP, what an operation does or why a request was refused: an event
// carries what access/action says about its operation. It never holds a secret.
//
// # What is promised
//
// The event of a change commits in the transaction of the change: no commit,
// no effect; no effect, no commit. A read is answered only once there is room
// for its event, in memory and on the disk, where the log reserves room;
// the event is durable within about a second, and a crash may lose those of that
// last second. If the disk is full, failing or stuck, reads wait and are then
// refused. The events of refused requests, those of strangers and of keys
// that were not allowed what they asked for, are cut short. Up to a rate they are
// written one by one; beyond it they are counted in one StrangersRefused or
// KeysRefused event a second. They never take more than a share of the queue. Any
// other event that is not of a change or a read, such as that of a failed change,
// waits a moment for room, and is counted in an EventsLost event if there is none.
//
// # From the store to the files
//
// One writer moves the events of changes, in the order of their commits, from
// the key-value store into append-only files. It reads the newest durable
// commit number D first and the events after, so that every event of a commit
// up to D is seen; later ones wait for the next round. A frame holds D, the
// anchor, and the position (commit, id) of the last event it moved. Whatever
// is found in the store at or before that position is in the files already,
// left by a crash between append and deletion, and is deleted unread. The
// store must number commits in the order in which they become visible.
//
// # Format
//
// See FORMAT.md. Files are named 000001.wtl, 000002.wtl and so on, and closed
// at 64 MiB. Each is a header and frames. The header wraps the file's own
// random key and carries the chain on from the file before; a frame is sealed
// as a whole, and its content begins with the hash of the frame before. The
// length of a frame has a separate tag, so that only a crash, never a
// changed length, looks like a torn tail.
//
// # How far the log was
//
// The store remembers the newest durable frame (the mark), and the log the
// newest durable commit (the anchor): if only one of the two is cut or put back, that
// is noticed. If both are put back together, it is not: to notice that takes a hash
// kept elsewhere.
package audit
