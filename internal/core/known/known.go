// Package known caches what follows from records alone, such as a compiled policy, or the
// credential of an access key. It exists so that a request need not read and decode again
// what nobody has changed, and so that nobody has to tell a cache of a change. It must never
// know what the records mean.
package known

import (
	"bytes"
	"context"
	"iter"

	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// Cache caches values, each with copies of the records from which it follows. A value counts
// only while the store has the same records, which is compared on each use (kv.Unchanged), so
// a change counts from the next request on. The context's kv.Witness records the reads, as if
// the records were read. What depends on the time or on the caller must not be in a value.
// Values are shared and must not be modified.
type Cache[K comparable, V any] struct{ entries *limit.Cache[K, *entry[V]] }

type entry[V any] struct {
	value   V
	records []*kv.Copy
}

// New returns an empty cache of at most maximum bytes. size returns the approximate size of a
// key and a value.
func New[K comparable, V any](maximum int64, size func(K, V) int64) Cache[K, V] {
	return Cache[K, V]{limit.NewCache(maximum, func(k K, e *entry[V]) int64 {
		const record = 128 // without its key and value
		n := size(k, e.value)
		for _, r := range e.records {
			n += record + int64(len(r.Key)+len(r.Value))
		}
		return n
	})}
}

// Get returns the value of a key if it still counts. It needs neither a view nor memory.
func (c Cache[K, V]) Get(ctx context.Context, s kv.Store, key K) (value V, ok bool) {
	e, ok := c.entries.Get(key)
	if !ok || !kv.Unchanged(ctx, s, e.records) {
		return value, false
	}
	return e.value, true
}

// Find calls find in a view, returns its value and keeps it if keep is set. find must read
// with its reader all records from which the value follows, one by one: after a scan, nothing
// is kept. Nor is it under a context of kv.Through, where a transaction may see its own
// writes. The cache keeps the key.
func (c Cache[K, V]) Find(
	ctx context.Context, s kv.Store, key K, find func(r *Reader) (value V, keep bool, err error),
) (value V, err error) {
	err = s.View(ctx, func(r kv.Reader) error {
		t := &Reader{plain: r}
		v, keep, err := find(t)
		if err != nil {
			return err
		}
		value = v
		if keep && !t.scanned && kv.ReaderOf(ctx) == nil {
			c.entries.Put(key, &entry[V]{v, t.records})
		}
		return nil
	})
	return value, err
}

// Reader is a kv.Reader that remembers what was read.
type Reader struct {
	plain   kv.Reader
	records []*kv.Copy
	scanned bool
}

// Get implements kv.Reader.
func (r *Reader) Get(key []byte) ([]byte, error) {
	v, err := r.plain.Get(key)
	if err == nil {
		r.records = append(r.records, &kv.Copy{Key: bytes.Clone(key), Value: bytes.Clone(v)})
	}
	return v, err
}

// Scan implements kv.Reader.
func (r *Reader) Scan(from, to []byte) iter.Seq2[kv.Pair, error] {
	r.scanned = true
	return r.plain.Scan(from, to)
}

// Plain returns the reader below, for records that can't change without a change of one that
// was read, such as those that a generation counts.
func (r *Reader) Plain() kv.Reader { return r.plain }
