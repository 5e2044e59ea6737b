package kms

import (
	"context"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// known caches what follows from records of the cache decoded alone: which key a name
// means, and which material a use of a key opens. An entry is valid only while the records
// have the same values as when it was made. That is compared on each use, without a view if
// the store can do that (kv.Unchanged). What depends on the time or on the caller is not
// in it.
type known struct {
	names *limit.Cache[aliasName, *knownName]
	uses  *limit.Cache[useName, *knownUse]
}

// Bounds of known, in bytes.
const (
	maxKnownNames = 2 << 20
	maxKnownUses  = 2 << 20
)

// knownName is a key that find found, by a name.
type knownName struct {
	key     *keyRecord
	alias   string // that the name was
	records []*kv.Copy
}

// useName is a use of a key by a service, within the key's account.
type useName struct {
	key      string     // as in its ARN: "key/" and its id
	material MaterialID // that sealed a ciphertext
	current  bool       // the current material instead
}

// knownUse is a key and a material of it. Both may be shared and must not be modified.
type knownUse struct {
	key      *keyRecord
	id       keyID
	material *materialRecord
	records  []*kv.Copy
}

func newKnown() known {
	return known{
		names: limit.NewCache(maxKnownNames, func(n aliasName, k *knownName) int64 {
			return int64(len(n.account)+len(n.name)) + sizeOf(k.records)
		}),
		uses: limit.NewCache(maxKnownUses, func(u useName, k *knownUse) int64 {
			return int64(len(u.key)) + sizeOf(k.records)
		}),
	}
}

// sizeOf returns the approximate memory that decoded records keep.
func sizeOf(records []*kv.Copy) (n int64) {
	const entry = 512
	for _, p := range records {
		n += entry + int64(2*len(p.Key)+4*len(p.Value))
	}
	return n
}

// findNow is find in the newest state.
func (s *Store) findNow(
	ctx context.Context, account, name string, at time.Time,
) (k *keyRecord, alias string, err error) {
	n := aliasName{account, name}
	if f, ok := s.decoded.known.names.Get(n); ok && !f.key.isDestroyed(at) && kv.Unchanged(ctx, s.store, f.records) {
		return f.key, f.alias, nil
	}
	k, alias, err = s.findSlowly(ctx, account, name, at)
	if err == nil {
		s.decoded.keepName(n, k, alias)
	}
	return k, alias, err
}

func (s *Store) findSlowly(
	ctx context.Context, account, name string, at time.Time,
) (k *keyRecord, alias string, err error) {
	err = s.store.View(ctx, func(r kv.Reader) (err error) {
		k, alias, err = s.find(r, account, name, at)
		return err
	})
	return k, alias, err
}

// keepName caches the key that find found by a name, unless a record is not in the cache,
// as in a transaction.
func (d *decoded) keepName(n aliasName, k *keyRecord, alias string) {
	records, ok := d.keys.stored(nil, k.id, k)
	if alias != "" && ok {
		a, cached := d.aliases.cache.Get(aliasName{k.account, alias})
		if ok = cached && a.record.target == k.id; ok {
			records = append(records, &a.Copy)
		}
	}
	if ok {
		n.name = strings.Clone(n.name) // it may be part of a request
		d.known.names.Put(n, &knownName{k, alias, records})
	}
}

// useAgain returns a key and a material that were read before, or nil if they must be read
// now. The caller has the permission to use the key.
func (s *Store) useAgain(ctx context.Context, key *arn.ARN, use useName, at time.Time) (*knownUse, error) {
	u, ok := s.decoded.known.uses.Get(use)
	if !ok || u.key.shared.arn != *key || u.key.isDestroyed(at) || !kv.Unchanged(ctx, s.store, u.records) {
		return nil, nil
	}
	return u, u.key.check(toUse, at)
}

// keepUse returns what was read for a use, and caches it unless a record is not in the
// cache.
func (d *decoded) keepUse(use useName, u *usable) *knownUse {
	k := &knownUse{key: u.key, id: u.id, material: u.material}
	records, ok := d.keys.stored(nil, k.key.id, k.key)
	if ok {
		records, ok = d.materials.stored(records, materialName{k.key.id, k.material.id}, k.material)
	}
	if ok {
		k.records, use.key = records, k.key.shared.arn.Resource
		d.known.uses.Put(use, k)
	}
	return k
}

// stored appends the stored form of a record that is in the cache.
func (c *records[N, R]) stored(all []*kv.Copy, name N, record *R) ([]*kv.Copy, bool) {
	d, ok := c.cache.Get(name)
	if !ok || d.record != record {
		return nil, false
	}
	return append(all, &d.Copy), true
}
