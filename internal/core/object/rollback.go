package object

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// A rollback takes the keys of a bucket back to what they were at a moment: the newest
// version of each key that was written until then becomes current again, as a new version
// that shares its payload, or a delete marker hides what came later. Nothing is removed or
// copied, and no key is opened. It runs in pages of one transaction each, so that each
// key's change is whole and memory does not grow with the bucket. A key that is already as
// it was stays as it is: a rollback can be repeated, and continued after any key.

// RollbackInput asks for a page of a rollback.
type RollbackInput struct {
	Bucket, Prefix string
	To             time.Time // the moment; versions up to its microsecond count
	After          string    // only keys after it
	DryRun         bool      // only say what would be done
}

// RollbackAction says what a rollback does to a key. The words are part of answers.
type RollbackAction string

// What a rollback does to a key.
const (
	RollbackRestores RollbackAction = "Restore" // there is no current object, and there was one
	RollbackChanges  RollbackAction = "Change"  // the current object is another one than it was
	RollbackHides    RollbackAction = "Hide"    // there was no object: a delete marker
	RollbackSkips    RollbackAction = "Skip"    // a record can't be read; the key stays as it is
)

// RollbackEntry is what a rollback does to one key.
type RollbackEntry struct {
	Action    RollbackAction
	Key       string
	VersionID string    `json:"VersionId,omitempty"` // whose content becomes current
	Size      int64     `json:",omitempty"`
	Modified  time.Time `json:",omitzero"`  // date of that version
	Public    bool      `json:",omitempty"` // it comes back with public grants in its ACL
	Private   bool      `json:",omitempty"` // it comes back without those that it had
}

// RolledBack is a page of a rollback.
type RolledBack struct {
	Restored, Changed, Hidden, Unchanged, Skipped int   // keys, by RollbackAction
	Bytes                                         int64 // size of the objects that become current again
	// Public are objects that come back with public grants in their ACLs, and Private those
	// that come back without them, because BlockPublicAcls is on or the caller lacks
	// s3:PutObjectAcl. They are counted above, too.
	Public, Private int
	// Entries are the keys that a dry run would change, and those that are skipped.
	Entries     []RollbackEntry `json:",omitempty"`
	First, Last string          // keys that were looked at
	Next        string          // After of the next page; empty on the last one
}

// Limits of a page.
const (
	rollbackChanges = 1000   // keys that change; a part whose reference moves counts like one
	rollbackKeys    = 20_000 // keys that are looked at
)

// errMoved: what the page was planned on was removed, wrapped anew or set otherwise in the
// meantime.
var errMoved = errors.New("object: versions or settings changed while a rollback was planned")

// check refuses moments in the future.
func (in *RollbackInput) check(at time.Time) error {
	if in.To.Truncate(time.Microsecond).After(at) {
		return badMoment("The moment to go back to must not be in the future.", in.To)
	}
	return nil
}

func badMoment(message string, to time.Time) error {
	return fault.New(fault.InvalidArgument, message).With("ArgumentName", "x-watertight-rollback-to").
		With("ArgumentValue", to.UTC().Format(time.RFC3339Nano))
}

// checkBucket refuses buckets in which a rollback would remove something, and moments
// before the bucket.
func (in *RollbackInput) checkBucket(b *bucket.Bucket) error {
	if b.Versioning != bucket.Enabled {
		return fault.New(fault.InvalidBucketState,
			"A bucket can only be rolled back while its versioning is enabled.")
	}
	if in.To.Before(b.Created) {
		return badMoment("The moment to go back to is before the bucket was created.", in.To)
	}
	return nil
}

// Rollback takes a page of a bucket's keys back to a moment, or says what that would do.
// It needs watertight:RollbackBucket. The public grants of a key's ACL come back only if the
// caller also has s3:PutObjectAcl on the key, as for a write with such an ACL. Errors:
// NoSuchBucket, InvalidArgument for a moment in the future or before the bucket,
// InvalidBucketState unless versioning is enabled, OperationAborted if versions are removed
// meanwhile again and again.
func (s *Store) Rollback(ctx context.Context, g authz.Grant, in RollbackInput) (RolledBack, error) {
	if err := g.Demand("watertight:RollbackBucket", arn.Bucket(in.Bucket)); err != nil {
		return RolledBack{}, err
	}
	p := rollbackPlan{in: &in, at: requestTime(g), by: writerOf(g), clock: s.clock}
	return p.rollback(ctx, &granted{store: s, bucketName: in.Bucket, g: g, wider: g})
}

// Rollback is Store.Rollback for the operator, at the instant of the command, who may do
// all; record is the event of the page; it may be nil. The watcher is not told.
func (o *Operator) Rollback(
	ctx context.Context, record authz.Record, at time.Time, in RollbackInput,
) (RolledBack, error) {
	at = at.UTC().Truncate(time.Microsecond)
	p := rollbackPlan{in: &in, at: at, by: serviceWriter("operator"), clock: o.clock}
	return p.rollback(ctx, operated{o, in.Bucket, record})
}

