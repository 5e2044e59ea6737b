package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// New returns the identities in store.
func New(store kv.Store, rooms Rooms) (*Store, error) {
	if rooms.Devices == nil || rooms.Sessions == nil {
		return nil, errors.New("identity: a room that it asks is missing")
	}
	root, err := rootPolicy()
	if err != nil {
		return nil, fmt.Errorf("identity: the root user's policy: %w", err)
	}
	published, err := publishedPolicies()
	if err != nil {
		return nil, fmt.Errorf("identity: AWS's managed policies: %w", err)
	}
	return &Store{store: store, devices: rooms.Devices, sessions: rooms.Sessions, root: root, documents: NewDocuments(maxDocuments), published: published, laws: newLaws()}, nil
}

// Bootstrap makes the first account and its root user's key, once: later calls
// return what the first made, created false, and a Key without its secret.
// It is the operator's doing, who starts the server.
func (s *Store) Bootstrap(ctx context.Context, o BootstrapOptions) (a Account, k Key, created bool, err error) {
	var found bool
	err = s.store.View(ctx, func(r kv.Reader) error {
		a, k, found, err = firstOf(r)
		return err
	})
	if err != nil || found {
		return a, k, false, err
	}
	madeAccount, madeKey, err := first(o)
	if err != nil {
		return Account{}, Key{}, false, err
	}
	if o.Show != nil {
		if err := o.Show(madeAccount, madeKey); err != nil {
			return Account{}, Key{}, false, err
		}
	}
	err = change.Operate(ctx, s.store, o.Record, func(tx kv.Tx) error {
		if err := tx.Lock([]byte(firstAccount), kv.Exclusive); err != nil {
			return err
		}
		if a, k, found, err = firstOf(tx); err != nil {
			return err
		}
		if found {
			return change.ErrUnchanged
		}
		a, k = madeAccount, madeKey
		tx.Set([]byte(firstAccount), []byte(a.ID))
		noteAccount(o.Record, &a, &k)
		return add(tx, &a, &k)
	})
	if err != nil {
		return Account{}, Key{}, false, err
	}
	return a, k, !found, nil
}

// firstOf reads the first account; found is false in a store without
// identities. One that has some, and not the record that names the first
// account, was changed behind the server's back: it is no new store.
func firstOf(r kv.Reader) (a Account, k Key, found bool, err error) {
	id, err := r.Get([]byte(firstAccount))
	if err != nil {
		return Account{}, Key{}, false, err
	}
	if id == nil {
		for _, err := range r.Scan([]byte(identities), []byte(identitiesEnd)) {
			if err == nil {
				err = errors.New("identity: the record of the first account is missing, and others are there: the store was changed; put back a copy of it")
			}
			return Account{}, Key{}, false, err
		}
		return Account{}, Key{}, false, nil
	}
	a, k, err = existing(r, string(id))
	return a, k, true, err
}

// Check tells what Bootstrap would refuse, before anything is made.
func (o BootstrapOptions) Check() error {
	_, _, err := first(o)
	return err
}

// first fills in and checks what the operator left out or asked for.
func first(o BootstrapOptions) (Account, Key, error) {
	if o.Name == "" {
		o.Name = "root"
	}
	a, k, err := newAccount(o.Name, o.At)
	if err != nil {
		return Account{}, Key{}, err
	}
	if (o.AccessKeyID == "") != (o.SecretAccessKey == "") {
		return Account{}, Key{}, fmt.Errorf("identity: an access key id and its secret are given together or not at all")
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
	return Account{ID: id, Name: name, CanonicalID: newCanonicalID(), Created: at, RootKeys: []string{k.AccessKeyID}}, k, nil
}

// add writes a new account; none of its names may be taken.
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

// CreateAccount makes an account with a root user's key. It is the operator's
// doing, who has no grant; record is its audit event.
func (s *Store) CreateAccount(ctx context.Context, record authz.Record, name string, at time.Time) (Account, Key, error) {
	a, k, err := newAccount(name, at)
	if err != nil {
		return Account{}, Key{}, err
	}
	err = change.Operate(ctx, s.store, record, func(tx kv.Tx) error {
		noteAccount(record, &a, &k)
		return add(tx, &a, &k)
	})
	if err != nil {
		return Account{}, Key{}, err
	}
	return a, k, nil
}

// noteAccount has the event name the account that is made, and its key.
func noteAccount(record authz.Record, a *Account, k *Key) {
	if record != nil {
		record.Note("accountId", a.ID)
		record.Note("accessKey.accessKeyId", k.AccessKeyID)
	}
}

// Accounts returns all accounts in order of their ids. It is for the operator.
func (s *Store) Accounts(ctx context.Context) ([]Account, error) {
	var all []Account
	err := s.store.View(ctx, func(r kv.Reader) error {
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

// Account finds an account; false where there is none.
func (s *Store) Account(ctx context.Context, id string) (a Account, found bool, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		a, found, err = readAccount(r, id)
		return err
	})
	return a, found, err
}

// AccountOf returns the account of a canonical user id.
func (s *Store) AccountOf(ctx context.Context, canonical string) (id string, found bool, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		id, found, err = AccountByCanonicalID(r, canonical)
		return err
	})
	return id, found, err
}

