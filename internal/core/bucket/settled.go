package bucket

import (
	"slices"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/known"
	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// settled is what follows from the records of a bucket and of its account's Block Public
// Access, so that a request for a bucket that nobody has changed decodes nothing. It is shared
// and must not be modified.
type settled struct {
	bucket    Bucket
	documents []*policy.Document
	account   AccountPublic
	acl       *policy.Document
	always    *authz.ResourceLaws // set if the laws do not depend on the time
}

// maxSettled bounds the cache of settled buckets, in bytes. The compiled policies are also in
// the cache of policies.
const maxSettled = 16 << 20

func newSettled() known.Cache[string, *settled] {
	return known.New(maxSettled, func(name string, k *settled) int64 { return int64(len(name)) + limit.Footprint(k) })
}

// settle reads what the laws of a bucket follow from, and from plain what can't change unless
// the bucket's record does: a new policy has a new id there. keep is false if a policy could
// not be read, which may have a reason that passes.
func (s *Store) settle(r, plain kv.Reader, b *Bucket) (k *settled, keep bool, err error) {
	k = &settled{bucket: *b, documents: s.documents(plain, b)}
	if b.Frozen {
		k.documents = append(k.documents, b.frozen(r))
	}
	if b.Ownership.ACLs() {
		k.acl = s.lists.Bucket(b.ACL)
	}
	k.account, err = readAccountPublic(r, b.Owner)
	k.documents = slices.Clip(k.documents)
	if err == nil && k.account.From.IsZero() && k.account.Until.IsZero() {
		k.always = s.lawsAt(k, time.Time{})
	}
	return k, !slices.Contains(k.documents, nil), err
}

// lawsIn returns the laws that a bucket has at a time, in the state that r reads.
func (s *Store) lawsIn(r kv.Reader, b *Bucket, at time.Time) (*authz.ResourceLaws, error) {
	k, _, err := s.settle(r, r, b)
	if err != nil {
		return nil, err
	}
	return s.laws(k, at), nil
}

// laws returns the laws at a time. They may be shared and must not be modified.
func (s *Store) laws(k *settled, at time.Time) *authz.ResourceLaws {
	if k.always != nil {
		return k.always
	}
	return s.lawsAt(k, at)
}

func (s *Store) lawsAt(k *settled, at time.Time) *authz.ResourceLaws {
	return &authz.ResourceLaws{
		Owner: k.bucket.Owner, Documents: k.documents, Peers: s.peers, Record: &k.bucket, ACL: k.acl,
		Public: k.account.merge(&k.bucket, at), Until: k.account.nextChange(at),
	}
}
