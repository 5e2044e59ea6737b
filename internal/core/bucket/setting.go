package bucket

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// setting is a part of a bucket's configuration that has its own record, s/ID/NAME, so that
// requests that do not need it do not read it. To add a setting, add one file: its type,
// its check, its record, a function that returns the setting, and the exported methods that
// put, get and delete it. No other code must know it: Delete removes every record under
// s/ID/.
//
// Settings that authorization needs for every request, and settings that must change
// together with others, are fields of the bucket's record instead (see modify).
type setting[T any] struct {
	name       string        // of the record
	put, get   policy.Action // actions that changing and reading the setting need
	missing    fault.Code    // error of a read if the bucket has none; "": no error, the zero T
	encode     func(T) []byte
	decode     func([]byte) (T, error) // returns errors of package record
	isRemoving func(T) bool            // nil: never
}

// settingsPrefix begins the keys of all records of a bucket's settings.
func (id ID) settingsPrefix() []byte { return record.Key("s/", string(id[:]), "/") }

func (c setting[T]) key(id ID) []byte { return append(id.settingsPrefix(), c.name...) }

// in returns the setting of a bucket as r sees it. found is false if the bucket has none.
func (c setting[T]) in(r kv.Reader, b *Bucket) (v T, found bool, err error) {
	text, err := r.Get(c.key(b.ID))
	if err != nil || text == nil {
		return v, false, err
	}
	if v, err = c.decode(text); err != nil {
		return v, false, unreadable(b.Name, err)
	}
	return v, true, nil
}

// find returns the setting of a bucket. Error: NoSuchBucket.
func (c setting[T]) find(ctx context.Context, s *Store, name string) (v T, found bool, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := Read(r, name)
		if err == nil {
			v, found, err = c.in(r, &b)
		}
		return err
	})
	return v, found, err
}

// read returns the setting of a bucket for a caller. Errors: NoSuchBucket, missing.
func (c setting[T]) read(ctx context.Context, s *Store, g authz.Grant, name string) (v T, err error) {
	if err := g.Demand(c.get, arn.Bucket(name)); err != nil {
		return v, err
	}
	v, found, err := c.find(ctx, s, name)
	if err == nil && !found && c.missing != "" {
		err = fault.Of(c.missing).With("BucketName", name)
	}
	return v, err
}

// set writes the setting of a bucket.
func (c setting[T]) set(tx kv.Tx, id ID, v T) {
	if c.isRemoving != nil && c.isRemoving(v) {
		tx.Delete(c.key(id))
		return
	}
	tx.Set(c.key(id), c.encode(v))
}

// change replaces the setting with the result of next, which is called with the old
// setting, or with the zero T if there is none. next may return change.ErrUnchanged. A
// record that this program can't read is never replaced, because it may contain a
// protection that a later program added.
func (c setting[T]) change(
	ctx context.Context, s *Store, g authz.Grant, name string, next func(old T) (T, error),
) error {
	return s.configure(ctx, g, c.put, name, func(tx kv.Tx, b *Bucket) error {
		old, _, err := c.in(tx, b)
		if err != nil {
			return err
		}
		v, err := next(old)
		if err == nil {
			c.set(tx, b.ID, v)
		}
		return err
	})
}

// replace replaces the setting without looking at the old value.
func (c setting[T]) replace(ctx context.Context, s *Store, g authz.Grant, name string, v T) error {
	return c.change(ctx, s, g, name, func(T) (T, error) { return v, nil })
}

// configure changes the configuration of a bucket while no request writes into the bucket.
// It needs action on the bucket; do may return change.ErrUnchanged.
func (s *Store) configure(ctx context.Context, g authz.Grant, action policy.Action, name string,
	do func(kv.Tx, *Bucket) error,
) error {
	if err := g.Demand(action, arn.Bucket(name)); err != nil {
		return err
	}
	return change.Commit(ctx, s.store, g, func(tx kv.Tx) error {
		if err := tx.Lock(Guard(name), kv.Exclusive); err != nil {
			return err
		}
		b, err := Read(tx, name)
		if err != nil {
			return err
		}
		return do(tx, &b)
	})
}

// modify is configure for a setting in the bucket's record. It writes that record after do
// returned nil.
func (s *Store) modify(ctx context.Context, g authz.Grant, action policy.Action, name string,
	do func(kv.Tx, *Bucket) error,
) error {
	return s.configure(ctx, g, action, name, func(tx kv.Tx, b *Bucket) error {
		if err := do(tx, b); err != nil {
			return err
		}
		b.write(tx)
		return nil
	})
}
