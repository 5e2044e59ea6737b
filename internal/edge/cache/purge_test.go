package cache

import (
	"fmt"
	"strings"
	"testing"

	"watertight/internal/core/distribution"
)

// What is remembered of paths is bounded, however many distributions there are. Beyond the
// limit, the whole distribution with the most is purged, and one that has few is not affected.
// A response that an invalidation named never becomes current again, also not after a restart.
func TestRememberedPathsAreBounded(t *testing.T) {
	long := strings.Repeat("x", 4000)
	ids := []string{"E"}
	for n := range 40 {
		ids = append(ids, fmt.Sprint("E", n))
	}
	c := &Cache{purges: newPurges(), index: newIndex(1)}
	named := map[string][]string{"E": {"/kept"}}
	all := []distribution.Invalidation{{Number: 1, Distribution: "E", Paths: named["E"]}}
	for n := range uint64(200) {
		id := ids[1+n%40]
		var paths []string
		for i := range 100 {
			paths = append(paths, fmt.Sprint("/", n, "/", i, "/", long))
		}
		named[id] = append(named[id], paths...)
		all = append(all, distribution.Invalidation{Number: n + 2, Distribution: id, Paths: paths})
	}
	for i := range all {
		c.apply(&distribution.Snapshot{Sites: sites(ids...), Invalidations: all[i : i+1]})
	}
	restored := newPurges()
	restored.restore(c.purges.save())
	restored.told = true
	for name, p := range map[string]*purges{"at once": &c.purges, "after a restart": &restored} {
		t.Run(name, func(t *testing.T) {
			held := 0
			for _, s := range p.sites {
				own := 0
				for _, of := range []map[string]uint64{s.exact, s.prefixes} {
					for path := range of {
						own += len(path) + pathCost
					}
				}
				if own != s.bytes || own > maxSiteBytes {
					t.Errorf("%s remembers %d bytes, and counts %d", s.id, own, s.bytes)
				}
				held += own
			}
			if held != p.bytes || held > maxBytes {
				t.Errorf("%d bytes, %d counted", held, p.bytes)
			}
			for id, paths := range named {
				for _, path := range paths {
					if p.current(p.site(id), path, 0) {
						t.Fatalf("%s of %s is current", path[:9], id)
					}
				}
			}
			if !p.current(p.site("E"), "/other", 0) {
				t.Error("a distribution with one path was purged")
			}
		})
	}
	c.apply(&distribution.Snapshot{Sites: sites("E")})
	if c.purges.bytes != len("/kept")+pathCost {
		t.Errorf("%d bytes for what is gone", c.purges.bytes)
	}
}
