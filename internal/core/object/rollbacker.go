package object

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/storage/kv"
)

// rollbacker is the party for whom a page of a rollback runs: granted or operated.
type rollbacker interface {
	view(ctx context.Context, fn func(kv.Reader) error) error
	bucket(r kv.Reader) (*bucket.Bucket, error)
	// ask finds for which of the keys public grants may return. opens reports that for one of
	// these keys.
	ask(ctx context.Context, keys []string) error
	opens(key string) bool
	// renew wraps a data key under the current generation of the root key, so that no new
	// record needs an older one.
	renew(wrapped, binding []byte) ([]byte, error)
	commit(ctx context.Context, apply func(kv.Tx, *bucket.Bucket) (RolledBack, error)) error
	// tell reports a committed page to the watcher.
	tell(ctx context.Context, b *bucket.Bucket, all alarm.Changes)
}

// granted rolls back on behalf of a grant's caller.
type granted struct {
	store      *Store
	bucketName string
	g          authz.Grant
	wider      authz.Grant // g, and s3:PutObjectAcl for the keys that were asked for
}

func (w *granted) view(ctx context.Context, fn func(kv.Reader) error) error {
	return change.View(ctx, w.store.store, w.g, fn)
}

func (w *granted) bucket(r kv.Reader) (*bucket.Bucket, error) {
	return bucket.For(r, w.g, w.bucketName)
}

// ask asks for the permission to write an ACL that is in no header. The grants that return
// are no condition keys, like those of an ACL document.
func (w *granted) ask(ctx context.Context, keys []string) (err error) {
	w.wider = w.g
	if len(keys) == 0 {
		return nil
	}
	w.wider, err = w.g.Extend(ctx, authz.Asks(func(context.Context, authz.Caller) ([]authz.Need, error) {
		needs := make([]authz.Need, len(keys))
		for i, key := range keys {
			needs[i] = authz.Need{
				Action: "s3:PutObjectAcl", Resource: arn.Object(w.bucketName, key), New: true, Soft: true,
			}
		}
		return needs, nil
	}))
	return err
}

func (w *granted) opens(key string) bool {
	return w.wider.Allows("s3:PutObjectAcl", arn.Object(w.bucketName, key))
}

func (w *granted) renew(wrapped, binding []byte) ([]byte, error) {
	return w.store.payloads.Renew(wrapped, binding)
}

func (w *granted) commit(ctx context.Context, apply func(kv.Tx, *bucket.Bucket) (RolledBack, error)) error {
	return w.store.writeIn(ctx, w.wider, w.bucketName, func(tx kv.Tx, b *bucket.Bucket) error {
		out, err := apply(tx, b)
		if err == nil {
			out.note(w.wider.Note)
		}
		return err
	})
}

func (w *granted) tell(ctx context.Context, b *bucket.Bucket, all alarm.Changes) {
	w.store.tell(ctx, w.wider, b, all)
}

// operated rolls back on behalf of the operator, who may do everything.
type operated struct {
	*Operator
	bucketName string
	record     authz.Record
}

func (o operated) view(ctx context.Context, fn func(kv.Reader) error) error {
	return o.store.View(ctx, fn)
}

func (o operated) bucket(r kv.Reader) (*bucket.Bucket, error) {
	b, err := bucket.Read(r, o.bucketName)
	return &b, err
}

func (o operated) ask(context.Context, []string) error { return nil }

func (o operated) opens(string) bool { return true }

func (o operated) renew(wrapped, binding []byte) ([]byte, error) {
	return o.bytes.Renew(wrapped, binding)
}

func (o operated) commit(ctx context.Context, apply func(kv.Tx, *bucket.Bucket) (RolledBack, error)) error {
	return change.Operate(ctx, o.store, o.record, func(tx kv.Tx) error {
		if err := tx.Lock(bucket.Guard(o.bucketName), kv.Shared); err != nil {
			return err
		}
		b, err := o.bucket(tx)
		if err != nil {
			return err
		}
		out, err := apply(tx, b)
		if err == nil && o.record != nil {
			out.note(o.record.Note)
		}
		return err
	})
}

// tell reports nothing: alarms are about callers.
func (o operated) tell(context.Context, *bucket.Bucket, alarm.Changes) {}
