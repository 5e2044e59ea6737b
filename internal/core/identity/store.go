package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/credential"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/known"
	"watertight/internal/core/tag"
	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// New returns a Store of the identities in store.
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
	return &Store{
		store: store, devices: rooms.Devices, sessions: rooms.Sessions, rootLaws: authz.PrincipalLaws{Identity: root},
		documents: NewDocuments(maxDocuments), published: published, laws: newLaws(),
		credentials: newCredentials(),
	}, nil
}

// Account returns an account; found is false if there is none.
func (s *Store) Account(ctx context.Context, id string) (a Account, found bool, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		a, found, err = readAccount(r, id)
		return err
	})
	return a, found, err
}

// AccountOf returns the account with a canonical user id.
func (s *Store) AccountOf(ctx context.Context, canonical string) (id string, found bool, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		id, found, err = AccountByCanonicalID(r, canonical)
		return err
	})
	return id, found, err
}

// AccountByCanonicalID is AccountOf inside a view.
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

// KeyHolder returns the holder of a long-lived key: the unique id of a user, or the
// account of a root user.
func KeyHolder(r kv.Reader, accessKeyID string) (id string, found bool, err error) {
	k, found, err := readKey(r, accessKeyID)
	if k.kind == ofRoot {
		return k.account, found, err
	}
	return k.owner, found, err
}

// Lookup returns the credential of a long-lived key, against which signatures are verified, or
// nil if the key does not exist. An inactive key is found, too; the caller refuses it. The
// credential is shared and must not be modified. Lookup asks for no grant, because it runs
// before the caller is identified.
func (s *Store) Lookup(ctx context.Context, accessKeyID string) (*credential.Credential, error) {
	if c, ok := s.credentials.Get(ctx, s.store, accessKeyID); ok {
		return c, nil
	}
	return s.lookup(ctx, strings.Clone(accessKeyID))
}

func (s *Store) lookup(ctx context.Context, accessKeyID string) (*credential.Credential, error) {
	return s.credentials.Find(ctx, s.store, accessKeyID,
		func(r *known.Reader) (*credential.Credential, bool, error) {
			k, ok, err := FindCredential(r, accessKeyID)
			if err != nil || !ok { // ids that strangers make up are not kept
				return nil, false, err
			}
			return &k.Credential, true, nil
		})
}

// maxCredentials bounds the cache of access keys, in bytes.
const maxCredentials = 4 << 20

// newCredentials caches the credentials of access keys. They follow from the records of the
// key and of its user.
func newCredentials() known.Cache[string, *credential.Credential] {
	return known.New(maxCredentials, func(id string, c *credential.Credential) int64 {
		return int64(len(id)) + limit.Footprint(c)
	})
}

// FindCredential returns the credential of a long-lived key.
func FindCredential(r kv.Reader, accessKeyID string) (LongLived, bool, error) {
	k, found, err := readKey(r, accessKeyID)
	if err != nil || !found {
		return LongLived{}, false, err
	}
	c := LongLived{Credential: credential.Credential{
		AccessKeyID: accessKeyID, Secret: k.Secret, Active: k.Active, Principal: RootPrincipal(k.account),
	}}
	if k.kind == ofRoot {
		return c, true, nil
	}
	u, err := ReadEntity(r, k.owner)
	if err != nil {
		return LongLived{}, false, err
	}
	if u == nil || u.Kind != User || u.Account != k.account {
		return LongLived{}, false, record.Malformed("access key " + accessKeyID)
	}
	c.Principal, c.Keys, c.Tags = u.Principal(), principalTags(u.Tags), u.Tags
	return c, true, nil
}

// Principal returns a user as a principal.
func (e *Entity) Principal() policy.Principal {
	return policy.Principal{Kind: policy.User, Account: e.Account, ARN: e.ARN(), ID: e.ID, Name: e.Name}
}

// RoleSession returns a role's session as a principal.
func (e *Entity) RoleSession(session string) policy.Principal {
	return policy.Principal{
		Kind: policy.RoleSession, Account: e.Account, Role: e.ARN(), ID: e.ID + ":" + session,
		ARN: arn.STS(e.Account, "assumed-role/"+e.Name+"/"+session),
	}
}

// principalTags returns the condition keys for the tags of a user or role.
func principalTags(tags []tag.Tag) map[string][]string {
	if len(tags) == 0 {
		return nil
	}
	m := make(map[string][]string, len(tags))
	for _, t := range tags {
		m[policy.KeyName("aws:principaltag/"+t.Key)] = []string{t.Value}
	}
	return m
}

// RootPrincipal returns the root user of an account as a principal.
func RootPrincipal(account string) policy.Principal {
	return policy.Principal{Kind: policy.AccountRoot, Account: account, ARN: arn.Root(account), ID: account}
}
