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
// buries it, and its parts are dropped afterwards, some at a time. Whoever is
// reading the parts reads on; the last reader drops them.

// remains are bytes to remove once their deletion lasts: of one blob or, where
// buried is set, of the parts of a buried version.
type remains struct {
	payload.Location
	buried unique
}

func graveKey(u unique) []byte { return record.Key("g/", string(u[:])) }

func bury(tx kv.Tx, v *version) []remains {
	tx.Set(graveKey(v.unique), record.Start(nil))
	return []remains{{buried: v.unique}}
}

// removeAll removes bytes whose records are gone for good. What can't be
// removed now is the sweeper's and PurgeParts'.
func (s *Store) removeAll(ctx context.Context, gone []remains) {
	ctx = context.WithoutCancel(ctx)
	for _, r := range gone {
		if r.buried != (unique{}) {
			_ = s.dropParts(ctx, r.buried)
			continue
		}
		s.payloads.Remove(ctx, r.Location)
	}
}

// dropParts drops the parts of a buried version, unless somebody reads them.
func (s *Store) dropParts(ctx context.Context, u unique) error {
	if !s.holds.clear(u) {
		return nil
	}
	defer s.holds.cleared(u)
	for more := true; more; {
		var gone []remains
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

// dropSome deletes one record of parts, and the grave with the last one.
func dropSome(tx kv.Tx, u unique) (gone []remains, more bool, err error) {
	if err := tx.Lock(graveKey(u), kv.Exclusive); err != nil {
		return nil, false, err
	}
	if grave, err := tx.Get(graveKey(u)); err != nil || grave == nil {
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
		tx.Delete(graveKey(u))
	}
	return gone, more, nil
}

// PurgeParts drops the parts of versions whose deletion was interrupted.
func (s *Store) PurgeParts(ctx context.Context) (dropped int, err error) {
	var graves []unique
	err = s.store.View(ctx, func(r kv.Reader) error {
		for p, err := range r.Scan([]byte("g/"), record.After([]byte("g/"))) {
			if err != nil {
				return err
			}
			var u unique
			if copy(u[:], p.Key[len("g/"):]) != len(u) {
				return malformed()
			}
			graves = append(graves, u)
		}
		return nil
	})
	for _, u := range graves {
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
