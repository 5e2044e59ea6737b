package seal

import (
	"bytes"
	"testing"
)

// TestRing: a new generation wraps new keys, and every older one still opens its own.
func TestRing(t *testing.T) {
	r, context := RingOf(NewKey()), []byte("context")
	inner, p := NewKey(), r.For("a purpose")
	first := p.Wrap(inner, context)
	if _, changed, err := p.Rewrap(first, context); changed || err != nil {
		t.Errorf("under the current generation: changed %v, %v", changed, err)
	}
	old := r.Current()
	r.Add(Generation{7, NewKey()})
	if got, n, err := p.Find(first, context); err != nil || got != inner || n != 1 {
		t.Errorf("an older generation: %d, %v", n, err)
	}
	second, changed, err := p.Rewrap(first, context)
	if err != nil || !changed || bytes.Equal(first, second) {
		t.Fatal(changed, err)
	}
	if got, n, err := p.Find(second, context); err != nil || got != inner || n != 7 {
		t.Errorf("the current generation: %d, %v", n, err)
	}
	for name, other := range map[string]Purpose{
		"the old generation alone": NewRing(old).For("a purpose"), "another purpose": r.For("another"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := other.Unwrap(second, context); err == nil {
				t.Error("it opens")
			}
		})
	}
	if k, ok := r.Of(1); !ok || k != old.Key || r.Current().Number != 7 {
		t.Error("the ring lost its first generation, or did not change to the new one")
	}
	if _, ok := r.Of(2); ok {
		t.Error("a generation that does not exist")
	}
}

// TestHeld: operations that began before a generation are counted until they end.
func TestHeld(t *testing.T) {
	r := RingOf(NewKey())
	before, done := r.Hold(), r.Hold()
	r.Add(Generation{2, NewKey()})
	after := r.Hold()
	done.Release()
	if n := r.Held(); n != 1 {
		t.Errorf("%d pieces of work, want 1", n)
	}
	r.Add(Generation{3, NewKey()})
	if n := r.Held(); n != 2 {
		t.Errorf("%d pieces of work, want 2", n)
	}
	before.Release()
	after.Release()
	if n := r.Held(); n != 0 {
		t.Errorf("%d pieces of work, want 0", n)
	}
}
