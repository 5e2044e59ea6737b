// Package s3 is the S3 dialect: one operation table and thin handlers that
// translate between shapes and core. No rule lives here: the needs of a row decide
// what is allowed, and core holds all other rules.
package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/identity"
	"watertight/internal/core/kms"
	"watertight/internal/core/object"
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/dispatch"
)

// API is the S3 service over the core.
type API struct {
	Buckets    *bucket.Store
	Objects    *object.Store
	Identities *identity.Store
	Keys       *kms.Store
}

// onOwned are the inputs of an operation on a bucket that a client may expect to
// have a certain owner.
type onOwned[In any] interface {
	*In
	BucketOwner() (bucket, want string)
}

// define is dispatch.Define for an operation on a bucket: a request that names
// another owner than the bucket has is refused before the handler, and what KMS says
// of a key is told in S3's words.
func define[In, Out any, P onOwned[In]](a *API, name, route string, may authz.Access[In],
	do func(context.Context, authz.Grant, *In) (*Out, error), more ...func(rest.Route) rest.Route) dispatch.Row {
	at := rest.At(route)
	for _, m := range more {
		at = m(at)
	}
	return dispatch.Define(name, at, may, func(ctx context.Context, g authz.Grant, in *In) (*Out, error) {
		if bucket, want := P(in).BucketOwner(); want != "" {
			if err := a.checkOwner(ctx, bucket, want); err != nil {
				return nil, err
			}
		}
		out, err := do(ctx, g, in)
		return out, keyFault(err)
	})
}

// checkOwner compares a bucket's owner with the account a client expects (S3
// user guide, "Verifying bucket ownership with bucket owner condition").
func (a *API) checkOwner(ctx context.Context, name, want string) error {
	if !arn.IsAccountID(want) {
		return fault.Of(fault.InvalidBucketOwnerAWSAccountID)
	}
	owner, err := a.Buckets.OwnerOf(ctx, name)
	if err != nil {
		return err
	}
	if owner != "" && owner != want {
		return fault.Of(fault.AccessDenied)
	}
	return nil
}

// canonicalID is the owner id S3 shows for an account.
func (a *API) canonicalID(ctx context.Context, account string) (string, error) {
	acct, ok, err := a.Identities.Account(ctx, account)
	if err != nil {
		return "", err
	}
	if !ok {
		return account, nil
	}
	return acct.CanonicalID, nil
}
