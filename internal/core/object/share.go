package object

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Versions of one key can share a payload: a rollback makes a new version with the content
// of an older one, and copies no bytes. Each version has its own wrapping of the same data
// key, which stays bound to the unique of the version that it was made for
// (version.payloadUnique). A record at e/ counts the versions; the references of the
// payload's blobs lead to it instead of to a version. Every writer of the key's versions
// holds the key's guard, which protects the count, too.

// share counts the versions of a payload that is shared, or was.
type share struct {
	count uint64 // at least 1
	id    bucket.ID
	key   string // the object's key
}

// Fields of a share's record. The numbers are stored.
const (
	fieldShareCount  = 1
	fieldShareBucket = 2
	fieldShareKey    = 3
)

func shareKey(u unique) []byte { return record.Key(sharePrefix, string(u[:])) }

func (h *share) encode() []byte {
	r := record.Uint(record.Start(nil), fieldShareCount, h.count)
	r = record.Bytes(r, fieldShareBucket, h.id[:])
	return record.String(r, fieldShareKey, h.key)
}

func decodeShare(b []byte) (*share, error) {
	h := &share{}
	ok := true
	f := record.Read(b)
	for f.Next() {
		switch f.Number {
		case fieldShareCount:
			h.count = f.Uint
		case fieldShareBucket:
			ok = ok && copy(h.id[:], f.Bytes) == len(h.id) && len(f.Bytes) == len(h.id)
		case fieldShareKey:
			h.key = string(f.Bytes)
		default:
			f.Unknown()
		}
	}
	if err := f.Err(); err != nil {
		return nil, unreadable(err)
	}
	if !ok || h.count == 0 || h.key == "" {
		return nil, malformed()
	}
	return h, nil
}

// shareOf returns the count for the payload of a version that is marked as shared. A missing
// count is an error: without it, bytes could be removed that another version needs.
func (s slot) shareOf(r kv.Reader, v *version) (*share, error) {
	b, err := r.Get(shareKey(v.payloadUnique()))
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, fault.Internal(errors.New("object: nothing counts the versions of a shared payload"))
	}
	h, err := decodeShare(b)
	if err == nil && (h.id != s.b.ID || h.key != s.key) {
		err = fault.Internal(fmt.Errorf("object: a shared payload in bucket %q is another key's", s.b.Name))
	}
	return h, err
}

// share counts one more version of the payload of v, an object's version that was read whole
// in this transaction. The caller pushes the new version, marked as shared.
func (s slot) share(tx kv.Tx, v *version) error {
	if v.shared {
		h, err := s.shareOf(tx, v)
		if err != nil {
			return err
		}
		h.count++
		tx.Set(shareKey(v.payloadUnique()), h.encode())
		return nil
	}
	at := shareKey(v.payloadUnique())
	h := share{count: 2, id: s.b.ID, key: s.key}
	tx.Set(at, h.encode())
	v.shared = true
	if err := s.rewrite(tx, v); err != nil {
		return err
	}
	if v.blob != "" {
		tx.Set(blobKey(v.blob), at)
	}
	if v.etag.Parts == 0 {
		return nil
	}
	return eachPart(tx, v, nil, func(p *part) bool {
		if p.blob != "" {
			tx.Set(blobKey(p.blob), at)
		}
		return true
	})
}

// again returns a new version that shares the payload of v. It has its own id, date and
// writer, and no lock.
func (v *version) again(at time.Time, by writer) *version {
	c := *v
	c.payload, c.shared, c.modified, c.writer, c.lock = v.payloadUnique(), true, at, by, Lock{}
	rand.Read(c.unique[:])
	return &c
}

// restore makes v, the result of old.again, the current version in place of head. old and
// head were read whole in this transaction, and versioning is enabled.
func (s slot) restore(tx kv.Tx, head, old, v *version) error {
	if err := s.share(tx, old); err != nil {
		return err
	}
	_, err := s.push(tx, head, v, nil, removal{}) // with versioning, this removes nothing
	return err
}

// unshare removes one reference to the payload of v. last reports whether it was the last.
func (s slot) unshare(tx kv.Tx, v *version) (last bool, err error) {
	h, err := s.shareOf(tx, v)
	if err != nil {
		return false, err
	}
	if h.count--; h.count > 0 {
		tx.Set(shareKey(v.payloadUnique()), h.encode())
		return false, nil
	}
	forget(tx, shareKey(v.payloadUnique()))
	return true, nil
}

// release deletes the references to the payload of a version whose record is deleted. It
// returns the bytes to remove after the commit, none while other versions share them.
func (s slot) release(tx kv.Tx, v *version) ([]garbage, error) {
	if v.shared {
		if last, err := s.unshare(tx, v); err != nil || !last {
			return nil, err
		}
	}
	if v.inline {
		forget(tx, inlineKey(v.payloadUnique()))
	}
	if v.blob != "" {
		forget(tx, blobKey(v.blob))
	}
	if v.etag.Parts > 0 {
		return trashParts(tx, v), nil
	}
	if v.blob == "" {
		return nil, nil
	}
	return []garbage{{Location: v.location()}}, nil
}

// ownParts refuses to change the list of a version's parts while other versions share it.
func (s slot) ownParts(r kv.Reader, v *version) error {
	if !v.shared || v.etag.Parts == 0 {
		return nil
	}
	h, err := s.shareOf(r, v)
	if err == nil && h.count > 1 {
		err = fault.New(fault.InvalidRequest, "Other versions have the parts of this one, since the key was rolled "+
			"back. Copy the object to encrypt it under another key.")
	}
	return err
}
