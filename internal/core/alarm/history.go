package alarm

import (
	"hash/maphash"
	"maps"
	"time"
)

// history is the counts of one subject, in a ring of slices of the window. An object counts
// in the slice of its newest change.
type history struct {
	newest int64 // number of the newest slice since 1970
	ring   [slices]Counts
	seen   [Kinds]map[uint64]int64 // hash of an object → number of the slice that it counts in
	room   int                     // marks that the cache has counted the size of
	raised time.Time               // the newest alarm; zero is none
}

const (
	historyBytes = 512     // size of a history without marks, and its subject
	markBytes    = 40      // of one object in history.seen
	maxMarks     = 8 << 10 // of one kind; all fit in an eighth of the cache, the most of an entry
	firstRoom    = 16
)

// mark names an object, or a version of one.
type mark struct{ key, version string }

// count counts a change in the newest slice. Of each kind only as many objects are known as
// its limit: those beyond it count with each change, and without a limit all do.
func (h *history) count(ch *Change, seed maphash.Seed, l *Limits) {
	id := maphash.Comparable(seed, mark{ch.Key, ch.Version})
	now := &h.ring[h.newest%slices]
	for k, n := range ch.Counts {
		if n == 0 {
			continue
		}
		at, known := h.seen[k][id]
		if known {
			h.ring[at%slices][k]--
		}
		now[k]++
		if known || len(h.seen[k]) < min(l.Most[k], maxMarks) {
			if h.seen[k] == nil {
				h.seen[k] = map[uint64]int64{}
			}
			h.seen[k][id] = h.newest
		}
	}
}

// advance ends the slices before one. A clock that goes back hides nothing: what was counted
// stays for a window more.
func (h *history) advance(slice int64) {
	switch gone := slice - h.newest; {
	case gone >= slices:
		*h = history{newest: slice, raised: h.raised}
	case gone > 0:
		for i := range gone {
			h.ring[(slice-i)%slices] = Counts{}
		}
		h.newest = slice
		for _, seen := range h.seen {
			maps.DeleteFunc(seen, func(_ uint64, at int64) bool { return at <= slice-slices })
		}
	case gone <= -slices:
		all := h.sum()
		h.ring, h.newest = [slices]Counts{}, slice
		h.ring[slice%slices] = all
		for _, seen := range h.seen {
			for id := range seen {
				seen[id] = slice
			}
		}
	}
}

// grown reports whether the marks need more room than the cache knows of.
func (h *history) grown() bool {
	marks, before := 0, h.room
	for _, seen := range h.seen {
		marks += len(seen)
	}
	for h.room = max(h.room, firstRoom); h.room < marks; {
		h.room *= 2
	}
	return h.room > before
}

func (h *history) sum() (all Counts) {
	for i := range h.ring {
		for k := range all {
			all[k] += h.ring[i][k]
		}
	}
	return all
}
