package kms

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/storage/kv"
)

// Operator does work that no request asks for. It takes no grant; handlers of the network
// API must not use it.
type Operator struct{ *Store }

// NewOperator returns the Operator of s.
func NewOperator(s *Store) *Operator { return &Operator{s} }

// Happening is something that the server does to a key by itself at a certain time.
type Happening uint8

// The kinds of happenings.
const (
	KeyDestroyed    Happening = iota + 1 // the waiting period of its deletion has ended
	MaterialExpired                      // imported material
	KeyRotated                           // automatic rotation
)

// EventOf returns the audit event of a happening, or nil for none.
type EventOf func(what Happening, key arn.ARN) authz.Record

// Done counts happenings, and keys whose old material was erased from the store's files.
type Done struct{ Destroyed, Expired, Rotated, Erased int }

// Sweep does everything that is due: it destroys keys whose waiting period has ended,
// removes expired material, and rotates keys. Only the rotations depend on when it runs:
// keys and material whose time has ended can't be used even before the sweep. An error with
// one key does not stop the work on others.
func (o *Operator) Sweep(ctx context.Context, at time.Time, event EventOf) (n Done, err error) {
	for _, task := range []struct {
		prefix string
		do     func(context.Context, string, time.Time, EventOf) (bool, error)
		count  *int
	}{
		{deletionPrefix, o.destroy, &n.Destroyed},
		{expiryPrefix, o.expire, &n.Expired},
		{rotationPrefix, o.rotate, &n.Rotated},
	} {
		ids, failed := o.due(ctx, task.prefix, at)
		err = errors.Join(err, failed)
		for _, id := range ids {
			done, failed := task.do(ctx, id, at, event)
			if err = errors.Join(err, failed); done {
				*task.count++
			}
		}
	}
	err = errors.Join(err, o.dropImports(ctx, at))
	var failed error
	n.Erased, failed = o.erase(ctx)
	return n, errors.Join(err, failed)
}

// erase makes the store rewrite the files that may still contain destroyed or removed
// material, in the form of sealed records that are no longer read. A record names each key
// that has such material, so that none is forgotten after a crash.
func (s *Store) erase(ctx context.Context) (n int, err error) {
	var ids []string
	err = s.store.View(ctx, func(r kv.Reader) (err error) {
		ids, err = record.Names(r, []byte(erasePrefix))
		return err
	})
	for _, id := range ids[:min(len(ids), maxDue)] {
		if e, ok := s.store.(kv.Erasing); ok {
			for _, prefix := range [...][]byte{materialsOf(id), importsOf(id)} {
				if err := e.Erase(ctx, prefix, record.After(prefix)); err != nil {
					return n, err
				}
			}
		}
		err := change.Background(ctx, s.store, "material that was erased from the store's files", func(tx kv.Tx) error {
			tx.Delete(record.Key(erasePrefix, id))
			return nil
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, err
}

// maxDue bounds how many keys one sweep handles for each kind of happening; the next sweep
// continues.
const maxDue = 1000

// due returns the keys for which something is due.
func (s *Store) due(ctx context.Context, prefix string, at time.Time) (ids []string, err error) {
	end := dueKey(prefix, at.Add(time.Microsecond), "")
	err = s.store.View(ctx, func(r kv.Reader) error {
		for p, err := range r.Scan([]byte(prefix), end) {
			if err != nil {
				return err
			}
			if ids = append(ids, string(p.Key[len(prefix)+8:])); len(ids) == maxDue {
				return nil
			}
		}
		return nil
	})
	return ids, err
}

// background changes a key without a request.
func (s *Store) background(
	ctx context.Context, id string, event EventOf, what Happening, do func(kv.Tx, *keyRecord) error,
) error {
	var named arn.ARN
	err := s.store.View(ctx, func(r kv.Reader) error {
		k, err := readKey(r, id)
		if err == nil && k != nil {
			named = k.arn()
		}
		return err
	})
	if err != nil {
		return err
	}
	var e authz.Record
	if event != nil && !named.IsZero() {
		e = event(what, named)
	}
	return change.Operate(ctx, s.store, e, func(tx kv.Tx) error {
		k, err := readKey(tx, id)
		if err != nil {
			return err
		}
		if k == nil {
			return change.ErrUnchanged
		}
		return do(tx, k)
	})
}

// destroy removes a key whose waiting period has ended, with everything that belongs to it.
// Nothing under it can ever be read again.
func (s *Store) destroy(ctx context.Context, id string, at time.Time, event EventOf) (done bool, err error) {
	// A grant that can't be read must not prevent the destruction of the key; without the
	// key, it allows nothing.
	failed := s.dropGrants(ctx, id, at)
	err = s.background(ctx, id, event, KeyDestroyed, func(tx kv.Tx, k *keyRecord) error {
		if done = k.isDestroyed(at); !done {
			return change.ErrUnchanged
		}
		return k.remove(tx)
	})
	return done && err == nil, errors.Join(err, failed)
}

// remove deletes the records of a key.
func (k *keyRecord) remove(tx kv.Tx) error {
	n, err := readCount(tx, k.account)
	if err != nil {
		return err
	}
	writeCount(tx, k.account, max(n, 1)-1)
	names, err := aliasesOf(tx, k.id)
	if err != nil {
		return err
	}
	for _, name := range names {
		dropAlias(tx, k.account, name, &aliasRecord{target: k.id})
	}
	for _, prefix := range [][]byte{materialsOf(k.id), importsOf(k.id)} {
		rest, err := record.Names(tx, prefix)
		if err != nil {
			return err
		}
		for _, name := range rest {
			tx.Delete(record.Key(string(prefix), name))
		}
	}
	tx.Set(record.Key(erasePrefix, k.id), record.Start(nil))
	for _, key := range append(k.dues(), keyKey(k.id), ownedKey(k.account, k.id), usedKey(k.id)) {
		tx.Delete(key)
	}
	return nil
}

// expire removes imported material that has expired.
func (s *Store) expire(ctx context.Context, id string, at time.Time, event EventOf) (done bool, err error) {
	err = s.background(ctx, id, event, MaterialExpired, func(tx kv.Tx, k *keyRecord) error {
		if done = k.current != (MaterialID{}) && !k.hasMaterial(at); !done {
			return change.ErrUnchanged
		}
		return k.update(tx, func() error { return k.lose(tx) })
	})
	return done && err == nil, err
}

// dropImports removes expired import tokens.
func (s *Store) dropImports(ctx context.Context, at time.Time) error {
	var ended [][]byte
	err := s.store.View(ctx, func(r kv.Reader) error {
		for p, err := range r.Scan([]byte(importPrefix), record.After([]byte(importPrefix))) {
			if err != nil {
				return err
			}
			const from = len(importPrefix) + 36 + 1
			if len(p.Key) < from+8 || len(ended) == maxDue {
				continue
			}
			if end := binary.BigEndian.Uint64(p.Key[from:]); end <= uint64(at.UnixMicro()) {
				ended = append(ended, append([]byte(nil), p.Key...))
			}
		}
		return nil
	})
	if err != nil || len(ended) == 0 {
		return err
	}
	return change.Background(ctx, s.store, "import tokens that have ended", func(tx kv.Tx) error {
		for _, key := range ended {
			tx.Delete(key)
		}
		return nil
	})
}