// AccountByCanonicalID is AccountOf within a view.
func AccountByCanonicalID(r kv.Reader, canonical string) (id string, found bool, err error) {
	v, err := r.Get(canonicalKey(canonical))
	return string(v), v != nil, err
}

func readAccount(r kv.Reader, id string) (Account, bool, error) {
	if !arn.IsAccountID(id) {
		return Account{}, false, nil
	}
	v, err := r.Get(accountKey(id))
	if err != nil || v == nil {
		return Account{}, false, err
	}
	a, err := decodeAccount(id, v)
	return a, err == nil, err
}

func readKey(r kv.Reader, accessKeyID string) (storedKey, bool, error) {
	if CheckKeyID(accessKeyID) != nil {
		return storedKey{}, false, nil
	}
	v, err := r.Get(keyKey(accessKeyID))
	if err != nil || v == nil {
		return storedKey{}, false, err
	}
	k, err := decodeKey(accessKeyID, v)
	return k, err == nil, err
}

// KeyHolder is whose a long-lived key is: the unique id of a user, or the account of
// a root user.
func KeyHolder(r kv.Reader, accessKeyID string) (id string, found bool, err error) {
	k, found, err := readKey(r, accessKeyID)
	if k.kind == ofRoot {
		return k.account, found, err
	}
	return k.owner, found, err
}

// Lookup finds what a signature by a long-lived key is checked against; false
// where there is no such key. An inactive key is found: the caller refuses it.
// It asks for no grant, since it is asked before there is a caller.
func (s *Store) Lookup(ctx context.Context, accessKeyID string) (c Credential, found bool, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		c, found, err = FindCredential(r, accessKeyID)
		return err
	})
	return c, found, err
}

// FindCredential finds the credential of a long-lived key.
func FindCredential(r kv.Reader, accessKeyID string) (Credential, bool, error) {
	k, found, err := readKey(r, accessKeyID)
	if err != nil || !found {
		return Credential{}, false, err
	}
	c := Credential{AccessKeyID: accessKeyID, Secret: k.Secret, Active: k.Active, Principal: RootPrincipal(k.account)}
	if k.kind == ofRoot {
		return c, true, nil
	}
	u, err := ReadEntity(r, k.owner)
	if err != nil {
		return Credential{}, false, err
	}
	if u == nil || u.Kind != User || u.Account != k.account {
		return Credential{}, false, record.Malformed("access key " + accessKeyID)
	}
	c.Principal, c.Keys, c.Tags = u.Principal(), principalTags(u.Tags), u.Tags
	return c, true, nil
}

// Principal is a user as a caller.
func (e *Entity) Principal() policy.Principal {
	return policy.Principal{Kind: policy.User, Account: e.Account, ARN: e.ARN(), ID: e.ID, Name: e.Name}
}

// RoleSession is a role's session as a caller.
func (e *Entity) RoleSession(session string) policy.Principal {
	return policy.Principal{
		Kind: policy.RoleSession, Account: e.Account, Role: e.ARN(), ID: e.ID + ":" + session,
		ARN: arn.STS(e.Account, "assumed-role/"+e.Name+"/"+session),
	}
}

// principalTags are the condition keys that come from the tags of a user or
// role.
func principalTags(tags []tag.Tag) map[string][]string {
	if len(tags) == 0 {
		return nil
	}
	m := make(map[string][]string, len(tags))
	for _, t := range tags {
		m["aws:principaltag/"+strings.ToLower(t.Key)] = []string{t.Value}
	}
	return m
}

// RootPrincipal is the root user of an account as a caller.
func RootPrincipal(account string) policy.Principal {
	return policy.Principal{Kind: policy.AccountRoot, Account: account, ARN: arn.Root(account), ID: account}
}
