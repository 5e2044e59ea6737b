package object

import (
	"bytes"
	"context"
	"strings"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/keys"
	"watertight/internal/storage/kv"
)

// Rewrapper wraps a data key under the current generation of the root key, see keys.Ring.Rewrap.
type Rewrapper interface {
	Rewrap(wrapped, binding []byte) ([]byte, bool, error)
}

// Rewrapped counts data keys.
type Rewrapped struct {
	Seen, Changed uint64
	Needs         map[uint32]uint64 // by the generation that they need after the run
	Failed        uint64            // data keys that no generation opens; Needs counts them, too
}

const (
	rewrapOwners = 256     // versions and uploads of one batch
	rewrapBytes  = 1 << 20 // bytes of the records of one batch; the last version may exceed it
)

// Rewrap wraps the data keys of the next versions and uploads, with all of their parts,
// under the current generation of the root key. It does not touch the bytes of objects.
// after is nil in the first call, and then next of the call before; next is nil at the end.
// A record that changes in the meantime is left to another pass.
func (s *Store) Rewrap(ctx context.Context, with Rewrapper, after []byte) (next []byte, n Rewrapped, err error) {
	n.Needs = map[uint32]uint64{}
	var owners []owner
	err = s.store.View(ctx, func(r kv.Reader) error {
		owners, next, err = ownersOfKeys(r, after)
		return err
	})
	if err != nil {
		return nil, n, err
	}
	// Opening keys may take long, so it happens outside views and transactions.
	var all []exchange
	for _, o := range owners {
		for _, raw := range o.records {
			e, err := o.rewrap(with, raw, &n)
			if err != nil {
				return nil, n, err
			}
			if e.new != nil {
				all = append(all, e)
			}
		}
	}
	if len(all) == 0 {
		return next, n, nil
	}
	return next, n, change.Background(ctx, s.store, "data keys are wrapped under a new generation of the root key",
		func(tx kv.Tx) error {
			for _, e := range all {
				now, err := tx.Get(e.key)
				if err != nil {
					return err
				}
				if !bytes.Equal(now, e.old) {
					continue
				}
				if err := e.apply(tx); err != nil {
					return err
				}
			}
			return nil
		})
}

// exchange replaces a record if it has not changed.
type exchange struct{ key, old, new []byte }

// apply replaces the record. A current pointer repeats the record of its version.
func (e *exchange) apply(tx kv.Tx) error {
	tx.Set(e.key, e.new)
	object, ok := bytes.CutPrefix(e.key, []byte(bucket.VersionPrefix))
	if !ok {
		return nil
	}
	v, err := decodeVersion(e.new)
	if err != nil {
		return err
	}
	const tail = 1 + 8 // a zero byte and a number
	return repoint(tx, record.Key(pointerPrefix, string(object[:len(object)-tail])), v, e.new)
}

// owner is a version or an upload, with the records that hold its data keys.
type owner struct {
	upload  bool
	id      bucket.ID
	unique  unique // that the data keys are bound to
	key     string
	records []exchange
}

// ownersOfKeys returns the next uploads and versions after a record's key. Uploads come first.
func ownersOfKeys(r kv.Reader, after []byte) (all []owner, next []byte, err error) {
	size := 0
	for _, prefix := range []string{uploadPrefix, bucket.VersionPrefix} {
		from := []byte(prefix)
		if len(after) > 0 {
			if strings.HasPrefix(string(after), prefix) {
				from = append(bytes.Clone(after), 0)
			} else if prefix == uploadPrefix {
				continue
			}
		}
		for p, err := range r.Scan(from, record.After([]byte(prefix))) {
			if err != nil {
				return nil, nil, err
			}
			o, err := ownerOf(prefix, p.Key, p.Value)
			if err != nil {
				return nil, nil, err
			}
			if err := o.collect(r); err != nil {
				return nil, nil, err
			}
			for _, e := range o.records {
				size += len(e.key) + len(e.old)
			}
			if all = append(all, o); len(all) == rewrapOwners || size > rewrapBytes {
				return all, bytes.Clone(p.Key), nil
			}
		}
	}
	return all, nil, nil
}

// ownerOf decodes an upload's or a version's record.
func ownerOf(prefix string, at, value []byte) (o owner, err error) {
	tail := 1 + 8 // a zero byte and a number
	o.upload = prefix == uploadPrefix
	value = bytes.Clone(value)
	if o.upload {
		u, err := decodeUpload(value)
		if err != nil {
			return o, err
		}
		tail += len(unique{})
		o.unique = u.unique
	} else {
		v, err := decodeVersion(value)
		if err != nil {
			return o, err
		}
		o.unique = v.payloadUnique()
	}
	const fixed = 2 + bucketIDSize + 1
	if len(at) < fixed+tail {
		return o, malformed()
	}
	o.id, o.key = bucket.ID(at[2:2+bucketIDSize]), string(at[fixed:len(at)-tail])
	o.records = []exchange{{key: bytes.Clone(at), old: value}}
	return o, nil
}

// collect adds the records of the owner's parts.
func (o *owner) collect(r kv.Reader) error {
	prefix := versionParts(o.unique)
	if o.upload {
		prefix = uploadParts(o.unique)
	}
	for p, err := range r.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return err
		}
		o.records = append(o.records, exchange{key: bytes.Clone(p.Key), old: bytes.Clone(p.Value)})
	}
	return nil
}

// rewrap makes the record that will replace one of the owner's. new stays nil if nothing
// has to be done.
func (o *owner) rewrap(with Rewrapper, e exchange, n *Rewrapped) (exchange, error) {
	one := func(dataKey *[]byte, binding []byte) bool {
		if len(*dataKey) == 0 {
			return false
		}
		n.Seen++
		wrapped, changed, err := with.Rewrap(*dataKey, binding)
		if err != nil {
			n.Failed++
		}
		if changed {
			n.Changed++
			*dataKey = wrapped
		}
		if g := keys.Generation(*dataKey); g > 0 {
			n.Needs[g]++
		}
		return changed
	}
	part := func(p *part) bool { return one(&p.dataKey, partBinding(o.id, o.unique, p.number, o.key)) }
	switch string(e.key[:2]) {
	case uploadPrefix:
		u, err := decodeUpload(e.old)
		if err == nil && one(&u.dataKey, binding(o.id, o.unique, o.key)) {
			e.new = u.encode()
		}
		return e, err
	case bucket.VersionPrefix:
		v, err := decodeVersion(e.old)
		if err == nil && one(&v.dataKey, binding(o.id, o.unique, o.key)) {
			e.new = v.encode()
		}
		return e, err
	case uploadPartPrefix:
		p, err := decodePart(e.old)
		if err == nil && part(p) {
			e.new = p.encode(nil)
		}
		return e, err
	}
	all, err := decodeParts(e.old)
	changed := false
	for _, p := range all {
		changed = part(p) || changed
	}
	if err == nil && changed {
		e.new = encodeParts(all)
	}
	return e, err
}

// decodeParts decodes a record of a version's parts.
func decodeParts(b []byte) (all []*part, err error) {
	f := record.Read(b)
	for f.Next() {
		switch f.Number {
		case fieldListCount, fieldListLast, fieldListSize:
		case fieldParts:
			p, err := decodePart(f.Bytes)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		default:
			f.Unknown()
		}
	}
	if err := f.Err(); err != nil {
		return nil, unreadable(err)
	}
	return all, nil
}
