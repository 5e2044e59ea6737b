package object

import (
	"bytes"
	"context"
	"errors"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/lifecycle"
	"watertight/internal/storage/kv"
)

// Lifecycle executes the buckets' lifecycle configurations. It acts for no caller, so the
// handlers of requests can't reach it (test/arch). It never removes a protected version: it
// calls slot.remove with a removal that permits no exception.
type Lifecycle struct {
	s     *Store
	event func(Happening) authz.Record
	bad   func(bucketName string, err error)
	most  portion
}

// portion bounds one step, so that no transaction is large and no view lasts long.
type portion struct {
	versions, due int // how many are read, and how many of them may be due
	keep          int // how many are judged before the progress is written again
}

// Happening is what one transaction does to versions or uploads of one bucket by one
// rule. Its event also names the keys and versions, see Record.Note.
type Happening struct {
	Bucket, Owner string // Owner is the account id
	Rule          string // the rule's ID
	Kind          lifecycle.Kind
	Marker        bool   // Expire adds delete markers
	Class         string // the storage class to Move to
}

// NewLifecycle returns the lifecycle of the objects in s. event makes the audit event of a
// happening. bad gets the error of each record that can't be read and of each bucket that
// can't be finished; the work continues with the next one.
func NewLifecycle(
	s *Store, event func(Happening) authz.Record, bad func(bucketName string, err error),
) *Lifecycle {
	return &Lifecycle{s, event, bad, portion{versions: 4096, due: 256, keep: 50_000}}
}

// ErrFrozen is why nothing is done in a bucket: somebody is frozen there. Who attacks a
// bucket may have put its rules, which would remove the versions that a rollback needs.
var ErrFrozen = errors.New("object: lifecycle rules wait while somebody is frozen in the bucket")

// Worked counts what a pass did.
type Worked struct {
	Judged  int // versions and delete markers
	Expired int // current versions
	Removed int // noncurrent versions and lone delete markers
	Moved   int // to another storage class
	Aborted int // uploads
	Kept    int // versions that were due, but are protected or have changed meanwhile
}

// Pass goes once through all buckets that have a lifecycle configuration, in small
// portions. After an interruption, the next pass continues where this one was.
type Pass struct {
	Worked Worked

	l     *Lifecycle
	began time.Time
	again bool   // buckets that were finished today are judged again
	after string // name of the previous bucket
	cur   *bucketPass
}

// Begin begins a pass at an instant. Unless again is set, it leaves out buckets that were
// judged completely since the last midnight (UTC), when the newest actions became due.
func (l *Lifecycle) Begin(at time.Time, again bool) *Pass {
	return &Pass{l: l, began: l.s.clock.Passed(at), again: again}
}

// bucketPass is the pass over one bucket.
type bucketPass struct {
	b       bucket.Bucket
	judge   expiryJudge
	from    []byte // record of the version to continue with; nil if only uploads are left
	uploads []byte // record of the upload to continue with
	behind  int    // versions judged since the progress was written
}

// Step executes the next portion, at an instant. more is false at the end of the pass. An
// error about one bucket goes to bad, and the pass continues with the next bucket. The only
// error returned is the context's.
func (p *Pass) Step(ctx context.Context, at time.Time) (more bool, err error) {
	if p.cur == nil {
		if more, err = p.next(ctx); err != nil || !more {
			return false, err
		}
	}
	// A clock that jumped forward makes nothing due.
	done, err := p.portion(ctx, p.l.s.clock.Passed(at).UTC().Truncate(time.Microsecond))
	if err != nil && ctx.Err() != nil {
		return false, ctx.Err()
	}
	if errors.Is(err, errBucketChanged) {
		p.cur = nil // the bucket is read again, with its new configuration
		return true, nil
	}
	if err != nil {
		p.l.bad(p.cur.b.Name, err)
	}
	if done || err != nil {
		p.after, p.cur = p.cur.b.Name, nil
	}
	return true, nil
}

// next finds the next bucket to judge, and reads how far an interrupted pass came with it.
func (p *Pass) next(ctx context.Context) (found bool, err error) {
	err = p.l.s.store.View(ctx, func(r kv.Reader) error {
		var failed error
		err := bucket.EachWithLifecycle(r, p.after, func(b *bucket.Bucket) bool {
			var state progress
			if state, failed = readProgress(r, b); failed != nil {
				return false
			}
			if b.Frozen {
				p.l.bad(b.Name, ErrFrozen)
				p.after = b.Name
				return true
			}
			if !p.again && !state.ended.Before(p.began.UTC().Truncate(24*time.Hour)) {
				p.after = b.Name
				return true
			}
			rules, err := p.l.s.buckets.Rules(r, b)
			if err != nil {
				p.l.bad(b.Name, err)
				p.after = b.Name
				return true
			}
			found = true
			p.cur = &bucketPass{b: *b, uploads: uploadsOf(b, "")}
			p.cur.judge = expiryJudge{b: b, rules: rules, most: p.l.most}
			if p.cur.from = bucket.VersionsOf(b.ID); state.key != "" {
				p.cur.from = record.After(slot{b, state.key}.versions())
			}
			return false
		}, func(err error) { p.l.bad("", err) })
		return errors.Join(err, failed)
	})
	return found, err
}

