package limit

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		name          string
		garbage, live int64
		want          int
	}{
		{"nothing in use", 48 << 20, 0, mostGarbage},
		{"little in use", 48 << 20, 4 << 20, mostGarbage},
		{"as much in use", 48 << 20, 48 << 20, 100},
		{"twice as much in use", 48 << 20, 96 << 20, 50},
		{"a large heap", 48 << 20, 1 << 40, leastGarbage},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := percent(c.garbage, c.live); got != c.want {
				t.Errorf("percent(%d, %d) = %d, want %d", c.garbage, c.live, got, c.want)
			}
		})
	}
}

// TestCollectorFollowsTheHeap: the percentage falls when memory comes into use, rises when it is free again, and is
// what it was before at the end.
func TestCollectorFollowsTheHeap(t *testing.T) {
	before, limit := debug.SetGCPercent(77), debug.SetMemoryLimit(1<<40)
	defer func() { debug.SetGCPercent(before); debug.SetMemoryLimit(limit) }()
	const garbage = 16 << 20
	stop := Collector{Garbage: garbage, Limit: 1 << 39}.Start()
	defer stop()
	held := make([][]byte, 64)
	for i := range held {
		held[i] = make([]byte, 1<<20)
	}
	// A percentage near the right one stays, so which of them is in force depends on what an earlier cycle found.
	settle := func(what string, want int) {
		t.Helper()
		for range 1000 {
			runtime.GC()
			inForce := []metrics.Sample{{Name: "/gc/gogc:percent"}}
			metrics.Read(inForce)
			if !differs(int(inForce[0].Value.Uint64()), want) {
				return
			}
			time.Sleep(10 * time.Millisecond) // the runtime's goroutine of cleanups runs
		}
		t.Fatalf("the percentage did not follow: %s", what)
	}
	settle("64 MiB in use", leastGarbage)
	runtime.KeepAlive(held)
	held = nil
	settle("little in use", mostGarbage)
	stop()
	runtime.GC()
	if p, l := debug.SetGCPercent(77), debug.SetMemoryLimit(-1); p != 77 || l != 1<<40 {
		t.Errorf("after stop: %d %%, limit %d; want what was before", p, l)
	}
}
