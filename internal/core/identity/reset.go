package identity

import (
	"context"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// ResetRootKeys gives an account's root user one new access key and removes
// every other. It is the operator's doing, who has no grant; record is its audit
// event.
func (s *Store) ResetRootKeys(ctx context.Context, record authz.Record, account string, at time.Time) (Key, error) {
	k := Key{Active: true, Created: at.UTC().Truncate(time.Microsecond)}
	k.AccessKeyID, k.Secret = NewKey()
	err := change.Operate(ctx, s.store, record, func(tx kv.Tx) error {
		if err := tx.Lock(accountKey(account), kv.Exclusive); err != nil {
			return err
		}
		a, found, err := readAccount(tx, account)
		if err != nil {
			return err
		}
		if !found {
			return fault.New(fault.NoSuchEntity, "There is no account "+account+".")
		}
		for _, old := range a.RootKeys {
			if err := s.sessions.End(tx, account, old); err != nil {
				return err
			}
			tx.Delete(keyKey(old))
		}
		a.RootKeys = []string{k.AccessKeyID}
		stored := storedKey{Key: k, account: account, kind: ofRoot}
		tx.Set(accountKey(account), a.encode())
		tx.Set(keyKey(k.AccessKeyID), stored.encode())
		if record != nil {
			record.Note("accessKey.accessKeyId", k.AccessKeyID)
		}
		return nil
	})
	if err != nil {
		return Key{}, err
	}
	return k, nil
}
