package identity

import (
	"context"
	"time"

	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/recent"
	"watertight/internal/storage/kv"
)

// Use is a use of an access key.
type Use struct {
	At              time.Time
	Service, Region string
}

// Fields of the record of a use.
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
		return Use{}, record.Malformed("last use of " + accessKeyID)
	}
	return u, nil
}

// Uses records when access keys, users and roles were last used. NoteKey and NoteAccess
// only touch memory; Flush writes. The owner of Uses calls Flush every few seconds and once
// at the end.
type Uses struct {
	store    kv.Store
	keys     *recent.Uses[string, Use]
	accesses *recent.Uses[access, time.Time]
}

// NewUses returns the last uses of the store's keys, users and roles. From then on, the
// store also returns uses that are not written yet. NewUses must be called once, before the
// first request.
func (o *Operator) NewUses() *Uses {
	o.uses = &Uses{store: o.store, keys: recent.New[string, Use](), accesses: recent.New[access, time.Time]()}
	return o.uses
}

// lastUse returns the last use of an existing key.
func (s *Store) lastUse(r kv.Reader, accessKeyID string) (Use, error) {
	if s.uses != nil {
		if use, ok := s.uses.keys.Known(accessKeyID); ok {
			return use, nil
		}
	}
	return readUse(r, accessKeyID)
}

// NoteKey records the use of a long-lived key by a request with a valid signature.
func (u *Uses) NoteKey(accessKeyID string, use Use) { u.keys.Note(accessKeyID, use, use.At) }

// Flush writes the recorded uses: at most one per minute for each key, and for each service
// that a user or role uses.
func (u *Uses) Flush(ctx context.Context) error {
	keys := u.keys.Take(func(use Use) time.Time { return use.At })
	accesses := u.accesses.Take(func(at time.Time) time.Time { return at })
	if len(keys)+len(accesses) == 0 {
		return nil
	}
	return change.Background(ctx, u.store, "last uses of access keys, users and roles", func(tx kv.Tx) error {
		for id, use := range keys {
			// A key that was deleted in the meantime gets no record.
			v, err := tx.Get(keyKey(id))
			if err != nil {
				return err
			}
			if v != nil {
				tx.Set(usedKey(id), use.encode())
			}
		}
		return writeAccesses(tx, accesses)
	})
}
