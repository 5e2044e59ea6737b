package authz

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// Excludes reports whether a caller is certainly not allowed anything in a bucket, so that
// the rest of its request need not be read.
func (a *Authority) Excludes(ctx context.Context, c Caller, bucket string) (bool, error) {
	if !c.Anonymous() {
		return false, nil
	}
	res, err := a.facts.Resource(ctx, arn.Bucket(bucket), c.situation.At)
	if err != nil {
		return false, err
	}
	l := policy.Laws{Resource: res.Documents, Public: res.Public, ResourceOwner: res.Owner, ObjectLists: res.ACL != nil}
	return l.Excludes(c.principal), nil
}
