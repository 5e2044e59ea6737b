// Package alarm counts the objects that a principal overwrites, deletes or puts under other
// keys in a bucket, and raises an alarm if there are more than a limit within a sliding
// window, as in an attack by ransomware. An object that changes again counts once. The
// package exists so that the counting is pure and its memory is bounded. It must never know
// HTTP, storage, or what happens after an alarm.
package alarm

import (
	"hash/maphash"
	"sync"
	"time"

	"watertight/internal/limit"
)

// Kind is a kind of change that is counted. The numbers are positions in Counts.
type Kind uint8

// The kinds.
const (
	Overwrites Kind = iota // new content for keys that had an object
	Deletes                // keys and versions deleted; delete markers that are removed do not count
	KeyChanges             // objects that are under another encryption key than before
	Kinds                  // the number of kinds
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

// Counts are numbers of objects by kind.
type Counts [Kinds]int

// Limits are the limits of one principal in one bucket. A count above its limit within
// Window raises an alarm; 0 means no limit.
type Limits struct {
	Window time.Duration
	Most   Counts
}

// Off reports whether there is no limit at all.
func (l Limits) Off() bool { return l.Most == Counts{} }

// Subject is a principal in a bucket. Its changes are counted together.
type Subject struct {
	Bucket    [8]byte // id
	Principal string  // unique id, see policy.Principal.HolderID
}

// Alarm says which counts were above a limit.
type Alarm struct {
	Kind   Kind // the first kind above its limit
	Counts Counts
}

// maxBytes bounds the memory of all counts: about 12,000 subjects with few objects each, or
// 100 with as many as the default limits allow.
const maxBytes = 16 << 20

// slices is the number of parts of a window. Old changes are dropped by whole parts, so a
// count covers the last window less at most one part.
const slices = 10

// Counter counts. It is safe for concurrent use.
type Counter struct {
	limits Limits
	seed   maphash.Seed // random, so that nobody can choose objects that count as one
	mu     sync.Mutex
	counts *limit.Cache[Subject, *history]
}

// NewCounter returns an empty counter.
func NewCounter(l Limits) *Counter {
	size := func(_ Subject, h *history) int64 { return historyBytes + int64(h.room)*markBytes }
	return &Counter{limits: l, seed: maphash.MakeSeed(), counts: limit.NewCache(maxBytes, size)}
}

// Add counts changes at an instant. It returns an alarm if a count of the window is above
// its limit now, at most once in a window for each subject. Instants may be out of order.
func (c *Counter) Add(at time.Time, s Subject, all Changes) (a Alarm, raised bool) {
	if c.limits.Off() || all.Empty() {
		return Alarm{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h, ok := c.counts.Get(s)
	if !ok {
		h = &history{}
	}
	h.advance(at.UnixNano() / max(1, int64(c.limits.Window)/slices))
	all.each(func(ch *Change) { h.count(ch, c.seed, &c.limits) })
	if h.grown() {
		c.counts.Put(s, h)
	}
	a.Counts = h.sum()
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

// Forget drops the counts of a subject, so that the next alarm needs as many changes as the
// first one.
func (c *Counter) Forget(s Subject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Put(s, &history{})
}

// Again lets the next change of a subject that is above its limit raise an alarm again,
// because the reaction to the last one has failed.
func (c *Counter) Again(s Subject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.counts.Get(s); ok {
		h.raised = time.Time{}
	}
}
