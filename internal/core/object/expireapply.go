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

// eventBytes bounds the size of the keys and ids in one event, as they are written, so that
// none has to be left out (CloudTrail's limit for an event is 100 KB).
const eventBytes = 80 << 10

// maxAborted is how many uploads one transaction aborts. Each may have 10,000 parts.
const maxAborted = 8

// apply executes the actions that are due. Each transaction executes one kind of action by
// one rule, and has one event.
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

// escapedSize returns an upper bound of a text's length in JSON.
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

// expiry is one transaction of apply.
type expiry struct {
	l    *Lifecycle
	b    *bucket.Bucket
	what Happening
	at   time.Time

	gone          []garbage // to remove after the commit
	done, markers []string
	kept          int
	// stays is how many of key's newest noncurrent versions are known to exist still.
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
		slices.Sort(keys) // every transaction takes guards in this order
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
				x.kept++ // a refusal comes before the first write, so nothing is half done
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

// noted returns the name under which the event lists the keys and ids.
func (x *expiry) noted() string {
	switch x.what.Kind {
	case lifecycle.Move:
		return "transitioned"
	case lifecycle.AbortUpload:
		return "aborted"
	}
	return "deleted"
}

// count adds the transaction to w.
func (x *expiry) count(w *Worked) {
	n := map[lifecycle.Kind]*int{
		lifecycle.Expire: &w.Expired, lifecycle.RemoveVersion: &w.Removed, lifecycle.RemoveMarker: &w.Removed,
		lifecycle.Move: &w.Moved, lifecycle.AbortUpload: &w.Aborted,
	}
	*n[x.what.Kind] += len(x.done)
	w.Kept += x.kept
}

// do executes the action on one version or upload, if that is as it was when judged.
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
		return false, fault.Internal(errors.New("object: unknown lifecycle action"))
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

// expire adds a delete marker to a key or, in a bucket that never had versioning, removes
// its object (S3 user guide, "Expiring objects").
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

// removeMarker removes a delete marker if it still is the only version of its key.
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

// removeNoncurrent removes a version if it is still noncurrent, and if the newer versions
// that the rule keeps still exist.
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

// noncurrent returns the version that was judged, nil if it must stay.
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

// move changes the storage class that answers show for a version. Its bytes stay where they
// are.
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
	return true, k.rewrite(tx, v)
}
