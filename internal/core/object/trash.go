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

// A version of parts is erased in two steps, for it may have 10,000 of them and
// one request may delete 1,000 such versions: the transaction that deletes it
// marks its parts as trash, and they are dropped afterwards, some at a time.
// Readers of the parts go on; the last one drops them.

// garbage is bytes to remove once their deletion is durable: of one blob or, where
// parts is set, of the parts of a deleted version.
type garbage struct {
	payload.Location
	parts unique
}

func trashKey(u unique) []byte { return record.Key(trashPrefix, string(u[:])) }

func trashParts(tx kv.Tx, v *version) []garbage {
	tx.Set(trashKey(v.unique), record.Start(nil))
	return []garbage{{parts: v.unique}}
}

// removeAll removes bytes whose records are deleted durably. What can't be
// removed now is left to the sweeper and to PurgeParts.
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

// dropParts drops the parts of a deleted version, unless they are being read.
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

// dropSome deletes one record of parts, and the mark with the last one.
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
		tx.Delete(key)
	}
	if !more {
		tx.Delete(trashKey(u))
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

// holds knows which versions of parts are being read, and which are being
// dropped.
type holds struct {
	mu       sync.Mutex
	readers  map[unique]int
	waiting  map[unique]bool // to be dropped by the last reader
	clearing map[unique]bool
}

func newHolds() *holds {
	return &holds{readers: map[unique]int{}, waiting: map[unique]bool{}, clearing: map[unique]bool{}}
}

// take registers a reader; false where the parts are being dropped.
func (h *holds) take(u unique) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clearing[u] {
		return false
	}
	h.readers[u]++
	return true
}

// release ends a reader; it reports that this one has to drop the parts.
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

// clear begins to drop; false where readers or another one do it.
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
