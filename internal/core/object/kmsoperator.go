package object

import (
	"bytes"
	"context"
	"encoding/base64"
	"strings"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/keys"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// UnderKey is a version, or an upload in progress, under a key of KMS.
type UnderKey struct {
	Bucket, Key string
	VersionID   string `json:"VersionId,omitempty"`
	UploadID    string `json:"UploadId,omitempty"`
	Size        int64
}

// kmsOwner is a version or an upload under a key of KMS, with the records that hold its data keys.
type kmsOwner struct {
	owner
	UnderKey
	v      *version // of an upload, the version that it will become
	choice keys.Choice
}

// eachUnderKMS calls fn for the versions and uploads under a key of KMS whose records' keys
// begin with "v/" or "m/" and scope. It does so in views of bounded size, and calls flush
// after each view. It skips records that can't be read: scrub reports them. with says
// whether fn needs the records of parts.
func (o *Operator) eachUnderKMS(
	ctx context.Context, scope string, parts bool, fn func(*kmsOwner) error, flush func() error,
) error {
	c := &scrubber{o: o, in: ScrubInput{Tell: func(*Finding, Scrubbed) error { return nil }}}
	for _, prefix := range []string{uploadPrefix, bucket.VersionPrefix} {
		err := c.walk(ctx, prefix+scope, func(r kv.Reader, k, value []byte) (int, error) {
			own, err := c.kmsOwner(r, prefix, k, value)
			if err != nil || own == nil {
				return 0, nil
			}
			if parts {
				if err := own.collect(r); err != nil {
					return 0, err
				}
			}
			size := 0
			for _, e := range own.records {
				size += len(e.key) + len(e.old)
			}
			return size, fn(own)
		}, flush)
		if err != nil {
			return err
		}
	}
	return nil
}

// kmsOwner decodes a version or an upload. It returns nil if that is not under a key of KMS.
func (c *scrubber) kmsOwner(r kv.Reader, prefix string, k, value []byte) (*kmsOwner, error) {
	own, err := ownerOf(prefix, k, value)
	if err != nil {
		return nil, err
	}
	out := &kmsOwner{owner: own}
	if own.upload {
		u, err := decodeUpload(own.records[0].old)
		if err != nil {
			return nil, err
		}
		out.v = &u.version
		out.UploadID = base64.RawURLEncoding.EncodeToString(k[len(k)-24:])
	} else if out.v, err = decodeVersion(own.records[0].old); err != nil {
		return nil, err
	} else {
		out.VersionID = out.v.id()
	}
	if out.v.kms == nil {
		return nil, nil
	}
	out.Bucket, out.Key, out.Size = c.bucketName(r, string(own.id[:])), own.key, out.v.size
	out.choice, err = out.v.operatorChoice(out.Bucket, out.Key)
	return out, err
}

// under reports whether the version or upload is under a key, named by the key's id or ARN.
func (w *kmsOwner) under(key string) bool {
	_, id, ok := strings.Cut(key, ":key/")
	if !ok {
		id = key
	}
	return strings.HasSuffix(w.v.kms.key, ":key/"+id)
}

// KeyUsage counts what needs a key of KMS in one bucket.
type KeyUsage struct {
	Bucket            string
	Versions, Uploads int
	Bytes             int64 // plaintext bytes of the versions
}

// KeyUsage walks all versions and uploads in progress, and returns for each bucket what
// needs a key, named by its id or ARN. The buckets are in the order of their ids. tell is
// called with the number of versions and uploads that were examined so far.
func (o *Operator) KeyUsage(ctx context.Context, key string, tell func(seen int) error) (all []KeyUsage, err error) {
	at, seen := map[string]int{}, 0
	err = o.eachUnderKMS(ctx, "", false, func(w *kmsOwner) error {
		seen++
		if !w.under(key) {
			return nil
		}
		i, ok := at[w.Bucket]
		if !ok {
			i = len(all)
			at[w.Bucket], all = i, append(all, KeyUsage{Bucket: w.Bucket})
		}
		if w.upload {
			all[i].Uploads++
		} else {
			all[i].Versions++
			all[i].Bytes += w.Size
		}
		return nil
	}, func() error { return tell(seen) })
	return all, err
}

// Shredded calls fn for each version and upload under a key, named by its id or ARN, whose
// data key can't be opened any more because the key's material was deleted.
func (o *Operator) Shredded(ctx context.Context, key string, fn func(UnderKey) error) error {
	var some []*kmsOwner
	return o.eachUnderKMS(ctx, "", true, func(w *kmsOwner) error {
		if w.under(key) {
			some = append(some, w)
		}
		return nil
	}, func() error {
		batch := some
		some = nil
		for _, w := range batch {
			gone, err := o.isShredded(ctx, w)
			if err == nil && gone {
				err = fn(w.UnderKey)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// isShredded reports whether one of the data keys can't be opened because the key's
// material was deleted.
func (o *Operator) isShredded(ctx context.Context, w *kmsOwner) (gone bool, err error) {
	n := Rewrapped{Needs: map[uint32]uint64{}}
	look := looker(func(wrapped, binding []byte) {
		if err == nil && !gone {
			gone, err = o.bytes.Shredded(ctx, w.choice, wrapped, binding)
		}
	})
	for _, raw := range w.records {
		if _, rerr := w.rewrap(look, raw, &n); rerr != nil {
			return false, rerr
		}
	}
	return gone, err
}

// looker is a Rewrapper that changes nothing.
type looker func(wrapped, binding []byte)

// Rewrap implements Rewrapper.
func (l looker) Rewrap(wrapped, binding []byte) ([]byte, bool, error) {
	l(wrapped, binding)
	return wrapped, false, nil
}

// RewrapInput says which versions move to the newest material of their keys.
type RewrapInput struct {
	Bucket, Prefix string
	Tell           func(RewrappedUnderKMS) error
}

// RewrappedUnderKMS counts what RewrapUnderKMS did.
type RewrappedUnderKMS struct {
	Versions, Uploads int    // under keys of KMS
	DataKeys          uint64 // of those and of their parts
	Changed           uint64 // data keys that were moved
	Failed            uint64 // data keys that are damaged, or whose key is disabled or deleted
	Left              uint64 // records that changed in the meantime; another run rewraps them
}

// newestMaterial is a Rewrapper that moves data keys of one choice to the newest material
// of their key.
type newestMaterial struct {
	ctx    context.Context
	to     keys.Rewrapper
	choice keys.Choice
}

// Rewrap implements Rewrapper.
func (m newestMaterial) Rewrap(wrapped, binding []byte) ([]byte, bool, error) {
	again, changed, err := keys.Rewrap(m.ctx, m.to, m.choice, wrapped, binding)
	if err != nil {
		return wrapped, false, err
	}
	return again, changed, nil
}

// RewrapUnderKMS moves the data keys of a bucket's versions and uploads under keys of KMS
// to the newest material of their keys, for object keys that begin with a prefix. It does
// not touch the bytes of objects, and it skips data keys that have moved already, so a run
// that was interrupted can be repeated. Error: NoSuchBucket.
func (o *Operator) RewrapUnderKMS(
	ctx context.Context, in RewrapInput, to keys.Rewrapper,
) (n RewrappedUnderKMS, err error) {
	id := ""
	err = o.store.View(ctx, func(r kv.Reader) error {
		b, err := r.Get(record.Key("b/", in.Bucket))
		id = bucketID(b)
		return err
	})
	if err == nil && id == "" {
		err = fault.Of(fault.NoSuchBucket)
	}
	if err != nil {
		return n, err
	}
	var some []*kmsOwner
	return n, o.eachUnderKMS(ctx, id+"/"+in.Prefix, true, func(w *kmsOwner) error {
		some = append(some, w)
		return nil
	}, func() error {
		batch := some
		some = nil
		if err := o.rewrapSome(ctx, batch, to, &n); err != nil {
			return err
		}
		return in.Tell(n)
	})
}

// rewrapSome moves the data keys of one view's versions and uploads. It opens the keys
// outside the transaction; the transaction then checks that the records have not changed.
func (o *Operator) rewrapSome(ctx context.Context, some []*kmsOwner, to keys.Rewrapper, n *RewrappedUnderKMS) error {
	count := Rewrapped{Needs: map[uint32]uint64{}}
	var all []exchange
	for _, w := range some {
		if w.upload {
			n.Uploads++
		} else {
			n.Versions++
		}
		for _, raw := range w.records {
			e, err := w.rewrap(newestMaterial{ctx, to, w.choice}, raw, &count)
			if err != nil {
				return err
			}
			if e.new != nil {
				all = append(all, e)
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	n.DataKeys, n.Changed, n.Failed = n.DataKeys+count.Seen, n.Changed+count.Changed, n.Failed+count.Failed
	if len(all) == 0 {
		return nil
	}
	left := uint64(0)
	err := change.Background(ctx, o.store, "data keys move to the newest material of their keys", func(tx kv.Tx) error {
		left = 0
		moved := map[string]bool{} // versions can share a list of parts
		for _, e := range all {
			if moved[string(e.key)] {
				continue
			}
			now, err := tx.Get(e.key)
			if err != nil {
				return err
			}
			if !bytes.Equal(now, e.old) {
				left++
				continue
			}
			if err := e.apply(tx); err != nil {
				return err
			}
			moved[string(e.key)] = true
		}
		return nil
	})
	n.Left += left
	return err
}
