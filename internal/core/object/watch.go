package object

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/storage/kv"
)

// Watcher is told what a request did to objects that were there: which it overwrote and
// deleted, and which are under another key than before. It is called after the commit
// and before the request is answered, never for new keys, and must be fast.
type Watcher interface {
	Changed(ctx context.Context, c authz.Caller, b *bucket.Bucket, all alarm.Changes)
}

// Watch has w told of all changes. It is called before the first request.
func (s *Store) Watch(w Watcher) { s.watcher = w }

// tell tells the watcher of a committed change.
func (s *Store) tell(ctx context.Context, g authz.Grant, b *bucket.Bucket, all alarm.Changes) {
	if s.watcher != nil && !all.Empty() {
		s.watcher.Changed(ctx, g.Caller(), b, all)
	}
}

// overwritten counts what a new version does to the object that is current. It is called
// before the old version may be erased.
func (s slot) overwritten(r kv.Reader, head, v *version) (n alarm.Counts, err error) {
	if head == nil || head.deleteMarker {
		return n, nil
	}
	n[alarm.Overwrites] = 1
	same := head.encryption == v.encryption
	if head.encryption.UsesKMS() && v.encryption.UsesKMS() {
		old, err := s.at(r, head.seq) // a current pointer does not name the key
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

// sameKey reports whether two versions are under the same key of KMS.
func (u *underKMS) sameKey(other *underKMS) bool {
	return u != nil && other != nil && u.key == other.key
}
