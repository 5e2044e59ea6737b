package object

import (
	"bytes"
	"context"
	"fmt"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/payload"
	"watertight/internal/storage/kv"
)

// Sealed returns what the bytes of blobs must be, by the records that refer to them, for
// payload.Operator.Tidy. It returns nil for a blob that no version has: its record was deleted,
// or it is a part of an upload that was not completed.
func (o *Operator) Sealed(ctx context.Context, names []string) ([]*payload.Check, error) {
	all := make([]*payload.Check, len(names))
	buckets := map[string]string{}
	err := o.store.View(ctx, func(r kv.Reader) error {
		for i, name := range names {
			at, err := r.Get(blobKey(name))
			if err != nil {
				return err
			}
			if at == nil {
				continue
			}
			if all[i], err = sealedAt(r, bytes.Clone(at), name, buckets); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// sealedAt returns what the bytes of a blob must be whose reference leads to a record.
func sealedAt(r kv.Reader, at []byte, name string, buckets map[string]string) (*payload.Check, error) {
	value, err := r.Get(at)
	if err != nil || value == nil {
		return nil, err
	}
	if bytes.HasPrefix(at, []byte(sharePrefix)) {
		if at, value, err = sharedBy(r, at, value); err != nil || at == nil {
			return nil, err
		}
	}
	id, _, _, ok := splitVersion(at)
	if !ok {
		return nil, nil
	}
	if _, ok := buckets[id]; !ok {
		buckets[id] = (&scrubber{}).bucketName(r, id)
	}
	s, v, err := versionSubject(r, buckets[id], at, value)
	if err != nil {
		return nil, nil // scrub reports it; it says nothing about the bytes
	}
	if s.at.Blob == name {
		return s.sealed(), nil
	}
	var found *payload.Check
	err = eachPart(r, v, nil, func(p *part) bool {
		if p.blob != name {
			return true
		}
		if of, err := partSubject(r, s, p, s.refers); err == nil {
			found = of.sealed()
		}
		return false
	})
	return found, err
}

func (s *subject) sealed() *payload.Check {
	return &payload.Check{At: s.at, Binding: s.binding, Choice: s.choice}
}

// sharedBy returns the record of one of the versions that share a payload, nil if there is none.
func sharedBy(r kv.Reader, at, value []byte) (k, v []byte, err error) {
	h, err := decodeShare(value)
	if err != nil {
		return nil, nil, nil // scrub reports it
	}
	of := slot{&bucket.Bucket{ID: h.id}, h.key}.versions()
	for p, err := range r.Scan(of, record.After(of)) {
		if err != nil {
			return nil, nil, fmt.Errorf("object: the versions that share a payload: %w", err)
		}
		v, err := decodeVersion(bytes.Clone(p.Value))
		if err == nil && v.shared && bytes.Equal(shareKey(v.payloadUnique()), at) {
			return bytes.Clone(p.Key), bytes.Clone(p.Value), nil
		}
	}
	return nil, nil, nil
}
