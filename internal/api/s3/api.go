// Package s3 is the S3 dialect: one operation table, and thin handlers that translate
// between shapes and core. It must contain no rules: the needs in a row of the table decide
// what is allowed, and core has all other rules.
package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/identity"
	"watertight/internal/core/kms"
	"watertight/internal/core/mfa"
	"watertight/internal/core/object"
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/dialect/xmldoc"
	"watertight/internal/gateway/dispatch"
)

// API is the S3 service over the core.
type API struct {
	Buckets    *bucket.Store
	Objects    *object.Store
	Identities *identity.Store
	Keys       *kms.Store
	Devices    *mfa.Store

	chunks xmldoc.Chunks // for listings
}

// onOwned is implemented by the inputs of operations on a bucket. A client may name the
// account that it expects to own the bucket.
type onOwned[In any] interface {
	*In
	BucketOwner() (bucket, want string)
}

// define is dispatch.Define for an operation on a bucket. If the client expects another
// owner than the bucket has, the request is refused before the handler runs. Errors of KMS
// about a key are translated into S3's.
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

// checkOwner compares a bucket's owner with the account that the client expects (S3 user
// guide, "Verifying bucket ownership with bucket owner condition").
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

// canonicalID returns the owner id that S3 shows for an account.
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
