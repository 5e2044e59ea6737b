// Package object holds objects and their versions. It exists so that every rule
// about one key of one bucket is said once, in the transaction it governs:
// conditions, ranges, versions, listing. It must never know HTTP, how bytes are
// sealed, or who may do what beyond the grant it is shown.
//
// Keys of this room's records. ID is the bucket's, 8 bytes; KEY is the object's
// and holds no NUL; SEQ is the version's number, 8 bytes, big-endian and
// inverted, so that versions of one key stand newest first:
//
//	c/ID/KEY          current pointer: only where the current version is an
//	                  object, so that delete markers never slow a listing. It
//	                  carries every field a listing shows.
//	v/ID/KEY\x00SEQ   a version or a delete marker
//	u/ID/KEY          SEQ of the null version where it is not the newest one
//	                  (it may stay when that one is again); never in a bucket
//	                  whose versioning was never enabled
//	m/ID/KEY\x00UPLOAD an upload in progress, by its beginning and UNIQUE
//	p/UNIQUE/NUMBER   a part of it
//	q/UNIQUE/N        parts of a version that was uploaded in parts, from the
//	                  N-th on
//	g/UNIQUE          such a version was deleted, its parts not yet
//	d/UNIQUE          sealed bytes kept inline
//	r/BLOB            what refers to a blob, by its record's key
//
// A version's number is the instant of its commit in microseconds, or the
// newest number of the key plus one where that is larger: numbers of a key only
// ascend. UNIQUE is 16 random bytes that no other version has. The id of a
// version is the base64url of number and UNIQUE, or "null". An upload's UNIQUE
// becomes its version's, so that completing it moves no bytes.
package object
