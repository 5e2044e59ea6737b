package embedded

import (
	"bytes"
	"hash/maphash"
	"sync/atomic"

	"watertight/internal/limit"
)

// opened caches values of records that are read repeatedly, such as those of a bucket and of
// the key that signs, because a search in the engine takes longer than a comparison. It never
// returns a value that differs from the one in the state that is read. For each key, by its
// hash, it knows the newest commit that wrote the key; the committer reports a commit before
// any state contains it. If two states are not older than that commit, no commit between
// them wrote the key, so both have the same value.
type opened struct {
	seed    maphash.Seed
	values  *limit.Cache[uint64, *openedValue]
	written [1 << 14]atomic.Uint64 // newest commit that wrote a key with this hash
	missed  [1 << 15]atomic.Uint32 // part of the hash of a key that was read but is not cached
}

type openedValue struct {
	key, value []byte // a nil value: there is no such record
	at         uint64 // newest commit of the state from which it was read
}

const (
	openedBytes    = 8 << 20
	openedValueMax = 4 << 10 // bytes of a value
)

func newOpened() *opened {
	return &opened{
		seed: maphash.MakeSeed(),
		values: limit.NewCache(openedBytes, func(_ uint64, v *openedValue) int64 {
			return int64(len(v.key) + len(v.value))
		}),
	}
}

func (o *opened) hash(key []byte) uint64 { return maphash.Bytes(o.seed, key) }

func (o *opened) newest(hash uint64) *atomic.Uint64 { return &o.written[hash%uint64(len(o.written))] }

// wrote records that a commit wrote a key with this hash. It must be called in the order of commits.
func (o *opened) wrote(hash, commit uint64) { o.newest(hash).Store(commit) }

// find returns the value in the state of a commit, nil if that state has no such record; ok
// is false if it is not known. The caller must not modify the value.
func (o *opened) find(hash uint64, key []byte, at uint64) (value []byte, ok bool) {
	v, ok := o.values.Get(hash)
	if !ok || !bytes.Equal(v.key, key) || o.newest(hash).Load() > min(at, v.at) {
		return nil, false
	}
	return v.value, true
}

// keep caches a copy of a value in the state of a commit, nil for no record, if the key was
// not written since and was missed before: most records are read only once.
func (o *opened) keep(hash uint64, key, value []byte, at uint64) {
	if len(value) > openedValueMax || o.newest(hash).Load() > at {
		return
	}
	rest := uint32(hash >> 32)
	if last := &o.missed[hash%uint64(len(o.missed))]; last.Load() != rest {
		last.Store(rest)
		return
	}
	o.values.Put(hash, &openedValue{key: bytes.Clone(key), value: bytes.Clone(value), at: at})
}
