package object

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/lifecycle"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// eventBytes is what the keys and ids of one event may come to when it is written, so
// that none is left out (CloudTrail's limit is 100 KB).
const eventBytes = 80 << 10

// maxAborted is how many uploads one transaction aborts: each may have 10,000 parts.
const maxAborted = 8

// apply does what is due. Each transaction does one thing by one rule, and has one event.
func (l *Lifecycle) apply(ctx context.Context, c *bucketPass, due []dueItem, at time.Time, w *Worked) error {
	group := func(d *dueItem) Happening {
		h := Happening{
			Bucket: c.b.Name, Owner: c.b.Owner, Rule: d.action.Rule, Kind: d.action.Kind, Class: d.action.Class,
		}
		h.Marker = h.Kind == lifecycle.Expire && c.b.Versioning != bucket.Off
		return h
	}
	for len(due) > 0 {
		first, size := group(&due[0]), 0
		var some, rest []dueItem
		for i := range due {
			d := &due[i]
			full := size > eventBytes || first.Kind == lifecycle.AbortUpload && len(some) == maxAborted
			if full || group(d) != first {
				rest = append(rest, *d)
				continue
			}
			some = append(some, *d)
			size += escapedSize(d.key) + escapedSize(d.upload) + 64
		}
		due = rest
		x := expiry{l: l, b: &c.b, what: first, at: at}
		if err := x.run(ctx, some); err != nil {
			return err
		}
		x.count(w)
	}
	return nil
}

// escapedSize is at least what a text takes in JSON.
func escapedSize(s string) (n int) {
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' {
			n++
		} else {
			n += 6
		}
	}
	return n
}

// expiry is one transaction.
type expiry struct {
	l    *Lifecycle
	b    *bucket.Bucket
	what Happening
	at   time.Time

	gone          []garbage // to remove after the commit
	done, markers []string
	kept          int
	// stays is how many of a key's newest noncurrent versions are known to be there.
	key   string
	stays int
}

func (x *expiry) run(ctx context.Context, due []dueItem) error {
	var event authz.Record
	if x.l.event != nil {
		event = x.l.event(x.what)
	}
	err := change.Operate(ctx, x.l.s.store, event, func(tx kv.Tx) error {
		x.gone, x.done, x.markers, x.kept, x.key, x.stays = nil, nil, nil, 0, "", 0
		b, err := sameBucket(tx, x.b)
		if err != nil {
			return err
		}
		keys := make([]string, len(due))
		for i := range due {
			keys[i] = due[i].key
		}
		slices.Sort(keys) // all who take several guards take them in this order
		for _, key := range slices.Compact(keys) {
			if err := tx.Lock(slot{b, key}.guard(), kv.Exclusive); err != nil {
				return err
			}
		}
		for i := range due {
			done, err := x.do(tx, slot{b, due[i].key}, &due[i])
			if err != nil && !concernsOneVersion(err) {
				return err
			}
			if err != nil || !done {
				x.kept++ // what it says of one version was decided before anything was written
			}
		}
		if len(x.done) == 0 {
			return change.ErrUnchanged
		}
		if event != nil {
			event.Note("deleteMarkerVersionId", x.markers...)
			event.Note(x.noted(), x.done...)
		}
		return nil
	})
	if fault.Is(err, fault.NoSuchBucket) {
		err = errBucketChanged
	}
	if err != nil {
		return err
	}
	x.l.s.removeAll(ctx, x.gone)
	return nil
}

// noted is what the event calls the keys and ids of what was done.
func (x *expiry) noted() string {
	switch x.what.Kind {
	case lifecycle.Move:
		return "transitioned"
	case lifecycle.AbortUpload:
		return "aborted"
	}
	return "deleted"
}

// count adds what was done.
func (x *expiry) count(w *Worked) {
	n := map[lifecycle.Kind]*int{
		lifecycle.Expire: &w.Expired, lifecycle.RemoveVersion: &w.Removed, lifecycle.RemoveMarker: &w.Removed,
		lifecycle.Move: &w.Moved, lifecycle.AbortUpload: &w.Aborted,
	}
	*n[x.what.Kind] += len(x.done)
	w.Kept += x.kept
}

