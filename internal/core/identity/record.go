package identity

import (
	"watertight/internal/access/arn"
	"watertight/internal/core/change/record"
)

// Keys of the records of accounts and access keys. Those of other records are with
// their types.
//
//	i/a/ACCOUNT    an account
//	i/c/CANONICAL  the id of the account with a canonical id
//	i/f            the id of the account made at the first start
//	i/k/KEYID      an access key
const (
	accountPrefix   = "i/a/"
	canonicalPrefix = "i/c/"
	firstAccount    = "i/f"
	identities      = "i/" // prefix of all records of this package
	identitiesEnd   = "i0"
	keyPrefix       = "i/k/"
)

func accountKey(id string) []byte      { return record.Key(accountPrefix, id) }
func canonicalKey(id string) []byte    { return record.Key(canonicalPrefix, id) }
func keyKey(accessKeyID string) []byte { return record.Key(keyPrefix, accessKeyID) }

// Fields of an account's record.
const (
	fieldName        = 1
	fieldCanonicalID = 2
	fieldCreated     = 3
	fieldRootKey     = 4 // repeated
)

// Fields of an access key's record.
const (
	fieldSecret     = 1
	fieldAccount    = 2
	fieldKind       = 3 // kind of the owner
	fieldKeyCreated = 4
	fieldInactive   = 5
	fieldOwner      = 6 // a user's id
)

// The kinds of owners of an access key. The numbers are stored.
const (
	ofRoot = 1
	ofUser = 2
)

func (a *Account) encode() []byte {
	r := record.Start(make([]byte, 0, 160))
	r = record.String(r, fieldName, a.Name)
	r = record.String(r, fieldCanonicalID, a.CanonicalID)
	r = record.Time(r, fieldCreated, a.Created)
	for _, k := range a.RootKeys {
		r = record.String(r, fieldRootKey, k)
	}
	return r
}

func decodeAccount(id string, value []byte) (Account, error) {
	a := Account{ID: id}
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldName:
			a.Name = string(f.Bytes)
		case fieldCanonicalID:
			a.CanonicalID = string(f.Bytes)
		case fieldCreated:
			a.Created = f.Time()
		case fieldRootKey:
			a.RootKeys = append(a.RootKeys, string(f.Bytes))
		default:
			f.Unknown()
		}
	}
	if f.Err() != nil || a.CanonicalID == "" {
		return Account{}, record.Malformed("account " + id)
	}
	return a, nil
}

// storedKey is an access key's record.
type storedKey struct {
	Key
	account string
	kind    uint64
	owner   string // a user's id
}

func (k *storedKey) encode() []byte {
	r := record.Start(make([]byte, 0, 96))
	r = record.String(r, fieldSecret, k.Secret)
	r = record.String(r, fieldAccount, k.account)
	r = record.Uint(r, fieldKind, k.kind)
	r = record.Time(r, fieldKeyCreated, k.Created)
	r = record.Bool(r, fieldInactive, !k.Active)
	return record.String(r, fieldOwner, k.owner)
}

func decodeKey(accessKeyID string, value []byte) (storedKey, error) {
	k := storedKey{Key: Key{AccessKeyID: accessKeyID, Active: true}}
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldSecret:
			k.Secret = string(f.Bytes)
		case fieldAccount:
			k.account = string(f.Bytes)
		case fieldKind:
			k.kind = f.Uint
		case fieldKeyCreated:
			k.Created = f.Time()
		case fieldInactive:
			k.Active = f.Uint == 0
		case fieldOwner:
			k.owner = string(f.Bytes)
		default:
			f.Unknown()
		}
	}
	// A key whose kind of owner this program doesn't know must not identify a caller.
	if f.Err() != nil || k.Secret == "" || !arn.IsAccountID(k.account) || k.kind != ofRoot && k.kind != ofUser ||
		(k.kind == ofUser) != (k.owner != "") {
		return storedKey{}, record.Malformed("access key " + accessKeyID)
	}
	return k, nil
}
