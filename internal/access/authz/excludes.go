package authz

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// Excludes reports that nothing a caller may ask of a bucket, or of what is in
// it, is allowed: whatever a request goes on to say need not be read. It never
// reports so of somebody whom anything could be allowed.
func (a *Authority) Excludes(ctx context.Context, c Caller, bucket string) (bool, error) {
	if !c.Anonymous() {
		return false, nil
	}
	res, err := a.facts.Resource(ctx, arn.Bucket(bucket), c.situation.At)
	if err != nil {
		return false, err
	}
	l := policy.Laws{Resource: res.Documents, Public: res.Public, ResourceOwner: res.Owner, ObjectLists: res.ACL != nil}
	return l.Excludes(&c.principal), nil
}
