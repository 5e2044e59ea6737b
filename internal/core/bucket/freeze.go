package bucket

import (
	"context"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Freeze says that a principal may change nothing in a bucket, neither objects nor
// configuration, until the operator lifts the freeze. Reads are not affected. Like the
// bucket policy, a freeze is an input of policy.Decide, so every request meets it. Setting
// one changes the bucket's record, so requests in progress are decided again when they
// commit.
type Freeze struct {
	Bucket string
	Holder string    // unique id, see policy.Principal.HolderID; policy.Everyone means all
	ARN    string    // the holder's ARN at the time of the freeze
	Since  time.Time // microseconds
	Reason string
}

// maxFrozen is how many principals of a bucket can be frozen one by one. One more freezes
// all of them: otherwise whoever can create principals could always continue with a new one.
const maxFrozen = 64

// Fields of a freeze's record, f/ID/PRINCIPAL.
const (
	fieldFreezeSince  = 1
	fieldFreezeBucket = 2
	fieldFreezeARN    = 3
	fieldFreezeReason = 4
)

func (id ID) freezes() []byte               { return record.Key(freezePrefix, string(id[:]), "/") }
func freezeKey(id ID, holder string) []byte { return append(id.freezes(), holder...) }

func (f *Freeze) encode() []byte {
	r := record.Time(record.Start(nil), fieldFreezeSince, f.Since)
	r = record.String(r, fieldFreezeBucket, f.Bucket)
	r = record.String(r, fieldFreezeARN, f.ARN)
	return record.String(r, fieldFreezeReason, f.Reason)
}

// decodeFreeze reads a freeze's record. An unknown field refuses it.
func decodeFreeze(p kv.Pair) (Freeze, error) {
	var f Freeze
	skip := len(freezePrefix) + len(ID{}) + 1
	if len(p.Key) <= skip {
		return f, malformed("")
	}
	f.Holder = string(p.Key[skip:])
	r := record.Read(p.Value)
	for r.Next() {
		switch r.Number {
		case fieldFreezeSince:
			f.Since = r.Time()
		case fieldFreezeBucket:
			f.Bucket = string(r.Bytes)
		case fieldFreezeARN:
			f.ARN = string(r.Bytes)
		case fieldFreezeReason:
			f.Reason = string(r.Bytes)
		default:
			r.Unknown()
		}
	}
	if err := r.Err(); err != nil {
		return f, unreadable(f.Bucket, err)
	}
	return f, nil
}

// eachFreeze calls fn with the freezes under a prefix, in order, until fn returns false.
func eachFreeze(r kv.Reader, prefix []byte, fn func(Freeze) bool) error {
	for p, err := range r.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return err
		}
		f, err := decodeFreeze(p)
		if err != nil {
			return err
		}
		if !fn(f) {
			return nil
		}
	}
	return nil
}

// frozen returns the document that the freezes of a bucket make. It is nil if they can't
// be read; that denies everything.
func (b *Bucket) frozen(r kv.Reader) *policy.Document {
	var holders []string
	err := eachFreeze(r, b.ID.freezes(), func(f Freeze) bool {
		holders = append(holders, f.Holder)
		return true
	})
	if err != nil || len(holders) == 0 {
		return nil
	}
	return policy.Freeze(holders)
}

// Freeze freezes f.Holder in the bucket f.Bucket, if that still has this id. It returns
// the freeze that was set, which is one of all principals if too many were frozen one by
// one. event is its audit event. Error: NoSuchBucket.
func (o *Operator) Freeze(ctx context.Context, event authz.Record, id ID, f Freeze) (Freeze, error) {
	err := change.Operate(ctx, o.store.store, event, func(tx kv.Tx) error {
		if err := tx.Lock(Guard(f.Bucket), kv.Exclusive); err != nil {
			return err
		}
		b, err := Read(tx, f.Bucket)
		if err == nil && b.ID != id {
			err = noSuchBucket(f.Bucket)
		}
		if err != nil {
			return err
		}
		n, already := 0, false
		err = eachFreeze(tx, id.freezes(), func(old Freeze) bool {
			n++
			already = already || old.Holder == f.Holder || old.Holder == policy.Everyone
			return !already
		})
		if err != nil {
			return err
		}
		if already {
			return change.ErrUnchanged
		}
		if n >= maxFrozen {
			f.Holder, f.ARN = policy.Everyone, policy.Everyone
		}
		tx.Set(freezeKey(id, f.Holder), f.encode())
		b.Frozen = true
		b.write(tx) // even if b.Frozen was set: requests in progress must be decided again
		return nil
	})
	return f, err
}

// Freezes returns the freezes of a bucket, or of all buckets if the name is empty.
// Error: NoSuchBucket.
func (o *Operator) Freezes(ctx context.Context, name string) (all []Freeze, err error) {
	err = o.store.store.View(ctx, func(r kv.Reader) error {
		prefix := []byte(freezePrefix)
		if name != "" {
			b, err := Read(r, name)
			if err != nil {
				return err
			}
			prefix = b.ID.freezes()
		}
		all = nil
		return eachFreeze(r, prefix, func(f Freeze) bool { all = append(all, f); return true })
	})
	return all, err
}

// Lift ends the freeze of a principal, named by its holder id or its ARN. event is its
// audit event. It returns the bucket's id and the freeze. Errors: NoSuchBucket,
// NoSuchEntity.
func (o *Operator) Lift(ctx context.Context, event authz.Record, name, principal string) (ID, Freeze, error) {
	var id ID
	var lifted Freeze
	err := change.Operate(ctx, o.store.store, event, func(tx kv.Tx) error {
		if err := tx.Lock(Guard(name), kv.Exclusive); err != nil {
			return err
		}
		b, err := Read(tx, name)
		if err != nil {
			return err
		}
		id, lifted = b.ID, Freeze{}
		left := 0
		err = eachFreeze(tx, b.ID.freezes(), func(f Freeze) bool {
			if lifted.Holder == "" && (f.Holder == principal || f.ARN == principal) {
				lifted = f
			} else {
				left++
			}
			return true
		})
		if err != nil {
			return err
		}
		if lifted.Holder == "" {
			return fault.New(fault.NoSuchEntity, "Nobody of that name is frozen in the bucket.")
		}
		tx.Delete(freezeKey(b.ID, lifted.Holder))
		b.Frozen = left > 0
		b.write(tx)
		return nil
	})
	return id, lifted, err
}

// removeFreezes deletes the freezes of a bucket that is deleted.
func removeFreezes(tx kv.Tx, b *Bucket) error {
	if !b.Frozen {
		return nil
	}
	prefix := b.ID.freezes()
	for p, err := range tx.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return err
		}
		tx.Delete(p.Key)
	}
	return nil
}
