// Package object holds objects and their versions. It exists so that every rule
// about one key of one bucket is written once, in the transaction that it applies to:
// conditions, ranges, versions, listing. It must never know HTTP, how bytes are
// sealed, or which permissions a caller has beyond the grant of the call.
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
//	u/ID/KEY          SEQ of the null version if it is not the newest version
//	                  (the record may stay after the null version has become
//	                  the newest again); never in a bucket whose versioning
//	                  was never enabled
//	m/ID/KEY\x00UPLOAD an upload in progress; UPLOAD is its time of initiation
//	                  and its UNIQUE
//	p/UNIQUE/NUMBER   a part of an upload in progress
//	q/UNIQUE/N        parts of a version that was uploaded in parts, from the
//	                  N-th on
//	g/UNIQUE          such a version was deleted, but its parts still exist
//	d/UNIQUE          sealed bytes stored inline
//	r/BLOB            key of the record that refers to a blob
//	e/UNIQUE          number of versions that have the payload of this name, if a
//	                  rollback made it shared (share.go)
//
// A version's number is the time of the request that wrote it, in microseconds, or the
// newest number of the key plus one if that is larger: the numbers of a key only
// increase. UNIQUE is 16 random bytes that no other version has. The id of a
// version is the base64url of number and UNIQUE, or "null". An upload's UNIQUE
// becomes its version's, so that completing it moves no bytes. A payload lies under the
// UNIQUE of the version that it was written for; a version that a rollback made shares it
// and says so.
//
// # The life of a version
//
// Put makes the version's UNIQUE, seals the bytes under a data key that is bound
// to it, and only then commits the record (writeKey, slot.push): bytes first,
// record second, so that a crash leaves an orphan, never a record without bytes.
// payload treats a blob as in flight until the commit has ended; the sweeper removes
// blobs that no record refers to afterwards. slot.push moves the current pointer,
// updates the index of the null version, and removes the version that the new one replaces
// by the bucket's versioning state. slot.remove is the only function that removes
// a version's records (door.go); the bytes it returns are removed after the commit.
//
// # The life of an upload
//
// CreateUpload writes a record with the fields that the version will have. Each part has
// its own record and data key. CompleteUpload writes the version and the list of
// its parts in one transaction and deletes the upload's records. It drops the parts that
// are not listed; AbortUpload drops all of them. Deleting such a version only
// writes a mark (g/); its parts are dropped afterwards, in batches, by the
// request that deleted it, the last reader, or PurgeParts (trash.go).
//
// # Authorization
//
// Every method demands its action of the grant. Writes commit with change.Commit,
// which renews the grant inside the transaction. A version whose own tags or ACL
// decided the authorization is read with change.View.
// Laws, Tags, Begun and VersionAsOf take no grant, because authorization itself calls them.
package object

import "watertight/internal/core/payload"

// The first part of each key, as the package comment lists them. The prefix of versions is
// in package bucket.
const (
	pointerPrefix    = "c/"
	nullPrefix       = "u/"
	uploadPrefix     = "m/"
	uploadPartPrefix = "p/"
	partListPrefix   = "q/"
	trashPrefix      = "g/"
	inlinePrefix     = "d/"
	blobPrefix       = payload.ReferencePrefix
	sharePrefix      = "e/"
)
