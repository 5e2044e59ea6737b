package kms

import (
	"context"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// IsKey reports whether an ARN is that of a key.
func IsKey(a arn.ARN) bool { return a.Service == "kms" && strings.HasPrefix(a.Resource, "key/") }

// Laws returns the laws of the key with an ARN, for authz.Facts. Only what the key's policy
// allows is allowed, whatever IAM policies say. For a key that does not exist, nothing is
// allowed. A policy that cannot be read denies everything.
func (s *Store) Laws(ctx context.Context, key arn.ARN, at time.Time) (laws *authz.ResourceLaws, err error) {
	laws = &authz.ResourceLaws{Owner: key.Account, MustAllow: true} // of a key that does not exist
	id, _ := strings.CutPrefix(key.Resource, "key/")
	err = s.store.View(ctx, func(r kv.Reader) error {
		k, err := s.findID(r, key.Account, key.Region, id, at)
		switch {
		case fault.Is(err, fault.NotFoundException):
			return nil
		case err != nil:
			return err
		}
		laws = s.lawsOf(k)
		return nil
	})
	return laws, err
}

// lawsOf returns the laws of a key that exists. They may be shared and must not be modified.
func (s *Store) lawsOf(k *keyRecord) *authz.ResourceLaws {
	if k.shared.laws != nil {
		return k.shared.laws
	}
	return s.decoded.policies.lawsOf(k)
}

// lawsOf makes the laws of a key that exists.
func (c *policies) lawsOf(k *keyRecord) *authz.ResourceLaws {
	return &authz.ResourceLaws{
		Owner: k.account, MustAllow: true, Documents: c.get(k), HasGrants: k.grants > 0, Until: k.validTo,
	}
}

// maxPolicies bounds the cache of compiled key policies, in bytes.
const maxPolicies = 16 << 20

// policies caches compiled key policies by PolicyID. The key's record has the PolicyID, so
// a new policy applies from the next request on.
type policies struct {
	cache *limit.Cache[PolicyID, []*policy.Document] // of one
}

func newPolicies() policies {
	return policies{
		limit.NewCache(maxPolicies, func(_ PolicyID, d []*policy.Document) int64 { return limit.Footprint(d[0]) }),
	}
}

// get returns the policy of a key, bound to the principals that had the names in it when it
// was written. The document is nil, which denies everything, if the policy cannot be read.
// The slice has one document and must not be modified.
func (c *policies) get(k *keyRecord) []*policy.Document {
	if d, ok := c.cache.Get(k.policyID); ok && k.policyID != (PolicyID{}) {
		return d
	}
	d, err := policy.Parse(policy.Key, []byte(k.policy))
	if err != nil {
		return []*policy.Document{nil}
	}
	all := []*policy.Document{k.bound.Apply(d)}
	c.cache.Put(k.policyID, all)
	return all
}
