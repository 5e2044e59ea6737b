package seal

import (
	"slices"
	"sync/atomic"
)

// Generation is one of the keys of a Ring. Numbers begin at 1 and are never reused.
type Generation struct {
	Number uint32
	Key    Key
}

// Ring holds the generations of a store's key. The newest one wraps, and every one opens
// what it wrapped, so a new generation makes nothing unreadable. It is safe for concurrent
// use.
type Ring struct{ now atomic.Pointer[ringState] }

// ringState is a ring at one time.
type ringState struct {
	all  []Generation // newest first
	held atomic.Int64
	old  *ringState // the state before
}

// NewRing returns a Ring of generations, in any order. There must be at least one. No
// number may be 0 or occur twice.
func NewRing(all ...Generation) *Ring {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Generation) int { return int(int64(b.Number) - int64(a.Number)) })
	for i, g := range all {
		if g.Number == 0 || i > 0 && all[i-1].Number == g.Number {
			panic("seal: the numbers of a ring's generations")
		}
	}
	if len(all) == 0 {
		panic("seal: a ring without a generation")
	}
	r := &Ring{}
	r.now.Store(&ringState{all: all})
	return r
}

// RingOf returns the Ring with key as its only generation, number 1.
func RingOf(key Key) *Ring { return NewRing(Generation{1, key}) }

// Current returns the newest generation.
func (r *Ring) Current() Generation { return r.now.Load().all[0] }

// Of returns the key of a generation.
func (r *Ring) Of(number uint32) (Key, bool) {
	for _, g := range r.now.Load().all {
		if g.Number == number {
			return g.Key, true
		}
	}
	return Key{}, false
}

// Generations returns all generations, the newest first.
func (r *Ring) Generations() []Generation { return slices.Clone(r.now.Load().all) }

// Add makes g, which must be newer than all others, the current generation. It must not be
// called concurrently.
func (r *Ring) Add(g Generation) {
	old := r.now.Load()
	if g.Number <= old.all[0].Number {
		panic("seal: a generation that is not the newest")
	}
	r.now.Store(&ringState{all: append([]Generation{g}, old.all...), old: old})
}

// Hold marks work that may have wrapped something under the generation that was current
// when the work began, and that has not stored the result yet.
type Hold struct{ state *ringState }

// Hold begins such work.
func (r *Ring) Hold() Hold {
	for {
		s := r.now.Load()
		s.held.Add(1)
		if r.now.Load() == s {
			return Hold{s}
		}
		s.held.Add(-1)
	}
}

// Release ends the work. It must be called once.
func (h Hold) Release() { h.state.held.Add(-1) }

// Held returns the number of Holds that began before the current generation.
func (r *Ring) Held() int64 {
	n := int64(0)
	for s := r.now.Load().old; s != nil; s = s.old {
		n += s.held.Load()
	}
	return n
}

// For returns a Purpose of the ring. Keys of different purposes are independent.
func (r *Ring) For(purpose string) Purpose { return Purpose{r, purpose} }

// Purpose wraps keys under keys that are derived from the generations for one purpose. It
// is for wrapped keys that do not contain the number of their generation: Unwrap tries each
// generation, the newest first, and AES-256-GCM shows which one is right.
type Purpose struct {
	ring *Ring
	name string
}

// Current returns the number of the generation that Wrap uses.
func (p Purpose) Current() uint32 { return p.ring.Current().Number }

// Wrap seals key under the current generation, see Key.Wrap.
func (p Purpose) Wrap(key Key, context []byte) []byte {
	return p.ring.Current().Key.Derive(p.name).Wrap(key, context)
}

// Unwrap opens what Wrap sealed, under any generation of the ring.
func (p Purpose) Unwrap(wrapped, context []byte) (Key, error) {
	k, _, err := p.Find(wrapped, context)
	return k, err
}

// Find is Unwrap, and also returns the number of the generation.
func (p Purpose) Find(wrapped, context []byte) (Key, uint32, error) {
	for _, g := range p.ring.now.Load().all {
		if k, err := g.Key.Derive(p.name).Unwrap(wrapped, context); err == nil {
			return k, g.Number, nil
		}
	}
	return Key{}, 0, ErrCorrupt
}

// Rewrap wraps the same key under the current generation. If the current generation has
// wrapped it already, Rewrap returns false, and nothing has to be done.
func (p Purpose) Rewrap(wrapped, context []byte) ([]byte, bool, error) {
	current := p.ring.Current()
	k, number, err := p.Find(wrapped, context)
	if err != nil || number == current.Number {
		return wrapped, false, err
	}
	return current.Key.Derive(p.name).Wrap(k, context), true, nil
}
