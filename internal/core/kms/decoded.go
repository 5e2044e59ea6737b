package kms

import (
	"bytes"
	"sync/atomic"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// Bounds of the records that are kept decoded, in bytes.
const (
	maxDecodedKeys      = 8 << 20
	maxDecodedMaterials = 2 << 20
	maxDecodedAliases   = 2 << 20
)

// decoded caches decoded records, because uses by services read the same ones again and
// again. Material stays wrapped in it, as it is stored.
type decoded struct {
	keys      records[string, keyRecord]
	materials records[materialName, materialRecord]
	aliases   records[aliasName, aliasRecord]
	policies  policies
	known     known
}

type (
	materialName struct {
		key string
		id  MaterialID
	}
	aliasName struct{ account, name string }
)

func newDecoded() decoded {
	return decoded{
		keys: newRecords[string](maxDecodedKeys, func(k *keyRecord) int64 {
			return limit.Footprint(k.shared.laws) // which may outlive its entry in policies
		}),
		materials: newRecords[materialName](maxDecodedMaterials, func(*materialRecord) int64 { return 0 }),
		aliases:   newRecords[aliasName](maxDecodedAliases, func(*aliasRecord) int64 { return 0 }),
		policies:  newPolicies(),
		known:     newKnown(),
	}
}

// records caches the records of one kind. An entry is valid only for the stored value that
// it was decoded from. That is compared on each use, so a record that was changed or deleted
// since is not used, and a kv.Witness records the read.
type records[N comparable, R any] struct {
	cache *limit.Cache[N, *decodedRecord[R]]
}

type decodedRecord[R any] struct {
	kv.Copy
	record *R
}

// newRecords returns an empty cache. more returns the size of what a record has besides the
// fields of the stored value.
func newRecords[N comparable, R any](maximum int64, more func(*R) int64) records[N, R] {
	return records[N, R]{limit.NewCache(maximum, func(_ N, d *decodedRecord[R]) int64 {
		return int64(2*len(d.Key)+4*len(d.Value)) + more(d.record)
	})}
}

// kept returns the cached record if it was decoded from the value that is stored now, or nil.
func (c *records[N, R]) kept(r kv.Reader, name N) (*R, error) {
	known, ok := c.cache.Get(name)
	if !ok {
		return nil, nil
	}
	if same, err := kv.Same(r, known.Key, known.Value); err != nil || !same {
		return nil, err
	}
	return known.record, nil
}

// read reads a record and caches it. It returns nil if there is none.
func (c *records[N, R]) read(
	r kv.Reader, name N, key []byte, decode func(value []byte) (*R, error),
) (*R, error) {
	v, err := r.Get(key)
	if err != nil || v == nil {
		return nil, err
	}
	record, err := decode(bytes.Clone(v))
	if err == nil {
		c.cache.Put(name, &decodedRecord[R]{Copy: kv.Copy{Key: key, Value: v}, record: record})
	}
	return record, err
}

// changes reports whether r is a transaction. It may modify the records that it reads, so it
// gets copies of its own.
func changes(r kv.Reader) bool {
	_, ok := r.(kv.Tx)
	return ok
}

// key is readKey with the cache. Outside a transaction its result is shared and must not be
// modified.
func (d *decoded) key(r kv.Reader, id string) (*keyRecord, error) {
	if changes(r) {
		return readKey(r, id)
	}
	if k, err := d.keys.kept(r, id); k != nil || err != nil {
		return k, err
	}
	return d.keys.read(r, id, keyKey(id), func(value []byte) (*keyRecord, error) {
		k, err := decodeKey(id, value)
		if err == nil {
			k.shared.binary, _ = parseKeyID(id)
			k.shared.arn = k.arn()
			k.shared.name = k.shared.arn.String()
			k.shared.names = []string{k.shared.name}
			k.shared.laws = d.policies.lawsOf(k)
		}
		return k, err
	})
}

// material is readMaterial with the cache. Outside a transaction its result is shared and must not be
// modified.
func (d *decoded) material(r kv.Reader, id string, m MaterialID) (*materialRecord, error) {
	if changes(r) {
		return readMaterial(r, id, m)
	}
	name := materialName{id, m}
	if known, err := d.materials.kept(r, name); known != nil || err != nil {
		return known, err
	}
	return d.materials.read(r, name, materialKey(id, m), func(value []byte) (*materialRecord, error) {
		record, err := decodeMaterial(m, value)
		if err == nil {
			record.compared = new(atomic.Bool)
		}
		return record, err
	})
}

// alias is readAlias with the cache. Outside a transaction its result is shared and must not be
// modified.
func (d *decoded) alias(r kv.Reader, account, name string) (*aliasRecord, error) {
	if changes(r) {
		return readAlias(r, account, name)
	}
	n := aliasName{account, name}
	if known, err := d.aliases.kept(r, n); known != nil || err != nil {
		return known, err
	}
	return d.aliases.read(r, n, aliasKey(account, name), func(value []byte) (*aliasRecord, error) {
		return decodeAlias(name, value)
	})
}

// shared is derived from a key's record and needed with each use. Only records in the cache
// have it.
type shared struct {
	binary keyID
	arn    arn.ARN
	name   string   // the ARN's text
	names  []string // name alone
	laws   *authz.ResourceLaws
}
