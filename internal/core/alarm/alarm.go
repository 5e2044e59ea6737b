// Package alarm counts what principals do to the objects of buckets, and tells when it
// looks like ransomware: overwrites, deletions and changes of keys beyond a limit within
// a sliding window. It exists so that the counting is pure and its memory is bounded. It
// must never know HTTP, storage, or what happens after an alarm.
package alarm

import (
	"sync"
	"time"

	"watertight/internal/limit"
)

// Kind is what is counted. The numbers are positions in Counts.
type Kind uint8

// The kinds.
const (
	Overwrites Kind = iota // new content for keys that had an object
	Deletes                // keys and versions deleted; delete markers that are removed do not count
	KeyChanges             // objects that are under another encryption key than before
	Kinds                  // how many kinds there are
)

// String names the kind, for logs and labels of metrics.
func (k Kind) String() string {
	switch k {
	case Overwrites:
		return "overwrites"
	case Deletes:
		return "deletes"
	case KeyChanges:
		return "key_changes"
	}
	return "unknown"
}

// Counts are numbers of changes by kind.
type Counts [Kinds]int

// Limits are the limits of one principal in one bucket. A count above its limit within
// Window is an alarm; a limit of 0 is none.
type Limits struct {
	Window time.Duration
	Most   Counts
}

// Off reports that nothing can raise an alarm.
func (l Limits) Off() bool { return l.Most == Counts{} }

// Subject is whose changes are counted together: those of a principal in a bucket.
type Subject struct {
	Bucket    [8]byte // id
	Principal string  // unique id, see policy.Principal.HolderID
}

// Alarm is what went over a limit.
type Alarm struct {
	Kind   Kind // the first one that did
	Counts Counts
}

// maxBytes bounds the memory of all counts: about 6,000 subjects.
const maxBytes = 4 << 20

// slices is how many parts a window has: a count holds for the last full window less at
// most one part.
const slices = 10

// Counter counts. It is safe for concurrent use.
type Counter struct {
	limits Limits
	mu     sync.Mutex
	counts *limit.Cache[Subject, *history]
}

// history is the counts of one subject, in a ring of slices of the window.
type history struct {
	newest int64 // number of the newest slice since 1970
	ring   [slices]Counts
	raised time.Time // the newest alarm; zero is none
}

// NewCounter returns a counter with nothing counted.
func NewCounter(l Limits) *Counter {
	const size = 512 // bytes of a history and its subject
	return &Counter{limits: l, counts: limit.NewCache(maxBytes, func(Subject, *history) int64 { return size })}
}

// Add counts changes at an instant. It returns an alarm where a count of the window is
// above its limit now, once in a window for each subject. Instants may come out of order.
func (c *Counter) Add(at time.Time, s Subject, n Counts) (a Alarm, raised bool) {
	if c.limits.Off() || n == (Counts{}) {
		return Alarm{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h, ok := c.counts.Get(s)
	if !ok {
		h = &history{}
		c.counts.Put(s, h)
	}
	a.Counts = h.add(at.UnixNano()/max(1, int64(c.limits.Window)/slices), n)
	if !h.raised.IsZero() && at.Sub(h.raised).Abs() < c.limits.Window {
		return Alarm{}, false
	}
	for k := range a.Counts {
		if most := c.limits.Most[k]; most > 0 && a.Counts[k] > most {
			a.Kind, h.raised = Kind(k), at
			return a, true
		}
	}
	return Alarm{}, false
}

// Forget drops what was counted of a subject, so that the next alarm takes as many
// changes as the first one.
func (c *Counter) Forget(s Subject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Put(s, &history{})
}

// Again lets the next change of a subject that is above its limit raise an alarm, although
// there was one: what should follow from it has failed.
func (c *Counter) Again(s Subject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.counts.Get(s); ok {
		h.raised = time.Time{}
	}
}

// add counts n in a slice, and returns the counts of the window that ends with the newest
// slice. A clock that goes back hides nothing: what was counted stays for a window more.
func (h *history) add(slice int64, n Counts) (all Counts) {
	switch gone := slice - h.newest; {
	case gone > 0:
		for i := range min(gone, slices) {
			h.ring[(slice-i)%slices] = Counts{}
		}
		h.newest = slice
	case gone <= -slices:
		all := h.sum()
		h.ring, h.newest = [slices]Counts{}, slice
		h.ring[slice%slices] = all
	}
	now := &h.ring[h.newest%slices]
	for k := range n {
		now[k] += n[k]
	}
	return h.sum()
}

func (h *history) sum() (all Counts) {
	for i := range h.ring {
		for k := range all {
			all[k] += h.ring[i][k]
		}
	}
	return all
}
