package object

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

func deleteAction(versionID *string) policy.Action {
	if versionID != nil {
		return "s3:DeleteObjectVersion"
	}
	return "s3:DeleteObject"
}

// Delete deletes a key, or one version permanently. It needs s3:DeleteObject, or
// s3:DeleteObjectVersion with VersionID. Deleting what does not exist succeeds. Errors:
// NoSuchBucket, InvalidArgument, PreconditionFailed, NoSuchKey.
func (s *Store) Delete(ctx context.Context, g authz.Grant, bucketName string, in DeleteInput) (Deleted, error) {
	if err := g.Demand(deleteAction(in.VersionID), arn.Object(bucketName, in.Key)); err != nil {
		return Deleted{}, err
	}
	one := []DeleteInput{in}
	out, err := s.deleteAll(ctx, g, bucketName, one, one)
	if err != nil {
		return Deleted{}, err
	}
	return out[0], out[0].Err
}

// DeleteMany deletes up to MaxPage items in one transaction and returns a result for each:
// Err is AccessDenied if the grant doesn't cover the item. It needs s3:DeleteObject of each
// item, or s3:DeleteObjectVersion of one with VersionID. The returned error concerns the
// whole request.
func (s *Store) DeleteMany(
	ctx context.Context, g authz.Grant, bucketName string, items []DeleteInput,
) ([]Deleted, error) {
	// No action is demanded for the whole batch: each item is demanded below, and an item
	// that is not granted is skipped.
	if len(items) > MaxPage {
		return nil, fault.New(fault.MalformedXML,
			"The XML you provided was not well-formed or did not validate against our published schema")
	}
	granted := make([]DeleteInput, 0, len(items))
	where := make([]int, 0, len(items))
	out := make([]Deleted, len(items))
	for i, item := range items {
		// Only a refusal counts here. An item that is allowed is demanded again in the
		// transaction, where a refusal concerns that item only.
		if action, at := deleteAction(item.VersionID), arn.Object(bucketName, item.Key); !g.Allows(action, at) {
			out[i] = refused(&item, g.Demand(action, at))
			continue
		}
		granted, where = append(granted, item), append(where, i)
	}
	if len(granted) == 0 {
		if g.Caller().Anonymous() {
			return nil, fault.Of(fault.AccessDenied)
		}
		return out, nil
	}
	done, err := s.deleteAll(ctx, g, bucketName, granted, items)
	if err != nil {
		return nil, err
	}
	for i, d := range done {
		out[where[i]] = d
	}
	return out, nil
}

func refused(in *DeleteInput, err error) Deleted {
	d := Deleted{Key: in.Key, Err: err}
	if in.VersionID != nil {
		d.VersionID = *in.VersionID
	}
	return d
}

