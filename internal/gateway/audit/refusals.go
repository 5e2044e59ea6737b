package audit

import (
	"cmp"
	"net/netip"
	"sync"
	"time"

	"watertight/internal/access/policy"
)

// Rates up to which the events of refused requests are written individually; above them,
// they are counted. Each source has its own bucket, so that one that floods does not use up
// the others' share.
const (
	sourceBurst, sourceRate     = 20, 1 // for an address or an access key
	strangersBurst, strangeRate = 50, 5 // for all strangers together, per second
	keysBurst, keysRate         = 200, 20
	sourcesMost                 = 4096
)

// bucket is a token bucket.
type bucket struct {
	tokens float64
	at     time.Time
}

func (b *bucket) take(now time.Time, burst, rate float64) bool {
	if b.at.IsZero() {
		b.tokens = burst
	} else {
		b.tokens = min(burst, b.tokens+rate*max(0, now.Sub(b.at).Seconds()))
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// refusals counts refused requests, so that they cannot fill the disk: those of strangers,
// and those of keys that were not allowed what they asked for.
type refusals struct {
	mu              sync.Mutex
	strangers, keys crowd
}

// crowd has the refused callers of one kind.
type crowd struct {
	all     bucket
	each    map[string]*bucket
	rest    bucket // for the sources for which each has no place
	swept   time.Time
	counted span
	codes   tally
	sources tally
	ids     tally
}

// admit reports whether the event is written individually; otherwise it was counted.
func (r *refusals) admit(now time.Time, e *Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, source := r.crowd(e)
	burst, rate := float64(keysBurst), float64(keysRate)
	if c == &r.strangers {
		burst, rate = strangersBurst, strangeRate
	}
	if c.source(now, source).take(now, sourceBurst, sourceRate) && c.all.take(now, burst, rate) {
		return true
	}
	c.count(now, e)
	return false
}

// count counts an event for which there was no space.
func (r *refusals) count(now time.Time, e *Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, _ := r.crowd(e)
	c.count(now, e)
}

func (r *refusals) crowd(e *Event) (*crowd, string) {
	if e.outside() {
		return &r.strangers, e.from()
	}
	return &r.keys, e.Identity.AccessKeyID
}

// outside reports whether nobody who is known here sent the request: a stranger, or a
// viewer of a distribution, for whom a service asks.
func (e *Event) outside() bool {
	return e.stranger() || e.Source != "" && e.Identity.who().Kind == policy.Service
}

// from returns the network or the distribution that the request came from.
func (e *Event) from() string {
	if e.Source != "" {
		return e.Source
	}
	return sourceName(e.SourceIP)
}

// sourceName returns the network whose addresses one sender may have all.
func sourceName(a netip.Addr) string {
	a = a.WithZone("").Unmap()
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

func (c *crowd) source(now time.Time, name string) *bucket {
	if b := c.each[name]; b != nil {
		return b
	}
	if len(c.each) >= sourcesMost && now.Sub(c.swept) >= time.Second {
		c.swept = now
		for n, b := range c.each {
			if now.Sub(b.at) >= sourceBurst/sourceRate*time.Second {
				delete(c.each, n)
			}
		}
	}
	if len(c.each) >= sourcesMost {
		return &c.rest
	}
	if c.each == nil {
		c.each = map[string]*bucket{}
	}
	b := &bucket{}
	c.each[name] = b
	return b
}

func (c *crowd) count(now time.Time, e *Event) {
	c.counted.add(now)
	c.codes.add(cmp.Or(e.ErrorCode, e.Operation.Name)) // a request that succeeds has no code
	c.sources.add(e.from())
	if !e.outside() {
		c.ids.add(e.Identity.AccessKeyID)
	}
}

// take returns the details of StrangersRefused and KeysRefused events, or nil: there is at
// most one of each per second, and one at the end.
func (r *refusals) take(now time.Time, end bool) (strangers, keys []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.strangers.take(now, end), r.keys.take(now, end)
}

// pending returns how many events are counted and not taken yet.
func (r *refusals) pending() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.strangers.counted.count + r.keys.counted.count
}

func (c *crowd) take(now time.Time, end bool) []byte {
	if c.counted.count == 0 || !end && now.Sub(c.counted.first) < time.Second {
		return nil
	}
	w := c.counted.details()
	c.codes.write(w, "errorCodes")
	c.sources.write(w, "sourceIPAddresses")
	if len(c.ids) > 0 {
		c.ids.write(w, "accessKeyIds")
	}
	c.counted, c.codes, c.sources, c.ids = span{}, nil, nil, nil
	return append(w.b, '}')
}

// refused reports whether a request got nothing: a failed request of an anonymous or
// unknown caller, or a request of a key that was not allowed. Preflights and
// GetCallerIdentity return nothing that is stored, so they count, too.
func (e *Event) refused(granted bool) bool {
	switch {
	case e.ErrorCode == "" && e.Operation.ReadsNothing:
		return true
	case e.outside():
		return e.ErrorCode != ""
	case e.Identity.who().Kind == policy.Service:
		return false
	case e.ErrorCode == "":
		return !granted && !e.Operation.Reads
	}
	return !granted
}