// do does what is due to one version or upload, if that still is what was judged.
func (x *expiry) do(tx kv.Tx, k slot, d *dueItem) (done bool, err error) {
	switch d.action.Kind {
	case lifecycle.AbortUpload:
		return x.abort(tx, k, d)
	case lifecycle.Move:
		done, err = x.move(tx, k, d)
	case lifecycle.Expire:
		done, err = x.expire(tx, k, d)
	case lifecycle.RemoveMarker:
		done, err = x.removeMarker(tx, k, d)
	case lifecycle.RemoveVersion:
		done, err = x.removeNoncurrent(tx, k, d)
	default:
		return false, fault.Internal(errors.New("object: an action of lifecycle that is none"))
	}
	if done {
		x.done = append(x.done, d.key+"?versionId="+d.id)
	}
	return done, err
}

func (x *expiry) abort(tx kv.Tx, k slot, d *dueItem) (bool, error) {
	u, err := lockUpload(tx, k, d.upload, kv.Exclusive)
	if fault.Is(err, fault.NoSuchUpload) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	gone, err := endUpload(tx, k.uploadKey(u), u, nil)
	if err != nil {
		return false, err
	}
	x.gone = append(x.gone, gone...)
	x.done = append(x.done, d.key+"?uploadId="+d.upload)
	return true, nil
}

// expire puts a delete marker on top of a current version or, in a bucket that never had
// versioning, removes it (S3 user guide, "Expiring objects").
func (x *expiry) expire(tx kv.Tx, k slot, d *dueItem) (bool, error) {
	head, err := k.head(tx)
	if err != nil || head == nil || head.seq != d.seq || head.deleteMarker {
		return false, err
	}
	var gone []garbage
	if k.b.Versioning == bucket.Off {
		if gone, err = k.remove(tx, head, removal{at: x.l.s.clock.Passed(x.at)}); err != nil {
			return false, err
		}
		forget(tx, k.pointer())
	} else {
		marker := newMarker(x.at, serviceWriter(lifecycle.Service))
		if gone, err = k.push(tx, head, marker, nil, removal{at: x.l.s.clock.Passed(x.at)}); err != nil {
			return false, err
		}
		x.markers = append(x.markers, marker.id())
	}
	x.gone = append(x.gone, gone...)
	return true, nil
}

// removeMarker removes a delete marker that still is the only version of its key.
func (x *expiry) removeMarker(tx kv.Tx, k slot, d *dueItem) (bool, error) {
	var only *version
	for p, err := range tx.Scan(k.versions(), record.After(k.versions())) {
		if err != nil {
			return false, err
		}
		if only != nil {
			return false, nil
		}
		if only, err = decodeVersion(bytes.Clone(p.Value)); err != nil {
			return false, err
		}
	}
	if only == nil || only.seq != d.seq || !only.deleteMarker {
		return false, nil
	}
	return x.remove(tx, k, only)
}

// removeNoncurrent removes a version that still is noncurrent, if as many newer ones as
// the rule keeps are still there.
func (x *expiry) removeNoncurrent(tx kv.Tx, k slot, d *dueItem) (bool, error) {
	v, err := x.noncurrent(tx, k, d)
	if err != nil || v == nil {
		return false, err
	}
	return x.remove(tx, k, v)
}

func (x *expiry) remove(tx kv.Tx, k slot, v *version) (bool, error) {
	gone, err := k.remove(tx, v, removal{at: x.l.s.clock.Passed(x.at)})
	if err != nil {
		return false, err
	}
	x.gone = append(x.gone, gone...)
	return true, nil
}

// noncurrent returns the version that was judged, nil if it is not noncurrent any more.
func (x *expiry) noncurrent(tx kv.Tx, k slot, d *dueItem) (*version, error) {
	head, err := k.head(tx)
	if err != nil || head == nil || head.seq <= d.seq {
		return nil, err
	}
	if x.key != k.key {
		x.key, x.stays = k.key, 0
	}
	for ; x.stays < min(d.action.Newer, len(d.stay)); x.stays++ {
		if there, err := tx.Get(k.version(d.stay[x.stays])); err != nil || there == nil || d.stay[x.stays] >= head.seq {
			return nil, err
		}
	}
	if len(d.stay) < d.action.Newer {
		return nil, nil
	}
	return k.at(tx, d.seq)
}

// move changes the storage class that a version is shown with.
func (x *expiry) move(tx kv.Tx, k slot, d *dueItem) (bool, error) {
	head, err := k.head(tx)
	if err != nil || head == nil {
		return false, err
	}
	v, err := k.at(tx, d.seq)
	if err != nil || v == nil || v.deleteMarker || v.storageClass == d.action.Class ||
		(v.seq == head.seq) != d.current {
		return false, err
	}
	v.storageClass = d.action.Class
	tx.Set(k.version(v.seq), v.encode())
	if v.seq == head.seq {
		tx.Set(k.pointer(), v.pointer())
	}
	return true, nil
}
