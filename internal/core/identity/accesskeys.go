package identity

import (
	"context"
	"slices"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// holder is the owner of access keys: a user, or the account's root user, which has
// the empty name.
type holder struct {
	user *Entity
	root *Account
}

// holderOf demands action on a holder of access keys and returns the holder. Only the root
// user has access to its own credentials.
func holderOf(r kv.Reader, g authz.Grant, account string, action policy.Action, user string) (holder, error) {
	if user != "" {
		e, err := DemandEntity(r, g, account, action, User, user)
		return holder{user: e}, err
	}
	a, err := DemandRoot(r, g, account, action)
	return holder{root: &a}, err
}

// DemandRoot demands action on the root user of an account and returns the account. The
// caller must be that root user: no other caller has access to its credentials.
func DemandRoot(r kv.Reader, g authz.Grant, account string, action policy.Action) (Account, error) {
	if err := g.Demand(action, arn.Root(account)); err != nil {
		return Account{}, err
	}
	if g.Caller().Kind() != policy.AccountRoot {
		return Account{}, fault.Of(fault.AccessDenied)
	}
	a, found, err := readAccount(r, account)
	if err == nil && !found {
		err = record.Malformed("account " + account)
	}
	return a, err
}

func (h holder) keys() *[]string {
	if h.user != nil {
		return &h.user.Keys
	}
	return &h.root.RootKeys
}

// id returns the user's unique id, or the account's id.
func (h holder) id() string {
	if h.user != nil {
		return h.user.ID
	}
	return h.root.ID
}

// write stores the changed holder.
func (h holder) write(tx kv.Tx) {
	if h.user != nil {
		tx.Set(entityKey(h.user.ID), h.user.encode())
		return
	}
	tx.Set(accountKey(h.root.ID), h.root.encode())
}

func noSuchKey(id string) error { return noSuch("The Access Key with id %s cannot be found", id) }

// CreateKey creates an access key for a user or, with an empty name, for the root user. The
// secret is shown only once. It needs iam:CreateAccessKey. Errors: NoSuchEntity,
// LimitExceeded.
func (s *Store) CreateKey(ctx context.Context, g authz.Grant, user string) (Key, error) {
	k := Key{Active: true, Created: Instant(g)}
	k.AccessKeyID, k.Secret = NewKey()
	err := Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		h, err := holderOf(tx, g, account, "iam:CreateAccessKey", user)
		if err != nil {
			return err
		}
		ids := h.keys()
		if len(*ids) >= maxKeysPerUser {
			return LimitExceeded("AccessKeysPerUser", maxKeysPerUser)
		}
		*ids = append(*ids, k.AccessKeyID)
		stored := storedKey{Key: k, account: account, kind: ofRoot}
		if h.user != nil {
			stored.kind, stored.owner = ofUser, h.user.ID
		}
		tx.Set(keyKey(k.AccessKeyID), stored.encode())
		h.write(tx)
		g.Note("accessKey.accessKeyId", k.AccessKeyID)
		return nil
	})
	if err != nil {
		return Key{}, err
	}
	return k, nil
}

// Keys returns a page of the access keys of a user or, with an empty name, of the root
// user, without their secrets. It needs iam:ListAccessKeys. Errors: NoSuchEntity.
func (s *Store) Keys(
	ctx context.Context, g authz.Grant, user string, p page.Request,
) (all []Key, next string, err error) {
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		h, err := holderOf(r, g, account, "iam:ListAccessKeys", user)
		if err != nil {
			return err
		}
		ids, after, err := page.Cut(slices.Sorted(slices.Values(*h.keys())), func(id *string) string { return *id }, p,
			"keys\x00"+account+user)
		if err != nil {
			return err
		}
		next = after
		all, err = readKeys(r, ids)
		return err
	})
	return all, next, err
}

func readKeys(r kv.Reader, ids []string) ([]Key, error) {
	all := make([]Key, 0, len(ids))
	for _, id := range ids {
		k, found, err := readKey(r, id)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, record.Malformed("access key " + id)
		}
		k.Secret = ""
		all = append(all, k.Key)
	}
	return all, nil
}

