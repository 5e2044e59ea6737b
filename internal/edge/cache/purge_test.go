package cache

import (
	"fmt"
	"strings"
	"testing"
)

// TestRememberedPathsAreBounded: however many and long the paths are that are invalidated, few
// bytes of them are kept, and what was asked for before is gone.
func TestRememberedPathsAreBounded(t *testing.T) {
	for _, c := range []struct{ name, end string }{{"exact", ""}, {"prefixes", "*"}} {
		t.Run(c.name, func(t *testing.T) {
			p := newPurges()
			p.told = true
			s := p.site("E1")
			path := func(n int) string { return fmt.Sprintf("/%d/%s", n, strings.Repeat("a", 3900)) }
			for n := 1; n <= 1000; n++ {
				s.purge(uint64(n), path(n)+c.end)
				bytes := 0
				for _, paths := range []map[string]uint64{s.exact, s.prefixes} {
					for path := range paths {
						bytes += len(path)
					}
				}
				if bytes != s.bytes || bytes > maxPaths {
					t.Fatalf("%d bytes, counted as %d", bytes, s.bytes)
				}
				if p.current(s, path(n), uint64(n-1)) || p.current(s, path((n+1)/2), uint64((n-1)/2)) {
					t.Fatalf("what number %d purged is current", n)
				}
			}
		})
	}
}
