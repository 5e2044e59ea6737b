package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// BootstrapOptions are the properties of the first account. Empty fields become random
// values; an empty Name becomes "root".
type BootstrapOptions struct {
	AccountID, Name              string
	AccessKeyID, SecretAccessKey string
	At                           time.Time    // when the account is created
	Record                       authz.Record // its audit event; may be nil
	// Show, if it is set, shows the root user's key before the account is committed, so
	// that no account exists whose key was not shown. If it returns an error, the bootstrap
	// fails and nothing is created.
	Show func(Account, Key) error
}

// First is the first account and its root user's key. Created says that this call created
// them; otherwise the key has no secret.
type First struct {
	Account Account
	Key     Key
	Created bool
}

// Bootstrap creates the first account and its root user's key, once: later calls return
// what the first call created.
func (o *Operator) Bootstrap(ctx context.Context, in BootstrapOptions) (First, error) {
	var there First
	var found bool
	err := o.store.View(ctx, func(r kv.Reader) (err error) {
		there.Account, there.Key, found, err = firstOf(r)
		return err
	})
	if err != nil || found {
		return there, err
	}
	made := First{Created: true}
	if made.Account, made.Key, err = first(in); err != nil {
		return First{}, err
	}
	if in.Show != nil {
		if err := in.Show(made.Account, made.Key); err != nil {
			return First{}, err
		}
	}
	err = change.Operate(ctx, o.store, in.Record, func(tx kv.Tx) (err error) {
		if err := tx.Lock([]byte(firstAccount), kv.Exclusive); err != nil {
			return err
		}
		if there.Account, there.Key, found, err = firstOf(tx); err != nil {
			return err
		}
		if found {
			return change.ErrUnchanged
		}
		tx.Set([]byte(firstAccount), []byte(made.Account.ID))
		noteAccount(in.Record, &made.Account, &made.Key)
		return add(tx, &made.Account, &made.Key)
	})
	switch {
	case err != nil:
		return First{}, err
	case found:
		return there, nil
	}
	return made, nil
}

// firstOf returns the first account; found is false in a store without identities. If there
// are identities, but no record that names the first account, another program changed the
// store: then it is an error, not a new store.
func firstOf(r kv.Reader) (a Account, k Key, found bool, err error) {
	id, err := r.Get([]byte(firstAccount))
	if err != nil {
		return Account{}, Key{}, false, err
	}
	if id == nil {
		for _, err := range r.Scan([]byte(identities), []byte(identitiesEnd)) {
			if err == nil {
				err = errors.New("identity: the record of the first account is missing, and others are there: the " +
					"store was changed; put back a copy of it")
			}
			return Account{}, Key{}, false, err
		}
		return Account{}, Key{}, false, nil
	}
	a, k, err = existing(r, string(id))
	return a, k, true, err
}

// Check returns the error that Bootstrap would return for its options.
func (o BootstrapOptions) Check() error {
	_, _, err := first(o)
	return err
}

// first checks the options and fills in what they leave out.
func first(o BootstrapOptions) (Account, Key, error) {
	if o.Name == "" {
		o.Name = "root"
	}
	a, k, err := newAccount(o.Name, o.At)
	if err != nil {
		return Account{}, Key{}, err
	}
	if (o.AccessKeyID == "") != (o.SecretAccessKey == "") {
		return Account{}, Key{}, fmt.Errorf(
			"identity: an access key id and its secret are given together or not at all")
	}
	if o.AccessKeyID != "" {
		k.AccessKeyID, k.Secret = o.AccessKeyID, o.SecretAccessKey
		a.RootKeys = []string{k.AccessKeyID}
	}
	if o.AccountID != "" {
		a.ID = o.AccountID
	}
	for _, err := range []error{checkAccountID(a.ID), checkLastingID(k.AccessKeyID), checkSecret(k.Secret)} {
		if err != nil {
			return Account{}, Key{}, fmt.Errorf("identity: %w", err)
		}
	}
	return a, k, nil
}

func existing(r kv.Reader, id string) (Account, Key, error) {
	a, found, err := readAccount(r, id)
	if err != nil {
		return Account{}, Key{}, err
	}
	if !found || len(a.RootKeys) == 0 {
		return a, Key{}, nil
	}
	k, found, err := readKey(r, a.RootKeys[0])
	if err != nil || !found {
		return a, Key{}, err
	}
	k.Secret = ""
	return a, k.Key, nil
}

func newAccount(name string, at time.Time) (Account, Key, error) {
	if err := checkAccountName(name); err != nil {
		return Account{}, Key{}, fmt.Errorf("identity: %w", err)
	}
	id, err := newAccountID()
	if err != nil {
		return Account{}, Key{}, err
	}
	at = at.UTC().Truncate(time.Microsecond)
	k := Key{Active: true, Created: at}
	k.AccessKeyID, k.Secret = NewKey()
	return Account{
		ID: id, Name: name, CanonicalID: newCanonicalID(), Created: at, RootKeys: []string{k.AccessKeyID},
	}, k, nil
}

// add writes a new account. It is an error if one of its ids exists already.
func add(tx kv.Tx, a *Account, k *Key) error {
	stored := storedKey{Key: *k, account: a.ID, kind: ofRoot}
	for _, w := range []struct{ key, value []byte }{
		{accountKey(a.ID), a.encode()},
		{canonicalKey(a.CanonicalID), []byte(a.ID)},
		{keyKey(k.AccessKeyID), stored.encode()},
	} {
		if err := tx.Lock(w.key, kv.Exclusive); err != nil {
			return err
		}
		taken, err := tx.Get(w.key)
		if err != nil {
			return err
		}
		if taken != nil {
			return fault.New(fault.EntityAlreadyExists, "An account or access key of this id exists already.")
		}
		tx.Set(w.key, w.value)
	}
	return nil
}
