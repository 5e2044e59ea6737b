package embedded

import (
	"watertight/internal/storage/kv"
)

// window records what the newest commits wrote. Only the committer uses it.
type window struct {
	last   map[string]uint64 // the newest commit in the window that wrote a key
	ring   [windowCommits][]string
	floor  uint64 // the newest commit that left the window
	newest uint64
	bytes  int
}

const (
	windowCommits = 1 << 14
	windowBytes   = 16 << 20
)

func newWindow(newest uint64) *window {
	return &window{last: map[string]uint64{}, floor: newest, newest: newest}
}

// add adds the keys of the next commit.
func (w *window) add(ops []*op, guards [][]byte) {
	n := 0
	for _, o := range ops {
		n += len(o.key)
	}
	for _, g := range guards {
		n += len(g)
	}
	for w.newest-w.floor >= windowCommits || w.newest > w.floor && w.bytes+n > windowBytes {
		w.drop()
	}
	// One string for all keys, so that they share its memory.
	all := make([]byte, 0, n)
	for _, o := range ops {
		all = append(all, o.key...)
	}
	for _, g := range guards {
		all = append(all, g...)
	}
	text := string(all)
	keys := make([]string, 0, len(ops)+len(guards))
	for _, o := range ops {
		keys, text = append(keys, text[:len(o.key)]), text[len(o.key):]
	}
	for _, g := range guards {
		keys, text = append(keys, text[:len(g)]), text[len(g):]
	}
	w.newest++
	w.bytes += n
	w.ring[w.newest%windowCommits] = keys
	for _, k := range keys {
		// The key is deleted first, because an assignment would keep the old key's memory.
		delete(w.last, k)
		w.last[k] = w.newest
	}
}

// drop forgets the oldest commit.
func (w *window) drop() {
	w.floor++
	slot := &w.ring[w.floor%windowCommits]
	for _, k := range *slot {
		w.bytes -= len(k)
		if w.last[k] == w.floor {
			delete(w.last, k)
		}
	}
	*slot = nil
}

// conflicts reports whether anything in r was, or may have been, written after
// commit at.
func (w *window) conflicts(at uint64, r *kv.Reads) bool {
	if at == w.newest {
		return false
	}
	if at < w.floor {
		return true
	}
	for _, p := range r.Points {
		if w.last[string(p)] > at {
			return true
		}
	}
	if len(r.Spans) == 0 {
		return false
	}
	for n := at + 1; n <= w.newest; n++ {
		for _, k := range w.ring[n%windowCommits] {
			if r.Covers(k) {
				return true
			}
		}
	}
	return false
}

// moved reports whether anything that a transaction relies on was, or may have been,
// written since it was read.
func (w *window) moved(r relied) bool { return r.reads != nil && w.conflicts(r.at, r.reads) }
