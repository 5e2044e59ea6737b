package kms

import (
	"context"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// usage is the operation that used a key's material. The numbers are stored.
type usage uint8

const (
	usedToEncrypt         usage = 1
	usedToDecrypt         usage = 2
	usedToReEncrypt       usage = 3
	usedToGenerate        usage = 4
	usedToGenerateWithout usage = 5
	usages                usage = 6
)

// String returns the API's name of the operation.
func (u usage) String() string {
	names := [usages]string{
		"", "Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
	}
	if u >= usages {
		return ""
	}
	return names[u]
}

// lastUse is the last use of a key.
type lastUse struct {
	at  time.Time
	how usage
}

// Fields of the record of a last use. The numbers are stored.
const (
	fieldUsedAt  = 1
	fieldUsedHow = 2
)

func usedKey(id string) []byte { return record.Key(usedPrefix, id) }

func (l *lastUse) encode() []byte {
	return record.Uint(record.Time(record.Start(nil), fieldUsedAt, l.at), fieldUsedHow, uint64(l.how))
}

func readLastUse(r kv.Reader, id string) (l lastUse, err error) {
	v, err := r.Get(usedKey(id))
	if err != nil || v == nil {
		return l, err
	}
	f := record.Read(v)
	for f.Next() {
		switch f.Number {
		case fieldUsedAt:
			l.at = f.Time()
		case fieldUsedHow:
			if l.how = usage(min(f.Uint, 255)); l.how >= usages {
				f.Unknown()
			}
		default:
			f.Unknown()
		}
	}
	if err := f.Err(); err != nil {
		return l, fault.Internal(err)
	}
	return l, nil
}

// used records that a key's material was used.
func (s *Store) used(k *keyRecord, how usage, at time.Time) { s.uses.Note(k.id, lastUse{at, how}, at) }

// LastUse says when a key was last used, and by which operation of the API.
type LastUse struct {
	Key       arn.ARN
	Created   time.Time
	At        time.Time // zero if it was never used
	Operation string
}

// GetKeyLastUsage returns a key's last use. It may be a minute old. It needs
// kms:GetKeyLastUsage on the key. Errors: NotFoundException, InvalidArnException.
func (s *Store) GetKeyLastUsage(ctx context.Context, g authz.Grant, key string) (out LastUse, err error) {
	err = s.view(ctx, g, "kms:GetKeyLastUsage", key, func(r kv.Reader, k *keyRecord, _ time.Time) error {
		l, err := readLastUse(r, k.id)
		if err != nil {
			return err
		}
		if newer, ok := s.uses.Known(k.id); ok {
			l = newer
		}
		out = LastUse{Key: k.arn(), Created: k.created, At: l.at, Operation: l.how.String()}
		return nil
	})
	return out, err
}

// FlushUses writes the recorded uses, at most one per minute for each key.
func (o *Operator) FlushUses(ctx context.Context) error {
	all := o.uses.Take(func(l lastUse) time.Time { return l.at })
	if len(all) == 0 {
		return nil
	}
	return change.Background(ctx, o.store, "last uses of customers' keys", func(tx kv.Tx) error {
		for id, l := range all {
			k, err := readKey(tx, id)
			if err != nil {
				return err
			}
			if k != nil { // a destroyed key has no last use
				tx.Set(usedKey(id), l.encode())
			}
		}
		return nil
	})
}