// SetKeyActive activates or deactivates an access key of a user or of the root user. It
// needs iam:UpdateAccessKey. Errors: NoSuchEntity.
func (s *Store) SetKeyActive(ctx context.Context, g authz.Grant, user, accessKeyID string, active bool) error {
	return s.changeKey(ctx, g, "iam:UpdateAccessKey", user, accessKeyID, func(tx kv.Tx, _ holder, k *storedKey) error {
		k.Active = active
		tx.Set(keyKey(accessKeyID), k.encode())
		return nil
	})
}

// DeleteKey removes an access key of a user or of the root user, and the sessions that were
// created with it. It needs iam:DeleteAccessKey. Errors: NoSuchEntity.
func (s *Store) DeleteKey(ctx context.Context, g authz.Grant, user, accessKeyID string) error {
	return s.changeKey(ctx, g, "iam:DeleteAccessKey", user, accessKeyID, func(tx kv.Tx, h holder, _ *storedKey) error {
		ids := h.keys()
		*ids = slices.DeleteFunc(*ids, func(id string) bool { return id == accessKeyID })
		tx.Delete(keyKey(accessKeyID))
		tx.Delete(usedKey(accessKeyID))
		h.write(tx)
		return s.sessions.End(tx, h.id(), accessKeyID)
	})
}

func (s *Store) changeKey(
	ctx context.Context, g authz.Grant, action policy.Action, user, accessKeyID string,
	fn func(tx kv.Tx, h holder, k *storedKey) error,
) error {
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		h, err := holderOf(tx, g, account, action, user)
		if err != nil {
			return err
		}
		if !slices.Contains(*h.keys(), accessKeyID) {
			return noSuchKey(accessKeyID)
		}
		k, found, err := readKey(tx, accessKeyID)
		if err != nil {
			return err
		}
		if !found {
			return record.Malformed("access key " + accessKeyID)
		}
		return fn(tx, h, &k)
	})
}

// usedPrefix begins the keys of the last uses of access keys:
//
//	i/z/KEYID
const usedPrefix = "i/z/"

func usedKey(accessKeyID string) []byte { return record.Key(usedPrefix, accessKeyID) }

// KeyOwner returns the user of the caller's account who owns an access key, "" for the root
// user; found is false if the account has no such key. The needs of GetAccessKeyLastUsed
// depend on it.
func (s *Store) KeyOwner(ctx context.Context, account, accessKeyID string) (user string, found bool, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		k, ok, err := readKey(r, accessKeyID)
		if err != nil || !ok || k.account != account {
			return err
		}
		found = true
		if k.kind == ofRoot {
			return nil
		}
		e, err := ReadEntity(r, k.owner)
		if err != nil {
			return err
		}
		if e == nil {
			return record.Malformed("access key " + accessKeyID)
		}
		user = e.Name
		return nil
	})
	return user, found, err
}

// KeyLastUsed returns when a key was last used, the zero time if never. It needs
// iam:GetAccessKeyLastUsed on the user, or on the root user. Errors: NoSuchEntity.
func (s *Store) KeyLastUsed(ctx context.Context, g authz.Grant, accessKeyID string) (user string, u Use, err error) {
	account, err := CallerAccount(g)
	if err != nil {
		return "", Use{}, err
	}
	user, found, err := s.KeyOwner(ctx, account, accessKeyID)
	if err != nil {
		return "", Use{}, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		at := arn.Root(account)
		if user != "" {
			if _, err := DemandEntity(r, g, account, "iam:GetAccessKeyLastUsed", User, user); err != nil {
				return err
			}
		} else if err := g.Demand("iam:GetAccessKeyLastUsed", at); err != nil {
			return err
		}
		if !found {
			return noSuchKey(accessKeyID)
		}
		u, err = s.lastUse(r, accessKeyID)
		return err
	})
	return user, u, err
}

// RootUser returns the account of the caller, its root user. It needs
// iam:GetUser on the root user, which must be the caller.
func (s *Store) RootUser(ctx context.Context, g authz.Grant) (a Account, err error) {
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		h, err := holderOf(r, g, account, "iam:GetUser", "")
		if err == nil {
			a = *h.root
		}
		return err
	})
	return a, err
}
