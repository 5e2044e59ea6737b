// Package object holds objects and their versions. It exists so that every rule
// about one key of one bucket is written once, in the transaction it governs:
// conditions, ranges, versions, listing. It must never know HTTP, how bytes are
// sealed, or which permissions a caller has beyond the grant it is shown.
//
// # Keys of the records
//
// ID is the bucket's, 8 bytes; KEY is the object's and holds no NUL; SEQ is the
// version's number, 8 bytes, big-endian and inverted, so that the versions of a
// key are sorted newest first:
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
//
// # The life of a version
//
// Put makes the version's UNIQUE, seals the bytes under a data key that is bound
// to it, and only then commits the record (writeKey, slot.push): bytes first,
// record second, so that a crash leaves an orphan, never a record without bytes.
// payload treats a blob as in flight until the commit has ended; the sweeper removes
// blobs that no record refers to afterwards. slot.push moves the current pointer,
// keeps the index of the null version, and erases what the new version replaces
// by the bucket's versioning state. slot.erase is the only function that removes
// a version's records; the bytes it returns are removed after the commit.
//
// # The life of an upload
//
// CreateUpload writes a record with what the version is going to be. Each part has
// its own record and data key. CompleteUpload writes the version and the list of
// its parts in one transaction and deletes the upload's records. Parts that are
// not listed are dropped, as all are by AbortUpload. Deleting such a version only
// writes a mark (g/); its parts are dropped afterwards, some at a time, by the
// request that deleted it, the last reader, or PurgeParts (trash.go).
//
// # Authorization
//
// Every method demands its action of the grant. Writes commit with change.Commit,
// which renews the grant inside the transaction. A version whose own tags or ACL
// decided the authorization is read with change.View.
// Laws, Tags and Begun answer questions of the decision itself and take no grant.
package object

// The first part of every key, as above; that of versions is bucket's.
const (
	pointerPrefix    = "c/"
	nullPrefix       = "u/"
	uploadPrefix     = "m/"
	uploadPartPrefix = "p/"
	partListPrefix   = "q/"
	trashPrefix      = "g/"
	inlinePrefix     = "d/"
	blobPrefix       = "r/"
)
