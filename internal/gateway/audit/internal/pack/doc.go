// Package pack writes the events of one frame of the audit log in few bytes. It exists so
// that a request costs a small part of its record on the disk. It must never know files,
// keys or what an event means: it knows the members of a record by name, and returns
// exactly the bytes that it was given.
//
// # How
//
// A record is cut into its shape and its fields. The fields are what differs from request
// to request: the ids, the instant, the object's key, the parameters, the counts of bytes.
// The shape is the rest: the caller, its address and program, the operation, the bucket. A
// frame holds each shape once. Shapes, and fields that are long, are compressed with zstd
// (RFC 8878), each on its own, with a dictionary that is part of the format.
//
// # What the length says
//
// Whoever sees the length of a frame, and has events of his own in it, must not learn what
// is in the events of others. So no event is compressed against the text of another one:
// its bytes depend on itself, and on whether an earlier event of the frame has the same
// shape as a whole. As a shape names the caller, its key and its address, only the same
// caller at the same address can have it, and no part of it can be guessed separately.
//
// # Bounds
//
// What is unpacked has at most the size that the frame declares, and that has a limit.
package pack
