package limit

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func texts(maximum int64) *Cache[string, string] {
	return NewCache(maximum, func(k, v string) int64 { return int64(len(k) + len(v)) })
}

// TestCacheIsBoundedByBytes: after any puts in any order, the cache is within its limit, counts its bytes
// correctly, and returns no wrong value.
func TestCacheIsBoundedByBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maximum := rapid.Int64Range(500, 20_000).Draw(t, "maximum")
		c := texts(maximum)
		put := map[string]string{}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			key := fmt.Sprint(rapid.IntRange(0, 40).Draw(t, "key"))
			if rapid.Bool().Draw(t, "get") {
				if v, ok := c.Get(key); ok && v != put[key] {
					t.Fatalf("%q is not the newest value", key)
				}
				continue
			}
			put[key] = strings.Repeat("x", rapid.IntRange(0, 3000).Draw(t, "size"))
			c.Put(key, put[key])
			var sum int64
			for k := range put {
				if v, ok := c.entries[k]; ok {
					sum += v.Value.(*cached[string, string]).bytes
				}
			}
			if c.Bytes() > maximum || c.Bytes() != sum || c.hand == nil != (c.Len() == 0) ||
				c.hand != nil && c.hand.Len() != c.Len() {
				t.Fatalf("%d bytes of %d, %d counted, %d entries", c.Bytes(), maximum, sum, c.Len())
			}
		}
	})
}

// TestCacheKeepsWhatIsUsed: a flood of entries that are never used again does not
// evict those that are in use.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	c := texts(100 * (entryOverhead + 104))
	for i := range 50 {
		c.Put(fmt.Sprintf("old%d", i), strings.Repeat("x", 100))
	}
	for i := range 10_000 {
		c.Put(fmt.Sprintf("%04d", i), strings.Repeat("x", 100))
		if i%10 == 0 {
			for n := range 50 {
				if _, ok := c.Get(fmt.Sprintf("old%d", n)); !ok {
					t.Fatalf("after %d others an entry in use is gone", i)
				}
			}
		}
	}
	if c.Put("giant", strings.Repeat("x", int(c.maximum/8))); c.Len() < 50 {
		t.Errorf("%d entries are left after a giant", c.Len())
	}
	if _, ok := c.Get("giant"); ok {
		t.Error("one entry takes more than an eighth of the cache")
	}
}

func TestCacheBesideOthers(t *testing.T) {
	c := texts(50 * 200)
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 2000 {
				k := fmt.Sprint(i * (w + 1) % 100)
				if v, ok := c.Get(k); ok && v != "value of "+k {
					t.Errorf("%q: %q", k, v)
				}
				c.Put(k, "value of "+k)
			}
		})
	}
	all.Wait()
}

func TestFootprint(t *testing.T) {
	type tree struct {
		name  string
		under []*tree
		by    map[string]any
		self  *tree
	}
	leaf := &tree{name: strings.Repeat("n", 1000)}
	leaf.self = leaf
	shared := &tree{under: []*tree{leaf, leaf, leaf}, by: map[string]any{"k": strings.Repeat("v", 500)}}
	for name, c := range map[string]struct {
		v         any
		low, high int64
	}{
		"nothing":           {nil, 0, 0},
		"a number":          {1, 8, 8},
		"a text":            {strings.Repeat("x", 100), 116, 116},
		"bytes":             {make([]byte, 10, 4096), 4096, 4200},
		"what is shared":    {shared, 1500, 2000},
		"a list of numbers": {make([]int64, 1000), 8000, 8100},
	} {
		t.Run(name, func(t *testing.T) {
			if n := Footprint(c.v); n < c.low || n > c.high {
				t.Errorf("%s: %d bytes, want %d to %d", name, n, c.low, c.high)
			}
		})
	}
}
