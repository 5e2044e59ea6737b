package object

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/storage/kv"
)

// Every write of this package commits through writeIn. It uses the bucket's record on which
// the request was authorized, and does not read it again: if the record has changed since,
// the commit is refused, and fn runs again with a new decision (see change.Commit).
// change.Commit never refuses a transaction that commits nothing, so writeIn compares the
// record itself in that case.

// writeIn runs fn in a transaction that writes into a bucket, shares the bucket's
// guard with other writers, and commits it with the request's audit event.
// Errors: NoSuchBucket and those of change.Commit and fn.
func (s *Store) writeIn(
	ctx context.Context, g authz.Grant, bucketName string, fn func(kv.Tx, *bucket.Bucket) error,
) error {
	return change.Commit(ctx, s.store, g, func(tx kv.Tx) error {
		if err := tx.Lock(bucket.Guard(bucketName), kv.Shared); err != nil {
			return err
		}
		b, err := bucket.For(tx, g, bucketName)
		if err != nil {
			return err
		}
		if err = fn(tx, b); err == nil {
			return nil
		}
		current, failed := b.Current(tx)
		switch {
		case failed != nil:
			return failed
		case !current:
			return change.ErrStale
		}
		return err
	})
}

// writeKey is writeIn for the versions of one key. It takes the key's guard.
func (s *Store) writeKey(
	ctx context.Context, g authz.Grant, bucketName, key string, fn func(kv.Tx, slot) error,
) error {
	return s.writeIn(ctx, g, bucketName, func(tx kv.Tx, b *bucket.Bucket) error {
		k := slot{b, key}
		if err := tx.Lock(k.guard(), kv.Exclusive); err != nil {
			return err
		}
		return fn(tx, k)
	})
}

// rewrite is writeKey for a change of an existing version: it writes the record again after
// fn has changed v. The version's bytes, ETag and date stay. What is written follows from the
// version's own record, not from a pointer that repeats it.
func (s *Store) rewrite(
	ctx context.Context, g authz.Grant, in *VersionInput, method string, fn func(tx kv.Tx, k slot, v *version) error,
) error {
	return s.writeKey(ctx, g, in.Bucket, in.Key, func(tx kv.Tx, k slot) error {
		v, err := in.find(tx, k.b, method)
		if err == nil && v.whole {
			v, err = k.mustAt(tx, v.seq)
		}
		if err != nil {
			return err
		}
		if err := fn(tx, k, v); err != nil {
			return err
		}
		return k.rewrite(tx, v)
	})
}
