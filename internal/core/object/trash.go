package object

import (
	"bytes"
	"context"
	"sync"

	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/payload"
	"watertight/internal/storage/kv"
)

// A multipart version is removed in two steps, because it may have 10,000 parts and one
// request may delete 1,000 such versions. The transaction that deletes the version marks
// its parts as trash. They are dropped afterwards, in batches. Readers that have opened the
// parts may finish; the last one drops them.

// garbage names bytes to remove after their deletion is durable: those of one blob or, if
// parts is set, of the parts of a deleted version.
type garbage struct {
	payload.Location
	parts unique
}

func trashKey(u unique) []byte { return record.Key(trashPrefix, string(u[:])) }

func trashParts(tx kv.Tx, v *version) []garbage {
	u := v.payloadUnique()
	tx.Set(trashKey(u), record.Start(nil))
	return []garbage{{parts: u}}
}

// removeAll removes bytes after the deletion of their records is durable. If it fails for
// some, the sweeper and PurgeParts remove them later.
func (s *Store) removeAll(ctx context.Context, gone []garbage) {
	ctx = context.WithoutCancel(ctx)
	for _, r := range gone {
		if r.parts != (unique{}) {
			_ = s.dropParts(ctx, r.parts)
			continue
		}
		s.payloads.Remove(ctx, r.Location)
	}
}

// dropParts drops the parts of a deleted version, unless a reader has them open.
func (s *Store) dropParts(ctx context.Context, u unique) error {
	if !s.holds.clear(u) {
		return nil
	}
	defer s.holds.cleared(u)
	for more := true; more; {
		var gone []garbage
		err := change.Background(ctx, s.store, "parts of deleted versions are dropped", func(tx kv.Tx) (err error) {
			gone, more, err = dropSome(tx, u)
			return err
		})
		if err != nil {
			return err
		}
		s.removeAll(ctx, gone)
	}
	return nil
}

// dropSome drops the parts in one record. With the last record, it also deletes the mark.
func dropSome(tx kv.Tx, u unique) (gone []garbage, more bool, err error) {
	if err := tx.Lock(trashKey(u), kv.Exclusive); err != nil {
		return nil, false, err
	}
	if mark, err := tx.Get(trashKey(u)); err != nil || mark == nil {
		return nil, false, err
	}
	prefix := versionParts(u)
	var key []byte
	for p, err := range tx.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return nil, false, err
		}
		if more = key != nil; more {
			break
		}
		key = bytes.Clone(p.Key)
		_, err := partsOf(p.Value, nil, func(p *part) bool {
			gone = append(gone, dropPart(tx, p)...)
			return true
		})
		if err != nil {
			return nil, false, err
		}
	}
	if key != nil {
		forget(tx, key)
	}
	if !more {
		forget(tx, trashKey(u))
	}
	return gone, more, nil
}

// PurgeParts drops the parts of versions whose deletion was interrupted.
func (s *Store) PurgeParts(ctx context.Context) (dropped int, err error) {
	var trashed []unique
	err = s.store.View(ctx, func(r kv.Reader) error {
		for p, err := range r.Scan([]byte(trashPrefix), record.After([]byte(trashPrefix))) {
			if err != nil {
				return err
			}
			var u unique
			if copy(u[:], p.Key[len(trashPrefix):]) != len(u) {
				return malformed()
			}
			trashed = append(trashed, u)
		}
		return nil
	})
	for _, u := range trashed {
		if err == nil {
			err = s.dropParts(ctx, u)
		}
		if err != nil {
			return dropped, err
		}
		dropped++
	}
	return dropped, err
}

// holds tracks which multipart versions are being read, and which are being dropped.
type holds struct {
	mu       sync.Mutex
	readers  map[unique]int
	waiting  map[unique]bool // the last reader drops them
	clearing map[unique]bool
}

func newHolds() *holds {
	return &holds{readers: map[unique]int{}, waiting: map[unique]bool{}, clearing: map[unique]bool{}}
}

// take registers a reader. It returns false if the parts are being dropped.
func (h *holds) take(u unique) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clearing[u] {
		return false
	}
	h.readers[u]++
	return true
}

// release ends a reader. It reports whether the caller must drop the parts.
func (h *holds) release(u unique) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers[u]--; h.readers[u] > 0 {
		return false
	}
	delete(h.readers, u)
	late := h.waiting[u]
	delete(h.waiting, u)
	return late
}

// clear starts to drop. It returns false if a reader will drop the parts, or another call
// already does.
func (h *holds) clear(u unique) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers[u] > 0 {
		h.waiting[u] = true
		return false
	}
	if h.clearing[u] {
		return false
	}
	h.clearing[u] = true
	return true
}

func (h *holds) cleared(u unique) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clearing, u)
}
