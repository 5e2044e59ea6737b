package server

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPercentOfGarbage(t *testing.T) {
	for _, c := range []struct {
		name    string
		live    uint64
		percent int
	}{
		{"nothing yet", 0, 3100},
		{"small", 16 << 20, 700},
		{"just below half of the floor", 64<<20 - 1, 100},
		{"half of the floor", 64 << 20, 100},
		{"beyond the floor", 1 << 30, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := percentOf(c.live); got != c.percent {
				t.Errorf("%d, want %d", got, c.percent)
			}
		})
	}
}

// TestCollectLater: a small heap is given more room after a collection, and what
// was set before comes back at the end.
func TestCollectLater(t *testing.T) {
	before := debug.SetGCPercent(50)
	defer debug.SetGCPercent(before)
	end := CollectLater()
	percent := 0
	for range 1000 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
		percent = debug.SetGCPercent(defaultPercent)
		debug.SetGCPercent(percent)
		if percent > defaultPercent {
			break
		}
	}
	if percent <= defaultPercent {
		t.Errorf("a heap of a test is collected at %d percent", percent)
	}
	end()
	if got := debug.SetGCPercent(before); got != 50 {
		t.Errorf("at the end: %d", got)
	}
}
