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

// Lifecycle does what buckets' lifecycle configurations say. It acts for no caller, so
// that handlers of requests cannot name it (test/arch). Nothing that it does can be done
// to a version that is protected: it goes through slot.remove with nothing to show.
type Lifecycle struct {
	s     *Store
	event func(Happening) authz.Record
	bad   func(bucketName string, err error)
	most  portion
}

// portion bounds one step, so that no transaction is large and no view lasts long.
type portion struct {
	versions, due int
	keep          int // versions judged before the progress is written again
}

// Happening is what a transaction does to versions or uploads of one bucket, by one
// rule. The event also says which keys and versions, see Record.Note.
type Happening struct {
	Bucket, Owner string // Owner is the account id
	Rule          string // its ID
	Kind          lifecycle.Kind
	Marker        bool   // of Expire: delete markers are put on top
	Class         string // of Move
}

// NewLifecycle returns the lifecycle of the objects in s. event makes the audit event of a
// happening; bad is told about what can't be read or done, and the work goes on with the
// next.
func NewLifecycle(
	s *Store, event func(Happening) authz.Record, bad func(bucketName string, err error),
) *Lifecycle {
	return &Lifecycle{s, event, bad, portion{versions: 4096, due: 256, keep: 50_000}}
}

// Worked counts what a pass did.
type Worked struct {
	Judged  int // versions and delete markers
	Expired int // current versions
	Removed int // noncurrent versions and lone delete markers
	Moved   int // to another storage class
	Aborted int // uploads
	Kept    int // what was due, but is protected or has changed meanwhile
}

// Pass goes once through all buckets that have a lifecycle configuration, in small
// portions. One that was interrupted goes on where it was.
type Pass struct {
	Worked Worked

	l     *Lifecycle
	began time.Time
	again bool   // buckets whose pass of this day has ended are judged again
	after string // name of the bucket before
	cur   *bucketPass
}

// Begin begins a pass at an instant. A bucket that was judged completely since the
// midnight before (UTC), when the last actions fell due, is left out unless again is set.
func (l *Lifecycle) Begin(at time.Time, again bool) *Pass {
	return &Pass{l: l, began: l.s.clock.Passed(at), again: again}
}

// bucketPass is the pass over one bucket.
type bucketPass struct {
	b       bucket.Bucket
	judge   expiryJudge
	from    []byte // of the version to go on with; nil: only uploads are left
	uploads []byte // likewise
	behind  int    // versions since the progress was written
}

// Step does the next portion, at an instant; more is false at the end of the pass. An
// error about one bucket is reported, and the pass goes on with the next. The error is
// the context's.
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
		p.cur = nil // it is read again, with its new configuration
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

// next finds the next bucket to judge, and how far the pass before came with it.
func (p *Pass) next(ctx context.Context) (found bool, err error) {
	err = p.l.s.store.View(ctx, func(r kv.Reader) error {
		var failed error
		err := bucket.EachWithLifecycle(r, p.after, func(b *bucket.Bucket) bool {
			var state progress
			if state, failed = readProgress(r, b); failed != nil {
				return false
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

// portion judges and does the next portion of the bucket.
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

// dueUploads finds uploads to abort, from c.uploads on; next is nil at their end.
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

// since is when a version was made or an upload began: the instant in its date or, if
// that is later, in its number. Numbers of a key only ascend, so that a clock which was
// set back makes nothing older.
func (v *version) since() time.Time { return lastOf(v.modified, v.seq) }

func lastOf(modified time.Time, seq uint64) time.Time {
	if at := time.UnixMicro(int64(min(seq, 1<<62))).UTC(); at.After(modified) {
		return at
	}
	return modified
}

// progress is how far the background work is with a bucket: the record l/ID.
type progress struct {
	key   string    // the last one whose versions have been judged
	ended time.Time // when everything was judged for the last time; then there is no key
}

// Fields of progress.
const (
	fieldProgressOf    = 1 // id of the configuration's writing
	fieldProgressKey   = 2
	fieldProgressEnded = 3
)

// readProgress returns the progress with the bucket's configuration. A record of another
// one, or one that can't be read, is no progress: it protects nothing.
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

// errBucketChanged: the bucket is not the one that was judged.
var errBucketChanged = errors.New("object: the bucket has changed since its versions were judged")

// sameBucket takes the bucket's guard, as other writers do, and returns it if it is the
// one that was judged.
func sameBucket(tx kv.Tx, judged *bucket.Bucket) (*bucket.Bucket, error) {
	if err := tx.Lock(bucket.Guard(judged.Name), kv.Shared); err != nil {
		return nil, err
	}
	b, err := bucket.Read(tx, judged.Name)
	if err != nil {
		return nil, err
	}
	if b.ID != judged.ID || b.Lifecycle != judged.Lifecycle || b.Versioning != judged.Versioning {
		return nil, errBucketChanged
	}
	return &b, nil
}
