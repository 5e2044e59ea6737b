// Package memkv is an engine in memory: for tests, and for stores that need not outlive the
// process. It exists in addition to pebblekv so that the transaction layer does not depend
// on one engine. It must never know what its records mean.
package memkv

import (
	"bytes"
	"context"
	"hash/maphash"
	"io"
	"slices"
	"sync/atomic"

	"watertight/internal/storage/kv/embedded/internal/engine"
)

// Engine keeps its state in a treap whose nodes never change, so that a
// snapshot is a pointer to a root.
type Engine struct {
	root  atomic.Pointer[node]
	seed  maphash.Seed
	syncs atomic.Uint64
}

// Open returns an empty engine.
func Open() *Engine { return &Engine{seed: maphash.MakeSeed()} }

// Batch implements engine.Engine.
func (e *Engine) Batch() engine.Batch { return &batch{e: e} }

// Snapshot implements engine.Engine.
func (e *Engine) Snapshot() engine.Snapshot { return snapshot{e.root.Load()} }

// Purge implements engine.Engine: there are no files.
func (e *Engine) Purge(context.Context, []byte, []byte) error { return nil }

// Backlog implements engine.Engine: nothing is put off.
func (e *Engine) Backlog() engine.Backlog { return engine.Backlog{} }

// Syncs implements engine.Engine: a batch counts as one sync.
func (e *Engine) Syncs() uint64 { return e.syncs.Load() }

// Close implements engine.Engine. A store that is opened on e again finds its state.
func (e *Engine) Close() error { return nil }

type change struct{ key, value []byte } // value nil: a deletion

type batch struct {
	e       *Engine
	changes []change
}

func (b *batch) Set(key []byte, n int) []byte {
	v := make([]byte, n)
	b.changes = append(b.changes, change{bytes.Clone(key), v})
	return v
}

func (b *batch) Delete(key []byte) {
	b.changes = append(b.changes, change{bytes.Clone(key), nil})
}

func (b *batch) Apply() error {
	root := b.e.root.Load()
	for _, c := range b.changes {
		less, _, more := split(root, c.key)
		if c.value != nil {
			less = join(less, &node{key: c.key, value: c.value, rank: maphash.Bytes(b.e.seed, c.key)})
		}
		root = join(less, more)
	}
	b.e.root.Store(root)
	return nil
}

func (b *batch) Wait() error {
	b.e.syncs.Add(1)
	return nil
}

func (b *batch) Close() {}

// node is a node of the treap: ordered by key, and by rank as a heap.
type node struct {
	key, value  []byte
	rank        uint64
	left, right *node
}

// split returns the nodes below, at and above key.
func split(n *node, key []byte) (less, at, more *node) {
	if n == nil {
		return nil, nil, nil
	}
	switch c := bytes.Compare(key, n.key); {
	case c == 0:
		return n.left, n, n.right
	case c < 0:
		less, at, rest := split(n.left, key)
		copied := *n
		copied.left = rest
		return less, at, &copied
	default:
		rest, at, more := split(n.right, key)
		copied := *n
		copied.right = rest
		return &copied, at, more
	}
}

// join merges two treaps, every key of a below every key of b.
func join(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.rank > b.rank:
		copied := *a
		copied.right = join(a.right, b)
		return &copied
	default:
		copied := *b
		copied.left = join(a, b.left)
		return &copied
	}
}

type snapshot struct{ root *node }

func (s snapshot) Get(key []byte) ([]byte, io.Closer, error) {
	for n := s.root; n != nil; {
		switch c := bytes.Compare(key, n.key); {
		case c == 0:
			return n.value, nil, nil
		case c < 0:
			n = n.left
		default:
			n = n.right
		}
	}
	return nil, nil, nil
}

func (s snapshot) Iterator() (engine.Iterator, error) { return &iterator{root: s.root}, nil }

func (s snapshot) Close() error { return nil }

type iterator struct {
	root *node
	to   []byte
	path []*node // the current node is last; before it are nodes that are still to come
}

func (i *iterator) Seek(from, to []byte) bool {
	i.path, i.to = i.path[:0], append(i.to[:0], to...)
	if to == nil {
		i.to = nil
	}
	for n := i.root; n != nil; {
		if bytes.Compare(n.key, from) < 0 {
			n = n.right
			continue
		}
		i.path = append(i.path, n)
		n = n.left
	}
	return i.valid()
}

func (i *iterator) Find(key []byte) bool { return i.Seek(key, append(bytes.Clone(key), 0)) }

func (i *iterator) Next() bool {
	n := i.path[len(i.path)-1]
	i.path = slices.Delete(i.path, len(i.path)-1, len(i.path))
	for n = n.right; n != nil; n = n.left {
		i.path = append(i.path, n)
	}
	return i.valid()
}

func (i *iterator) valid() bool {
	return len(i.path) > 0 && (i.to == nil || bytes.Compare(i.Key(), i.to) < 0)
}

func (i *iterator) Key() []byte            { return i.path[len(i.path)-1].key }
func (i *iterator) Value() ([]byte, error) { return i.path[len(i.path)-1].value, nil }
func (i *iterator) Err() error             { return nil }
func (i *iterator) Close() error           { return nil }