// note has the event of a page name its keys and counts.
func (n *RolledBack) note(note func(name string, values ...string)) {
	note("firstKey", n.First)
	note("lastKey", n.Last)
	note("restored", strconv.Itoa(n.Restored))
	note("changed", strconv.Itoa(n.Changed))
	note("hidden", strconv.Itoa(n.Hidden))
	note("public", strconv.Itoa(n.Public))
	note("private", strconv.Itoa(n.Private))
}

// rollback plans a page in a view and applies it in a transaction.
func (asked rollbackPlan) rollback(ctx context.Context, who rollbacker) (out RolledBack, err error) {
	in := asked.in
	if err := in.check(asked.at); err != nil {
		return RolledBack{}, err
	}
	for try := 1; ; try++ {
		p := asked
		err = who.view(ctx, func(r kv.Reader) (err error) {
			if p.b, err = who.bucket(r); err != nil {
				return err
			}
			return p.run(r)
		})
		if err == nil {
			err = who.ask(ctx, p.public())
		}
		if err != nil {
			return p.out, err
		}
		if p.conclude(who.opens); in.DryRun || len(p.steps) == 0 {
			return p.out, nil
		}
		if err := p.renew(who); err != nil {
			return RolledBack{}, err
		}
		err = who.commit(ctx, func(tx kv.Tx, b *bucket.Bucket) (RolledBack, error) {
			if b.ID != p.b.ID {
				return out, noSuchBucket(in.Bucket)
			}
			if out, err = p.apply(tx, b, who.opens); err == nil && out.Restored+out.Changed+out.Hidden == 0 {
				err = change.ErrUnchanged
			}
			return out, err
		})
		switch {
		case err == nil:
			who.tell(ctx, p.b, p.lost)
			return out, nil
		case !errors.Is(err, errMoved):
			return RolledBack{}, err
		case try == maxRereads:
			return RolledBack{}, fault.Of(fault.OperationAborted).Because(err)
		}
	}
}

// renew wraps the data keys of versions that come back under the current generation. It is
// never called inside a transaction or a view.
func (p *rollbackPlan) renew(who rollbacker) (err error) {
	for i := range p.steps {
		s := &p.steps[i]
		if s.old == nil || s.old.dataKey == nil {
			continue
		}
		s.renewed, err = who.renew(s.old.dataKey, binding(p.b.ID, s.old.payloadUnique(), s.key))
		if err != nil {
			return err
		}
	}
	return nil
}

// apply carries out the steps, each judged by what the transaction reads.
func (p *rollbackPlan) apply(tx kv.Tx, b *bucket.Bucket, opens func(key string) bool) (RolledBack, error) {
	p.lost = alarm.Changes{}
	out := RolledBack{
		Unchanged: p.out.Unchanged, Skipped: p.out.Skipped, Entries: p.out.Entries,
		First: p.out.First, Last: p.out.Last, Next: p.out.Next,
	}
	if err := p.in.checkBucket(b); err != nil {
		return out, err
	}
	public, err := bucket.Public(tx, b, p.at)
	if err == nil && public.BlockPublicACLs != p.private {
		err = errMoved
	}
	if err != nil {
		return out, err
	}
	for i := range p.steps {
		s := &p.steps[i]
		k := slot{b, s.key}
		if err := tx.Lock(k.guard(), kv.Exclusive); err != nil {
			return out, err
		}
		head, err := s.current(tx, k)
		if err != nil {
			return out, err
		}
		var old *version
		if s.old != nil {
			if old, err = k.at(tx, s.old.seq); err != nil {
				return out, err
			}
			if old == nil || !bytes.Equal(old.dataKey, s.old.dataKey) || old.acl.Public() != s.old.acl.Public() {
				return out, errMoved
			}
		}
		done := judge(head, old, p.private || !opens(s.key))
		out.count(&done)
		if err := p.push(tx, k, s, head, &done); err != nil {
			return out, err
		}
	}
	return out, nil
}

// current returns the newest version of the step's key: whole, unless it is the one that the
// plan found to differ, which needs no second look.
func (s *rollbackStep) current(tx kv.Tx, k slot) (*version, error) {
	head, err := k.head(tx)
	if err != nil || head == nil || head.deleteMarker || head.seq == s.head.seq {
		return head, err
	}
	head, _, err = k.current(tx)
	return head, err
}

// push writes the version or the delete marker that a judgement asks for, and counts what
// that does to the current object.
func (p *rollbackPlan) push(tx kv.Tx, k slot, s *rollbackStep, head *version, j *judged) error {
	switch j.action {
	case RollbackRestores, RollbackChanges:
		v := j.old.again(p.at, p.by)
		v.dataKey, v.acl = s.renewed, j.acl
		if err := v.setLock(k.b, Lock{}, p.clock, p.at); err != nil {
			return err
		}
		n, err := k.overwritten(tx, head, v)
		if err != nil {
			return err
		}
		p.lost.Add(alarm.Change{Key: s.key, Counts: n})
		return k.restore(tx, head, j.old, v)
	case RollbackHides:
		p.lost.Add(alarm.Change{Key: s.key, Counts: alarm.Counts{alarm.Deletes: 1}})
		_, err := k.push(tx, head, newMarker(p.at, p.by), nil, removal{})
		return err
	}
	return nil
}
