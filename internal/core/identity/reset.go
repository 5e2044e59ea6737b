package identity

import (
	"context"
	"fmt"
	"time"

	"watertight/internal/core/change"
	"watertight/internal/storage/kv"
)

// ResetRootKeys gives an account's root user one new access key and removes
// every other. It is the operator's doing, who has no grant.
func (s *Store) ResetRootKeys(ctx context.Context, account string, at time.Time) (Key, error) {
	k := Key{Active: true, Created: at.UTC().Truncate(time.Microsecond)}
	k.AccessKeyID, k.Secret = newKey()
	err := change.Background(ctx, s.store, "the operator resets the root user's keys", func(tx kv.Tx) error {
		if err := tx.Lock(accountKey(account), kv.Exclusive); err != nil {
			return err
		}
		a, found, err := readAccount(tx, account)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("identity: there is no account %s", account)
		}
		for _, old := range a.RootKeys {
			tx.Delete(keyKey(old))
		}
		a.RootKeys = []string{k.AccessKeyID}
		stored := storedKey{Key: k, account: account, kind: ofRoot}
		tx.Set(accountKey(account), a.encode())
		tx.Set(keyKey(k.AccessKeyID), stored.encode())
		return nil
	})
	if err != nil {
		return Key{}, err
	}
	return k, nil
}