// portion judges the next portion of the bucket and applies the actions that are due.
func (p *Pass) portion(ctx context.Context, at time.Time) (done bool, err error) {
	c := p.cur
	c.judge.at = at
	if c.from == nil {
		due, next, err := p.l.dueUploads(ctx, c, at)
		if err == nil {
			err = p.l.apply(ctx, c, due, at, &p.Worked)
		}
		if c.uploads = next; err != nil || next != nil {
			return false, err
		}
		return true, p.l.keep(ctx, &c.b, progress{ended: at})
	}
	before := c.judge.judged
	err = p.l.s.store.View(ctx, func(r kv.Reader) (err error) {
		c.from, err = c.judge.scan(r, c.from)
		return err
	})
	if err != nil {
		return false, err
	}
	p.Worked.Judged += c.judge.judged - before
	c.behind += c.judge.judged - before
	for _, err := range c.judge.failed {
		p.l.bad(c.b.Name, err)
	}
	due := c.judge.due
	c.judge.due, c.judge.failed = nil, nil
	if err := p.l.apply(ctx, c, due, at, &p.Worked); err != nil {
		return false, err
	}
	if c.behind >= p.l.most.keep && c.judge.before != "" {
		c.behind = 0
		return false, p.l.keep(ctx, &c.b, progress{key: c.judge.before})
	}
	return false, nil
}

// dueUploads finds uploads to abort, beginning at c.uploads. next is nil at their end.
func (l *Lifecycle) dueUploads(
	ctx context.Context, c *bucketPass, at time.Time,
) (due []dueItem, next []byte, err error) {
	all := uploadsOf(&c.b, "")
	n := 0
	err = l.s.store.View(ctx, func(r kv.Reader) error {
		for p, err := range r.Scan(c.uploads, record.After(all)) {
			if err != nil {
				return err
			}
			if n++; n > l.most.versions || len(due) == l.most.due {
				next = bytes.Clone(p.Key)
				return nil
			}
			if len(p.Key) < len(all)+1+idSize {
				return malformed()
			}
			u, err := decodeUpload(p.Value)
			if err != nil {
				l.bad(c.b.Name, err)
				continue
			}
			key := string(p.Key[len(all) : len(p.Key)-1-idSize])
			a := c.judge.rules.Upload(key, u.since())
			if a.Due(at) || c.judge.all && a.Kind != lifecycle.Nothing {
				due = append(due, dueItem{key: key, upload: u.id(), action: a})
			}
		}
		return nil
	})
	return due, next, err
}

// since returns when a version was made or an upload began: its date or, if that is later,
// the instant in its number. The numbers of a key only ascend, so a clock that was set back
// makes no version older than it is.
func (v *version) since() time.Time { return lastOf(v.modified, v.seq) }

func lastOf(modified time.Time, seq uint64) time.Time {
	if at := time.UnixMicro(int64(min(seq, 1<<62))).UTC(); at.After(modified) {
		return at
	}
	return modified
}

// progress says how far the background work on a bucket is: the record l/ID.
type progress struct {
	key   string    // the last key whose versions have been judged; "" if all have been
	ended time.Time // when all had been judged
}

// Fields of progress.
const (
	fieldProgressOf    = 1 // bucket.LifecycleID of the configuration
	fieldProgressKey   = 2
	fieldProgressEnded = 3
)

// readProgress returns the progress with the bucket's configuration. A record about another
// configuration, or one that can't be read, counts as no progress: it protects nothing.
func readProgress(r kv.Reader, b *bucket.Bucket) (out progress, err error) {
	value, err := r.Get(b.ID.ProgressKey())
	if err != nil || value == nil {
		return progress{}, err
	}
	same := false
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldProgressOf:
			same = bytes.Equal(f.Bytes, b.Lifecycle[:])
		case fieldProgressKey:
			out.key = string(f.Bytes)
		case fieldProgressEnded:
			out.ended = f.Time()
		default:
			f.Unknown()
		}
	}
	if f.Err() != nil || !same {
		return progress{}, nil
	}
	return out, nil
}

// keep writes the progress.
func (l *Lifecycle) keep(ctx context.Context, b *bucket.Bucket, p progress) error {
	return change.Background(ctx, l.s.store, "how far the lifecycle of a bucket is", func(tx kv.Tx) error {
		if _, err := sameBucket(tx, b); err != nil {
			return err
		}
		v := record.Bytes(record.Start(nil), fieldProgressOf, b.Lifecycle[:])
		v = record.String(v, fieldProgressKey, p.key)
		tx.Set(b.ID.ProgressKey(), record.Time(v, fieldProgressEnded, p.ended))
		return nil
	})
}

// errBucketChanged says that the bucket is not the one that was judged, or has changed.
var errBucketChanged = errors.New("object: the bucket has changed since its versions were judged")

// sameBucket takes the bucket's guard, as other writers do, and returns the bucket if it
// still is as it was judged, and nobody is frozen there.
func sameBucket(tx kv.Tx, judged *bucket.Bucket) (*bucket.Bucket, error) {
	if err := tx.Lock(bucket.Guard(judged.Name), kv.Shared); err != nil {
		return nil, err
	}
	b, err := bucket.Read(tx, judged.Name)
	if err != nil {
		return nil, err
	}
	if b.ID != judged.ID || b.Lifecycle != judged.Lifecycle || b.Versioning != judged.Versioning || b.Frozen {
		return nil, errBucketChanged
	}
	return &b, nil
}