// deleteAll deletes items in one transaction. It demands each item again there, and skips
// those that are refused. asked are the items of the whole request: one that names a version
// without the code that MFA Delete needs fails all.
func (s *Store) deleteAll(
	ctx context.Context, g authz.Grant, bucketName string, items, asked []DeleteInput,
) ([]Deleted, error) {
	out := make([]Deleted, len(items))
	var done struct { // one allocation
		gone []garbage
		in   *bucket.Bucket
		lost alarm.Changes
	}
	err := s.writeIn(ctx, g, bucketName, func(tx kv.Tx, b *bucket.Bucket) (err error) {
		done.gone, done.in, done.lost = done.gone[:0], b, alarm.Changes{}
		if err := mayRemoveAll(b, asked); err != nil {
			return err
		}
		if err := mayBypassIn(b, items); err != nil {
			return err
		}
		if err := lockKeys(tx, b, items); err != nil {
			return err
		}
		changed := false
		for i := range items {
			// The demand is repeated because the renewed grant may cover less.
			if err := g.Demand(deleteAction(items[i].VersionID), arn.Object(bucketName, items[i].Key)); err != nil {
				out[i] = refused(&items[i], err)
				continue
			}
			how := removalBy(s.clock, g, b)
			how.mfa, how.bypass = items[i].MFA, items[i].bypasses(g, bucketName)
			d := deletion{slot: slot{b, items[i].Key}, in: &items[i], removal: how, g: g}
			out[i], err = d.run(tx)
			if concernsOneVersion(err) && !d.changed {
				out[i] = refused(&items[i], err)
				continue
			}
			if err != nil {
				return err
			}
			changed = changed || d.changed
			done.gone = append(done.gone, d.gone...)
			if d.lost {
				done.lost.Add(items[i].loss())
			}
		}
		if !changed {
			return change.ErrUnchanged
		}
		noteDeleted(g, out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.removeAll(ctx, done.gone)
	s.tell(ctx, g, done.in, done.lost)
	return out, nil
}

// loss is what the deletion of an object, or of a version of one, is for the alarm.
func (in *DeleteInput) loss() alarm.Change {
	ch := alarm.Change{Key: in.Key, Counts: alarm.Counts{alarm.Deletes: 1}}
	if in.VersionID != nil {
		ch.Version = *in.VersionID
	}
	return ch
}

// mayRemoveAll refuses a request that names a version without the code that it needs, whether
// or not the version exists (S3 API reference, DeleteObjects, x-amz-mfa).
func mayRemoveAll(b *bucket.Bucket, items []DeleteInput) error {
	for i := range items {
		if items[i].VersionID == nil {
			continue
		}
		if err := b.MayRemove(items[i].MFA); err != nil {
			return err
		}
	}
	return nil
}

// mayBypassIn refuses x-amz-bypass-governance-retention in a bucket without Object Lock for
// keys, as AWS was seen to do. For versions it is accepted: there is nothing to bypass.
func mayBypassIn(b *bucket.Bucket, items []DeleteInput) error {
	if b.ObjectLock.Enabled {
		return nil
	}
	for i := range items {
		if items[i].Bypass != nil && items[i].VersionID == nil {
			return badLock(bypassHeader, "", bypassHeader+" is only applicable to Object Lock enabled buckets.")
		}
	}
	return nil
}

const bypassHeader = "x-amz-bypass-governance-retention"

// lacksBypass returns what a caller is told who asks to bypass governance mode without the
// permission, where nothing else protects the version: otherwise is nil.
func (in *DeleteInput) lacksBypass(g authz.Grant, bucketName string, otherwise error) error {
	if in.Bypass == nil || !*in.Bypass || otherwise != nil {
		return nil
	}
	return g.Demand("s3:BypassGovernanceRetention", arn.Object(bucketName, in.Key))
}

// bypasses reports whether the item may be removed in spite of governance mode.
func (in *DeleteInput) bypasses(g authz.Grant, bucketName string) bool {
	return mayBypass(g, in.Bypass != nil && *in.Bypass, bucketName, in.Key)
}

// AnyGranted reports whether a grant covers the deletion of any of the items.
func AnyGranted(g authz.Grant, bucketName string, items []DeleteInput) bool {
	return slices.ContainsFunc(items, func(in DeleteInput) bool {
		return g.Allows(deleteAction(in.VersionID), arn.Object(bucketName, in.Key))
	})
}

// noteDeleted adds to the audit event what was deleted: each key with its version, and the
// delete markers that were made.
func noteDeleted(g authz.Grant, all []Deleted) {
	var deleted, markers []string
	for _, d := range all {
		switch {
		case d.Err != nil:
			continue
		case d.VersionID != "":
			deleted = append(deleted, d.Key+"?versionId="+d.VersionID)
		default:
			deleted = append(deleted, d.Key)
		}
		if d.MarkerID != "" {
			markers = append(markers, d.MarkerID)
		}
	}
	g.Note("deleted", deleted...)
	g.Note("deleteMarkerVersionId", markers...)
}

// lockKeys takes the guards of all keys in sorted order, so that two requests can't deadlock.
func lockKeys(tx kv.Tx, b *bucket.Bucket, items []DeleteInput) error {
	if len(items) == 1 {
		return tx.Lock(slot{b, items[0].Key}.guard(), kv.Exclusive)
	}
	keys := make([]string, 0, len(items))
	for i := range items {
		keys = append(keys, items[i].Key)
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		if err := tx.Lock(slot{b, key}.guard(), kv.Exclusive); err != nil {
			return err
		}
	}
	return nil
}

// deletion deletes one item inside a transaction.
type deletion struct {
	slot
	in      *DeleteInput
	removal removal
	g       authz.Grant
	gone    []garbage // to remove after the commit
	changed bool
	lost    bool // an object, or a version of one, is deleted: not only a delete marker
}

// run deletes the item. A refusal is in Deleted.Err; an error aborts the transaction,
// unless it concerns one version: nothing was written then.
func (d *deletion) run(tx kv.Tx) (Deleted, error) {
	if err := checkKey(d.key); err != nil {
		return refused(d.in, err), nil
	}
	head, err := d.head(tx)
	if err != nil {
		return Deleted{}, err
	}
	if d.in.VersionID != nil {
		return d.deleteVersion(tx, head)
	}
	if err := d.in.mayDelete(head); err != nil {
		return refused(d.in, err), nil
	}
	// Without versioning the deletion is permanent, like that of a version, so a Deny of
	// s3:DeleteObjectVersion applies (S3 API reference, DeleteObject, Permissions).
	unversioned := d.b.Versioning == bucket.Off || d.b.Versioning == bucket.Suspended && head != nil && head.null
	if unversioned && d.g.Denied("s3:DeleteObjectVersion", arn.Object(d.b.Name, d.key)) {
		return refused(d.in, fault.Of(fault.AccessDenied)), nil
	}
	out := Deleted{Key: d.key}
	if d.b.Versioning == bucket.Off {
		if head == nil {
			return out, nil
		}
		if d.gone, err = d.remove(tx, head, d.removal); err != nil {
			return Deleted{}, err
		}
		d.changed, d.lost = true, true
		forget(tx, d.pointer())
		return out, nil
	}
	marker := newMarker(requestTime(d.g), writerOf(d.g))
	if d.gone, err = d.push(tx, head, marker, nil, d.removal); err != nil {
		return Deleted{}, err
	}
	d.changed, d.lost = true, head != nil && !head.deleteMarker
	out.DeleteMarker, out.MarkerID = true, marker.id()
	return out, nil
}

// deleteVersion deletes the named version.
func (d *deletion) deleteVersion(tx kv.Tx, head *version) (Deleted, error) {
	v, err := d.byID(tx, *d.in.VersionID)
	if fault.Is(err, fault.InvalidArgument) {
		return refused(d.in, err), nil
	}
	if err != nil {
		return Deleted{}, err
	}
	if err := d.in.mayDelete(v); err != nil {
		return refused(d.in, err), nil
	}
	out := Deleted{Key: d.key, VersionID: *d.in.VersionID}
	if v == nil {
		return out, nil
	}
	if head == nil {
		return Deleted{}, fault.Internal(fmt.Errorf("object: a version without a newest one in bucket %q", d.b.Name))
	}
	var next *version
	if v.seq == head.seq {
		if next, err = d.below(tx, v.seq); err != nil {
			return Deleted{}, err
		}
	}
	if d.gone, err = d.remove(tx, v, d.removal); err != nil {
		return Deleted{}, cmp.Or(d.in.lacksBypass(d.g, d.b.Name, v.removable(d.removal.at, true)), err)
	}
	d.changed, d.lost = true, !v.deleteMarker
	if v.deleteMarker {
		out.DeleteMarker, out.MarkerID = true, v.id()
	}
	if v.seq == head.seq {
		d.promote(tx, next)
	}
	return out, nil
}

func newMarker(at time.Time, by writer) *version {
	v := &version{deleteMarker: true, storageClass: className(0), modified: at, writer: by}
	rand.Read(v.unique[:])
	return v
}
