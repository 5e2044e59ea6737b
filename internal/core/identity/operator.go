package identity

import (
	"context"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Operator offers what the operator and the server itself may do to identities. It takes no
// grant, because access to the operator's socket means access to all data. Handlers of the
// network API must not use it; test/arch checks that.
type Operator struct{ *Store }

// NewOperator returns the operator's access to the identities of s.
func NewOperator(s *Store) *Operator { return &Operator{s} }

// CreateAccount creates an account with an access key for its root user; event is its audit event.
func (o *Operator) CreateAccount(
	ctx context.Context, event authz.Record, name string, at time.Time,
) (Account, Key, error) {
	a, k, err := newAccount(name, at)
	if err != nil {
		return Account{}, Key{}, err
	}
	err = change.Operate(ctx, o.store, event, func(tx kv.Tx) error {
		noteAccount(event, &a, &k)
		return add(tx, &a, &k)
	})
	if err != nil {
		return Account{}, Key{}, err
	}
	return a, k, nil
}

// noteAccount adds the new account and its key to the audit event.
func noteAccount(event authz.Record, a *Account, k *Key) {
	if event != nil {
		event.Note("accountId", a.ID)
		event.Note("accessKey.accessKeyId", k.AccessKeyID)
	}
}

// Accounts returns all accounts in the order of their ids.
func (o *Operator) Accounts(ctx context.Context) ([]Account, error) {
	var all []Account
	err := o.store.View(ctx, func(r kv.Reader) error {
		from := []byte(accountPrefix)
		for p, err := range r.Scan(from, record.After(from)) {
			if err != nil {
				return err
			}
			a, err := decodeAccount(string(p.Key[len(from):]), p.Value)
			if err != nil {
				return err
			}
			all = append(all, a)
		}
		return nil
	})
	return all, err
}

// ResetRootKeys creates one new access key for an account's root user and removes all
// others; event is its audit event.
func (o *Operator) ResetRootKeys(ctx context.Context, event authz.Record, account string, at time.Time) (Key, error) {
	k := Key{Active: true, Created: at.UTC().Truncate(time.Microsecond)}
	k.AccessKeyID, k.Secret = NewKey()
	err := change.Operate(ctx, o.store, event, func(tx kv.Tx) error {
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
			if err := o.sessions.End(tx, account, old); err != nil {
				return err
			}
			tx.Delete(keyKey(old))
		}
		a.RootKeys = []string{k.AccessKeyID}
		stored := storedKey{Key: k, account: account, kind: ofRoot}
		tx.Set(accountKey(account), a.encode())
		tx.Set(keyKey(k.AccessKeyID), stored.encode())
		if event != nil {
			event.Note("accessKey.accessKeyId", k.AccessKeyID)
		}
		return nil
	})
	if err != nil {
		return Key{}, err
	}
	return k, nil
}
