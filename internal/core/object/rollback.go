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

// A rollback returns the keys of a bucket to their state at an instant. For each key, the
// newest version at that instant becomes current again, as a new version that shares its
// payload. If the key had no object then, a delete marker is added. A rollback removes no
// version, copies no bytes and opens no data key. It runs in pages of one transaction each,
// so that each key changes completely or not at all and memory does not grow with the
// bucket. A key that already has the old state does not change: a rollback can be repeated,
// and continued after any key.

// RollbackInput asks for a page of a rollback.
type RollbackInput struct {
	Bucket, Prefix string
	To             time.Time // versions up to and including its microsecond count
	After          string    // only keys after this one
	DryRun         bool      // report the changes without making them
}

// RollbackAction says what a rollback does to a key. Answers contain the words.
type RollbackAction string

// What a rollback does to a key.
const (
	RollbackRestores RollbackAction = "Restore" // the key has no object now, but had one
	RollbackChanges  RollbackAction = "Change"  // the key has another object now
	RollbackHides    RollbackAction = "Hide"    // the key had no object: a delete marker is added
	RollbackSkips    RollbackAction = "Skip"    // a record can't be read: the key does not change
)

// RollbackEntry is what a rollback does to one key.
type RollbackEntry struct {
	Action    RollbackAction
	Key       string
	VersionID string    `json:"VersionId,omitempty"` // the version whose content becomes current
	Size      int64     `json:",omitempty"`
	Modified  time.Time `json:",omitzero"`  // the date of that version
	Public    bool      `json:",omitempty"` // it becomes current with public grants in its ACL
	Private   bool      `json:",omitempty"` // it becomes current without the public grants that it had
}

// RolledBack is a page of a rollback.
type RolledBack struct {
	Restored, Changed, Hidden, Unchanged, Skipped int   // keys, by RollbackAction
	Bytes                                         int64 // size of the objects that become current again
	// Public counts objects that become current with public grants in their ACLs. Private
	// counts those that lose these grants, because BlockPublicAcls is on or the caller lacks
	// s3:PutObjectAcl. Both are counted above, too.
	Public, Private int
	// Entries lists the keys that are skipped, and in a dry run those that would change.
	Entries     []RollbackEntry `json:",omitempty"`
	First, Last string          // the first and the last key of the page
	Next        string          // After of the next page; empty on the last one
}

// Limits of a page.
const (
	rollbackChanges = 1000   // keys that change; each part whose reference changes counts as one
	rollbackKeys    = 20_000 // keys that are looked at
)

// errMoved says that a version or a setting on which the plan of a page depends has changed.
var errMoved = errors.New("object: versions or settings changed while a rollback was planned")

// check refuses an instant in the future.
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

// checkBucket refuses a bucket without versioning, in which a rollback would remove
// versions, and an instant before the bucket was created.
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

// Rollback rolls a page of a bucket's keys back to an instant, or reports what that would
// change. It needs watertight:RollbackBucket. The public grants of a key's ACL return only
// if the caller also has s3:PutObjectAcl on the key, as for a write with such an ACL. Errors:
// NoSuchBucket, InvalidArgument for an instant in the future or before the bucket,
// InvalidBucketState unless versioning is enabled, OperationAborted if versions are removed
// during each of several tries.
func (s *Store) Rollback(ctx context.Context, g authz.Grant, in RollbackInput) (RolledBack, error) {
	if err := g.Demand("watertight:RollbackBucket", arn.Bucket(in.Bucket)); err != nil {
		return RolledBack{}, err
	}
	p := rollbackPlan{in: &in, at: requestTime(g), by: writerOf(g), clock: s.clock}
	return p.rollback(ctx, &granted{store: s, bucketName: in.Bucket, g: g, wider: g})
}

// Rollback is Store.Rollback for the operator, who may do everything. at is the instant of
// the command, and record the event of the page, which may be nil. The watcher does not get
// the changes.
func (o *Operator) Rollback(
	ctx context.Context, record authz.Record, at time.Time, in RollbackInput,
) (RolledBack, error) {
	at = at.UTC().Truncate(time.Microsecond)
	p := rollbackPlan{in: &in, at: at, by: serviceWriter("operator"), clock: o.clock}
	return p.rollback(ctx, operated{o, in.Bucket, record})
}

// note adds the page's keys and counts to its event.
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

// renew wraps the data keys of the versions that become current again under the current
// generation of the root key. It is never called inside a transaction or a view.
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

// apply executes the steps. It judges each again by what the transaction reads.
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

// current returns the newest version of the step's key. It is read whole, unless it is the
// version that the plan has compared already.
func (s *rollbackStep) current(tx kv.Tx, k slot) (*version, error) {
	head, err := k.head(tx)
	if err != nil || head == nil || head.deleteMarker || head.seq == s.head.seq {
		return head, err
	}
	head, _, err = k.current(tx)
	return head, err
}

// push writes the version or the delete marker for a judgement, and counts what happens to
// the current object.
func (p *rollbackPlan) push(tx kv.Tx, k slot, s *rollbackStep, head *version, j *judged) error {
	switch j.action {
	case RollbackRestores, RollbackChanges:
		v := j.old.again(p.at, p.by)
		v.dataKey, v.acl = s.renewed, j.acl
		if err := v.setLock(k.b, Lock{}, p.clock, p.at); err != nil {
			return err
		}
		n, err := k.overwritten(tx, head, v, nil)
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
