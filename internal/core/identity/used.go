package identity

import (
	"context"
	"sync"
	"time"

	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/storage/kv"
)

// Use is a use of an access key.
type Use struct {
	At              time.Time
	Service, Region string
}

// Fields of a use's record.
const (
	fieldUsedAt      = 1
	fieldUsedService = 2
	fieldUsedRegion  = 3
)

func (u *Use) encode() []byte {
	r := record.Time(record.Start(nil), fieldUsedAt, u.At)
	return record.String(record.String(r, fieldUsedService, u.Service), fieldUsedRegion, u.Region)
}

func readUse(r kv.Reader, accessKeyID string) (u Use, err error) {
	v, err := r.Get(usedKey(accessKeyID))
	if err != nil || v == nil {
		return Use{}, err
	}
	f := record.Read(v)
	for f.Next() {
		switch f.Number {
		case fieldUsedAt:
			u.At = f.Time()
		case fieldUsedService:
			u.Service = string(f.Bytes)
		case fieldUsedRegion:
			u.Region = string(f.Bytes)
		default:
			f.Unknown()
		}
	}
	if f.Err() != nil {
		return Use{}, malformed("last use of " + accessKeyID)
	}
	return u, nil
}

// How last uses are kept: they are of interest to people, so a minute's
// inaccuracy costs nothing, and a write for each request would.
const (
	useInterval = time.Minute
	maxUses     = 65536 // keys whose uses wait or are remembered
)

// Uses keeps when access keys were last used. Note is cheap; Flush writes, and
// is called every few seconds by whoever owns it, and once at the end.
type Uses struct {
	store   kv.Store
	mu      sync.Mutex
	waiting map[string]Use
	flushed map[string]Use // is being written, or was
	written map[string]time.Time
}

// NewUses returns the last uses of the keys in s, which from then on tells also
// of those that wait. It is called once, before s is asked for anything.
func (s *Store) NewUses() *Uses {
	s.uses = &Uses{store: s.store, waiting: map[string]Use{}, written: map[string]time.Time{}}
	return s.uses
}

// known is a use that is not in the store yet.
func (u *Uses) known(accessKeyID string) (use Use, ok bool) {
	if u == nil {
		return Use{}, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if use, ok = u.waiting[accessKeyID]; !ok {
		use, ok = u.flushed[accessKeyID]
	}
	return use, ok
}

// lastUse is the last use of a key that is there.
func (s *Store) lastUse(r kv.Reader, accessKeyID string) (Use, error) {
	if use, ok := s.uses.known(accessKeyID); ok {
		return use, nil
	}
	return readUse(r, accessKeyID)
}

// Note remembers a use of a long-lived key by a request whose signature was
// right.
func (u *Uses) Note(accessKeyID string, use Use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if use.At.Sub(u.written[accessKeyID]) < useInterval {
		return
	}
	if _, known := u.waiting[accessKeyID]; known || len(u.waiting) < maxUses {
		u.waiting[accessKeyID] = use
	}
}

// Flush writes what waits, at most once a minute for each key.
func (u *Uses) Flush(ctx context.Context) error {
	u.mu.Lock()
	batch := u.waiting
	u.flushed = batch
	u.waiting = make(map[string]Use, len(batch))
	if len(u.written) >= maxUses {
		clear(u.written)
	}
	for id, use := range batch {
		u.written[id] = use.At
	}
	u.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	return change.Background(ctx, u.store, "last uses of access keys", func(tx kv.Tx) error {
		for id, use := range batch {
			// A key that is gone has no last use.
			v, err := tx.Get(keyKey(id))
			if err != nil {
				return err
			}
			if v != nil {
				tx.Set(usedKey(id), use.encode())
			}
		}
		return nil
	})
}
