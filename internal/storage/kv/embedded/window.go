package embedded

import (
	"encoding/binary"

	"watertight/internal/storage/kv"
)

// window records what the newest commits wrote. Only the committer uses it. It finds a key by
// its hash, of 64 bits with a secret seed: two keys with one hash only make a transaction run
// again. The keys themselves are kept for ranges.
type window struct {
	writes []keyWrite // a ring: write n is at n % len(writes), a power of two
	heads  []uint64   // by hash: the newest write with such a hash
	first  uint64     // the oldest write that is known; they are numbered from 1 on
	next   uint64
	ring   [windowCommits]wroteKeys
	slab   []byte // has the newest keys
	floor  uint64 // the newest commit that left the window
	newest uint64
	bytes  int
}

// keyWrite is a write of a key.
type keyWrite struct {
	hash, commit uint64
	before       uint64 // the write that was the head before this one
}

// wroteKeys are the keys that a commit wrote, each after its length (4 bytes).
type wroteKeys struct {
	text []byte
	n    int
}

const (
	windowCommits = 1 << 14
	windowBytes   = 16 << 20
	windowWrites  = 1 << 17
	fewestWrites  = 1 << 10
	slabSize      = 64 << 10
	keyHeader     = 4
)

func newWindow(newest uint64) *window {
	w := &window{floor: newest, newest: newest, first: 1, next: 1}
	w.resize(fewestWrites)
	return w
}

// resize makes room for n writes, a power of two that is not smaller than before.
func (w *window) resize(n int) {
	old := w.writes
	w.writes, w.heads = make([]keyWrite, n), make([]uint64, n/2)
	next := w.next
	for w.next = w.first; w.next < next; {
		o := old[w.next%uint64(len(old))]
		w.write(o.hash, o.commit)
	}
}

// write records a write. There is room for it.
func (w *window) write(hash, commit uint64) {
	head := &w.heads[hash%uint64(len(w.heads))]
	w.writes[w.next%uint64(len(w.writes))] = keyWrite{hash, commit, *head}
	*head = w.next
	w.next++
}

// add adds the writes of the next commit, ops before guards. hashes are those of all keys.
func (w *window) add(ops []*op, guards [][]byte, hashes []uint64) {
	if len(hashes) > windowWrites { // everything counts as written
		for w.newest > w.floor {
			w.drop()
		}
		w.newest++
		w.floor = w.newest
		return
	}
	size := keyHeader * len(hashes)
	for _, o := range ops {
		size += len(o.key)
	}
	for _, g := range guards {
		size += len(g)
	}
	w.reserve(len(hashes), size)
	w.newest++
	start := len(w.slab)
	for _, o := range ops {
		w.slab = append(binary.BigEndian.AppendUint32(w.slab, uint32(len(o.key))), o.key...)
	}
	for _, g := range guards {
		w.slab = append(binary.BigEndian.AppendUint32(w.slab, uint32(len(g))), g...)
	}
	for _, h := range hashes {
		w.write(h, w.newest)
	}
	w.ring[w.newest%windowCommits] = wroteKeys{w.slab[start:len(w.slab):len(w.slab)], len(hashes)}
	w.bytes += size
}

// reserve makes room for a commit of n keys, which take size bytes.
func (w *window) reserve(n, size int) {
	for w.newest > w.floor && (w.newest-w.floor >= windowCommits || w.bytes+size > windowBytes ||
		int(w.next-w.first)+n > windowWrites) {
		w.drop()
	}
	most := len(w.writes)
	for most < int(w.next-w.first)+n {
		most *= 2
	}
	if most > len(w.writes) {
		w.resize(most)
	}
	if size > cap(w.slab)-len(w.slab) {
		w.slab = make([]byte, 0, max(size, slabSize))
	}
}

// drop forgets the oldest commit.
func (w *window) drop() {
	w.floor++
	slot := &w.ring[w.floor%windowCommits]
	w.first += uint64(slot.n)
	w.bytes -= len(slot.text)
	*slot = wroteKeys{}
}

// wrote reports whether a key with this hash was written after commit at.
func (w *window) wrote(hash, at uint64) bool {
	for n := w.heads[hash%uint64(len(w.heads))]; n >= w.first; {
		o := &w.writes[n%uint64(len(w.writes))]
		if o.commit <= at {
			return false
		}
		if o.hash == hash {
			return true
		}
		n = o.before
	}
	return false
}

// conflicts reports whether a key with one of the hashes, or in a span, was, or may have been,
// written after commit at.
func (w *window) conflicts(at uint64, hashes []uint64, spans *kv.Reads) bool {
	if at == w.newest {
		return false
	}
	if at < w.floor {
		return true
	}
	for _, h := range hashes {
		if w.wrote(h, at) {
			return true
		}
	}
	if len(spans.Spans) == 0 {
		return false
	}
	for n := at + 1; n <= w.newest; n++ {
		for text := w.ring[n%windowCommits].text; len(text) > 0; {
			end := keyHeader + binary.BigEndian.Uint32(text)
			if spans.Covers(text[keyHeader:end]) {
				return true
			}
			text = text[end:]
		}
	}
	return false
}
