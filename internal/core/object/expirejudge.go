package object

import (
	"bytes"
	"fmt"
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/lifecycle"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// dueItem is an action on a version or an upload.
type dueItem struct {
	key     string
	seq     uint64
	current bool
	upload  string // the id of an upload
	id      string // the id of a version, as clients see it
	action  lifecycle.Action
	size    int64
	kept    bool // Object Lock keeps the version
	// stay lists the newest noncurrent versions of the key that stay. The action may only
	// be executed while the first action.Newer of them exist.
	stay []uint64
}

// expiryJudge goes through the versions of a bucket in the order of their records: by key, the
// newest first. Its memory does not grow with the bucket.
type expiryJudge struct {
	b     *bucket.Bucket
	rules *lifecycle.Rules
	most  portion
	at    time.Time
	all   bool // actions that are not due yet are found, too

	due    []dueItem
	failed []error // about keys that can't be judged
	judged int

	before  string // the last key that was judged completely
	key     string // the key whose versions are being judged
	begun   bool
	skip    bool      // a version of key can't be read, so all of them stay
	above   time.Time // when the next newer version was made
	stay    []uint64
	staying int
	lone    *seen // a delete marker that is the only version so far
}

// seen is the part of a version that is read.
type seen struct {
	seq    uint64
	unique unique
	null   bool
	marker bool
	lock   Lock
	object lifecycle.Object
}

func (s *seen) id() string { return (&version{seq: s.seq, unique: s.unique, null: s.null}).id() }

// read reads a version's record. It refuses or skips an unknown field, see
// record.Fields.Keep.
func (s *seen) read(b []byte) error {
	f := record.Read(b)
	*s = seen{object: lifecycle.Object{Class: className(0), Tags: s.object.Tags[:0]}}
	for f.Next() {
		switch f.Number {
		case fieldSeq:
			s.seq = f.Uint
		case fieldUnique:
			if len(f.Bytes) != copy(s.unique[:], f.Bytes) {
				return malformed()
			}
		case fieldFlags:
			s.null, s.marker = f.Uint&flagNull != 0, f.Uint&flagDeleteMarker != 0
		case fieldSize:
			s.object.Size = int64(min(f.Uint, sizeLimit))
		case fieldModified:
			s.object.Created = f.Time()
		case fieldStorageClass:
			if s.object.Class = className(f.Uint); s.object.Class == "" {
				return malformed()
			}
		case fieldLockMode, fieldLockUntil, fieldLegalHold:
			if !s.lock.take(&f) {
				return malformed()
			}
		case fieldTag:
			name, value, ok := f.Pair()
			if !ok {
				return malformed()
			}
			s.object.Tags = append(s.object.Tags, tag.Tag{Key: name, Value: value})
		default:
			if !isVersionField(f.Number) {
				f.Keep(nil)
			}
		}
	}
	if err := f.Err(); err != nil {
		return unreadable(err)
	}
	if s.seq == 0 {
		return malformed()
	}
	s.object.Created = lastOf(s.object.Created, s.seq)
	return nil
}

// scan judges the next portion, beginning at a record. It returns the record to continue
// with, nil at the end.
func (j *expiryJudge) scan(r kv.Reader, from []byte) (next []byte, err error) {
	prefix := bucket.VersionsOf(j.b.ID)
	n := 0
	var v seen
	for p, err := range r.Scan(from, record.After(prefix)) {
		if err != nil {
			return nil, err
		}
		if n++; n > j.most.versions || len(j.due) >= j.most.due {
			return bytes.Clone(p.Key), nil
		}
		if len(p.Key) < len(prefix)+seqSize {
			return nil, malformed()
		}
		key := p.Key[len(prefix) : len(p.Key)-seqSize]
		if !j.begun || string(key) != j.key {
			j.begin(string(key))
		}
		j.judged++
		if j.skip {
			continue
		}
		if err := v.read(p.Value); err != nil {
			j.failed = append(j.failed, fmt.Errorf("a version of the key %q: %w", j.key, err))
			j.skip, j.lone = true, nil
			continue
		}
		j.add(&v)
	}
	j.end()
	return nil, nil
}

// begin begins another key.
func (j *expiryJudge) begin(key string) {
	j.end()
	j.key, j.begun, j.skip, j.stay, j.staying, j.above = key, true, false, nil, 0, time.Time{}
}

// end ends a key. Only now is it known whether a delete marker is its only version.
func (j *expiryJudge) end() {
	if j.lone != nil {
		j.found(j.lone, true, j.rules.Marker(&j.lone.object))
	}
	j.lone = nil
	if j.begun {
		j.before = j.key
	}
}

// add judges the next version of the key.
func (j *expiryJudge) add(v *seen) {
	v.object.Key = j.key
	current := j.above.IsZero()
	since := j.above
	j.above, j.lone = v.object.Created, nil
	if current {
		if !v.marker {
			permanent := j.b.Versioning == bucket.Off || j.b.Versioning == bucket.Suspended && v.null
			j.found(v, true, j.rules.Current(&v.object, permanent, j.at))
			return
		}
		alone := *v
		alone.object.Tags = nil
		j.lone = &alone
		return
	}
	// The version became noncurrent when the next newer one was made. Should that have the
	// earlier date, this version's own counts.
	if since.Before(v.object.Created) {
		since = v.object.Created
	}
	a := j.rules.Noncurrent(&v.object, since, j.staying, v.marker, j.at)
	j.found(v, false, a)
	if v.marker || a.Kind == lifecycle.RemoveVersion && a.Due(j.at) {
		return
	}
	j.staying++
	if len(j.stay) < lifecycle.MaxNewer {
		j.stay = append(j.stay, v.seq)
	}
}

func (j *expiryJudge) found(v *seen, current bool, a lifecycle.Action) {
	if a.Kind == lifecycle.Nothing || !j.all && !a.Due(j.at) {
		return
	}
	removes := a.Kind == lifecycle.RemoveVersion ||
		a.Kind == lifecycle.Expire && j.b.Versioning != bucket.Enabled && v.null
	protected := v.lock.Hold == HoldOn || v.lock.holds(a.At) && v.lock.holds(j.at)
	j.due = append(j.due, dueItem{
		key: j.key, seq: v.seq, current: current, id: v.id(), action: a, size: v.object.Size, stay: j.stay,
		kept: removes && !v.marker && protected,
	})
}
