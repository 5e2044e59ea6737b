package object

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/storage/kv"
)

// Watcher gets the changes that a request made to existing objects: which it overwrote and
// deleted, and which it put under another encryption key. It is called after the commit and
// before the request is answered, never for new keys, and must be fast.
type Watcher interface {
	Changed(ctx context.Context, c authz.Caller, b *bucket.Bucket, all alarm.Changes)
}

// Watch makes w get all changes. It must be called before the first request.
func (s *Store) Watch(w Watcher) { s.watcher = w }

// tell reports a committed change to the watcher.
func (s *Store) tell(ctx context.Context, g authz.Grant, b *bucket.Bucket, all alarm.Changes) {
	if s.watcher != nil && !all.Empty() {
		s.watcher.Changed(ctx, g.Caller(), b, all)
	}
}

// replace is push, and counts the change of the object that was current.
func (s slot) replace(
	tx kv.Tx, head, v *version, inline []byte, r removal,
) (gone []garbage, n alarm.Counts, err error) {
	var removed *version
	r.removed = &removed
	if gone, err = s.push(tx, head, v, inline, r); err == nil {
		n, err = s.overwritten(tx, head, v, removed)
	}
	return gone, n, err
}

// overwritten counts the change that a new version makes to the object that was current.
// removed is the version that push has removed for it, or nil; without push it is nil.
func (s slot) overwritten(r kv.Reader, head, v, removed *version) (n alarm.Counts, err error) {
	if head == nil || head.deleteMarker {
		return n, nil
	}
	n[alarm.Overwrites] = 1
	same := head.encryption == v.encryption
	if head.encryption.UsesKMS() && v.encryption.UsesKMS() {
		old := removed
		if old == nil || old.seq != head.seq {
			old, err = s.at(r, head.seq) // a current pointer does not name the key
		}
		if err == nil && old == nil {
			err = s.lost(head.seq)
		}
		if err != nil {
			return n, err
		}
		same = old.kms.sameKey(v.kms)
	}
	if !same {
		n[alarm.KeyChanges] = 1
	}
	return n, nil
}

// sameKey reports whether two versions are under the same KMS key.
func (u *underKMS) sameKey(other *underKMS) bool {
	return u != nil && other != nil && u.key == other.key
}
